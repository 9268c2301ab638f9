//! `version`: whether there is a newer one.

use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "version";
    let Some((here, newest)) = &facts.release else { return };
    findings.push(match newest {
        Ok(newest) if newest == here => Finding::good(ID, format!("Version {here} is the newest.")),
        Ok(newest) => Finding::notice(ID, format!("Version {newest} is there; this is {here}."), "`relay update` installs it."),
        Err(reason) => Finding::skipped(ID, format!("Whether there is a newer version is not known: {reason}.")),
    });
}
