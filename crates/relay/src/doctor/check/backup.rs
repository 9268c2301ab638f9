//! `backup.age`, `backup.drill`: whether the data could be had again.

use crate::doctor::facts::{BackupFacts, Facts};
use crate::doctor::finding::Finding;
use crate::status::milestone::Outcome;

const HOUR_MILLIS: i64 = 60 * 60 * 1000;
/// A backup that is late by so much was left out.
const GRACE_MILLIS: i64 = 12 * HOUR_MILLIS;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let BackupFacts { every, backup, drill } = &facts.backups;
    let Some(every) = every else {
        const SENTENCE: &str = "There are no backups: when this disk breaks, all accounts are lost.";
        const REMEDY: &str = "Set backup.to and backup.passphrase_file (docs/OPERATIONS.md).";
        findings.push(if facts.setup.local {
            Finding::notice("backup.age", SENTENCE, REMEDY)
        } else {
            Finding::warning("backup.age", SENTENCE, REMEDY)
        });
        return;
    };
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    findings.push(judge("backup.age", "backup", backup.as_ref(), every, facts.now_millis));
    // Without a backup there is nothing to try.
    if backup.as_ref().is_some_and(|backup| backup.last_success_at.is_some()) {
        findings.push(judge("backup.drill", "drill, a restore on trial,", drill.as_ref(), every, facts.now_millis));
    }
}

fn judge(id: &'static str, what: &str, outcome: Option<&Outcome>, every: i64, now: i64) -> Finding {
    let verb = if id == "backup.age" { "`relay backup now`" } else { "`relay backup drill`" };
    let Some(outcome) = outcome else {
        return Finding::warning(id, format!("There was no {what} yet."), format!("{verb} makes one."));
    };
    let hours = |at: i64| (now - at).max(0) / HOUR_MILLIS;
    if !outcome.is_success() {
        let last = match outcome.last_success_at {
            Some(at) => format!("the last good one is {} hours old", hours(at)),
            None => "there is no good one".to_owned(),
        };
        let sentence = format!("The last {what} failed, and {last}: {}", outcome.sentence);
        return Finding::error(id, sentence, outcome.remedy.clone().unwrap_or_default());
    }
    let age = now - outcome.at;
    if age > every.saturating_add(GRACE_MILLIS) {
        let sentence = format!("The last {what} is {} hours old.", hours(outcome.at));
        return Finding::warning(id, sentence, format!("{verb} makes one. The log says why there was none in time."));
    }
    Finding::good(id, format!("The last {what} is {} hours old.", hours(outcome.at)))
}
