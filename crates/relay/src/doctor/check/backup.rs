//! `backup.age`, `backup.drill`: whether the data could be had again.

use crate::doctor::facts::{BackupFacts, Facts};
use crate::doctor::finding::{Finding, Outcome as Severity};
use crate::doctor::said::{Said, said};
use crate::status::milestone::Outcome;

const HOUR_MILLIS: i64 = 60 * 60 * 1000;
/// A backup that is late by so much was left out.
const GRACE_MILLIS: i64 = 12 * HOUR_MILLIS;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let BackupFacts { every, backup, drill } = &facts.backups;
    let Some(every) = every else {
        let sentence = said!("backup.off", "There are no backups: when this disk breaks, all accounts are lost.");
        let remedy = said!("backup.off.do", "Set backup.to and backup.passphrase_file (docs/OPERATIONS.md).");
        findings.push(if facts.setup.local {
            Finding::notice("backup.age", sentence, remedy)
        } else {
            Finding::warning("backup.age", sentence, remedy)
        });
        return;
    };
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    let finding = judge(&BACKUP, backup.as_ref(), every, facts.now_millis);
    // A server that runs can make one.
    let can_be_made = finding.outcome != Severity::Good && facts.inside.is_some();
    findings.push(if can_be_made { finding.fixable() } else { finding });
    // Without a backup there is nothing to try.
    if backup.as_ref().is_some_and(|backup| backup.last_success_at.is_some()) {
        findings.push(judge(&DRILL, drill.as_ref(), every, facts.now_millis));
    }
}

/// How something that is done every night is spoken of.
struct Words {
    id: &'static str,
    none: fn() -> Said,
    none_remedy: fn() -> Said,
    late_remedy: fn() -> Said,
    /// With the age in hours.
    age: fn(i64) -> Said,
    /// With the age of the last good one.
    failed: fn(i64) -> Said,
    never: fn() -> Said,
}

const BACKUP: Words = Words {
    id: "backup.age",
    none: || said!("backup.none", "There was no backup yet."),
    none_remedy: || said!("backup.none.do", "`relay backup now` makes one."),
    late_remedy: || said!("backup.late.do", "`relay backup now` makes one. The log says why there was none in time."),
    age: |hours| said!("backup.last", "The last backup is {hours} hours old.", hours),
    failed: |hours| said!("backup.failed", "The last backup failed, and the last good one is {hours} hours old:", hours),
    never: || said!("backup.never", "The last backup failed, and there is no good one:"),
};

const DRILL: Words = Words {
    id: "backup.drill",
    none: || said!("drill.none", "There was no drill, a restore on trial, yet."),
    none_remedy: || said!("drill.none.do", "`relay backup drill` makes one."),
    late_remedy: || said!("drill.late.do", "`relay backup drill` makes one. The log says why there was none in time."),
    age: |hours| said!("drill.last", "The last drill, a restore on trial, is {hours} hours old.", hours),
    failed: |hours| {
        said!("drill.failed", "The last drill, a restore on trial, failed, and the last good one is {hours} hours old:", hours)
    },
    never: || said!("drill.never", "The last drill, a restore on trial, failed, and there is no good one:"),
};

fn judge(words: &Words, outcome: Option<&Outcome>, every: i64, now: i64) -> Finding {
    let Some(outcome) = outcome else { return Finding::warning(words.id, (words.none)(), (words.none_remedy)()) };
    let hours = |at: i64| (now - at).max(0) / HOUR_MILLIS;
    if !outcome.is_success() {
        let sentence = outcome.last_success_at.map_or_else(words.never, |at| (words.failed)(hours(at)));
        let remedy = outcome.remedy.as_ref().map_or_else(Said::nothing, Said::as_told);
        return Finding::error(words.id, sentence.then(Said::as_told(&outcome.sentence)), remedy);
    }
    let sentence = (words.age)(hours(outcome.at));
    if now - outcome.at > every.saturating_add(GRACE_MILLIS) {
        return Finding::warning(words.id, sentence, (words.late_remedy)());
    }
    Finding::good(words.id, sentence)
}
