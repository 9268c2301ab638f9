//! `version`: whether there is a newer one.

use crate::doctor::facts::Facts;
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    const ID: &str = "version";
    let Some((here, newest)) = &facts.release else { return };
    findings.push(match newest {
        Ok(newest) if newest == here => Finding::good(ID, said!("version.newest", "Version {here} is the newest.", here)),
        Ok(newest) => Finding::notice(
            ID,
            said!("version.older", "Version {newest} is there; this is {here}.", newest, here),
            said!("version.older.do", "`relay update` installs it."),
        ),
        Err(reason) => {
            Finding::skipped(ID, said!("version.unknown", "Whether there is a newer version is not known: {reason}.", reason))
        }
    });
}
