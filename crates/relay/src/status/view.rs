//! The status as people read it on a terminal.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

use super::{Rate, Status};
use crate::tasks::registry::TaskRecord;
use crate::telemetry::disk::in_words;

/// Writes the status as tables.
pub(crate) fn view(status: &Status) -> String {
    let mut out = String::new();
    let mut part = |title: &str, rows: Vec<Vec<String>>| {
        if rows.is_empty() {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.add_rows(rows);
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        write!(out, "{title}\n{}\n\n", lines.join("\n")).expect("a String takes all text");
    };
    let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();

    let problems = status.problems.iter().map(|problem| {
        let since = ago(status.now, Some(problem.since_millis));
        row(&[&problem.topic, &format!("{}\n{}", problem.problem, problem.remedy), &since])
    });
    part("NOT WELL", problems.collect());

    let accounts: Vec<String> = status.accounts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    part(
        "Server",
        vec![
            row(&["version", &status.version]),
            row(&["address", &status.public_url]),
            row(&["up for", &span(status.uptime_seconds)]),
            row(&["accounts", &if accounts.is_empty() { "none".to_owned() } else { accounts.join(", ") }]),
        ],
    );

    let rate =
        |name: &str, rate: &Rate| row(&[name, &format!("{:.1} /s", rate.per_second), &ms(rate.p50_ms), &ms(rate.p99_ms)]);
    part(
        &format!("Last {:.0} s", status.span_seconds),
        vec![
            row(&["", "rate", "p50", "p99"]),
            rate("reads", &status.reads),
            rate("writes", &status.writes),
            rate("transactions", &status.transactions),
            row(&["events", &format!("{:.1} /s", status.firehose.events_per_second), "", ""]),
        ],
    );

    let disk = &status.disk;
    let free = match (disk.free_bytes, disk.total_bytes) {
        (Some(free), Some(total)) => format!("{} of {} free", in_words(free), in_words(total)),
        _ => "unknown".to_owned(),
    };
    part(
        "Stores",
        vec![
            row(&["write queue", &format!("{} of {}", status.write_queue.waiting, status.write_queue.places)]),
            row(&["firehose", &format!("seq {}, {} subscribers", status.firehose.seq, status.firehose.subscribers)]),
            row(&["database", &format!("{} and {} of log", in_words(disk.database_bytes), in_words(disk.log_bytes))]),
            row(&["disk", &free]),
        ],
    );

    let milestones = ["backup", "drill", "verify"].map(|name| match status.milestones.get(name) {
        None => row(&[name, "never", ""]),
        Some(outcome) if outcome.is_success() => row(&[name, &ago(status.now, Some(outcome.at)), &outcome.sentence]),
        Some(outcome) => {
            let last = ago(status.now, outcome.last_success_at);
            row(&[
                name,
                &format!("FAILED {}", ago(status.now, Some(outcome.at))),
                &format!("{} Last success: {last}.", outcome.sentence),
            ])
        }
    });
    part("Safety", milestones.into());

    let places = status.backups.iter().map(|place| {
        let (shipping, now) = (&place.shipping, status.now);
        let waiting = match shipping.waiting_bytes {
            0 => String::new(),
            bytes => format!(", {} wait", in_words(bytes)),
        };
        let failure = shipping.failure.as_ref().map(|failure| format!("\n{failure}")).unwrap_or_default();
        row(&[
            &place.place,
            &format!("backup {}", ago(now, place.last_backup.as_ref().map(|backup| backup.ended_at))),
            &format!("restored on trial {}", ago(now, place.verified_at)),
            &format!("changes sent {}{waiting}{failure}", ago(now, shipping.through)),
        ])
    });
    part("Backups", places.collect());

    let crawlers = status.crawlers.iter().map(|crawler| {
        let failed = crawler.error.as_ref().map(|error| format!("{} failures: {error}", crawler.failures));
        let state = failed.or_else(|| crawler.reading.clone()).unwrap_or_default();
        row(&[&crawler.host, &format!("told {}", ago(status.now, crawler.told_at)), &state])
    });
    part("Crawlers", crawlers.collect());

    let tasks = status
        .tasks
        .iter()
        .map(|(name, task)| row(&[name, &task_state(status.now, task), task.error.as_deref().unwrap_or("")]));
    part("Background tasks", tasks.collect());
    out.truncate(out.trim_end().len());
    out
}

fn task_state(now: i64, task: &TaskRecord) -> String {
    let mut state = match (task.period_seconds, task.is_running, task.last_success_at) {
        (None, true, _) => "runs".to_owned(),
        (None, false, _) => "ended".to_owned(),
        (Some(_), true, _) => "has its turn".to_owned(),
        (Some(period), false, None) => format!("first turn {} after the start", span(period)),
        (Some(period), false, at) => format!("done {}, every {}", ago(now, at), span(period)),
    };
    if task.panics > 0 {
        write!(state, ", {} panics", task.panics).expect("a String takes all text");
    }
    state
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} ms"))
}

fn ago(now: i64, then: Option<i64>) -> String {
    then.map_or_else(|| "never".to_owned(), |then| format!("{} ago", span((now - then).max(0).cast_unsigned() / 1000)))
}

/// Writes a span of time in its two largest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) if seconds.is_multiple_of(60) => format!("{minutes} min"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::notice::Problem;
    use crate::status::milestone::Outcome;
    use crate::status::{CrawlerStatus, DiskStatus, FirehoseStatus, Queue};

    #[test]
    fn everything_is_shown() {
        let now = 1_800_000_000_000;
        let rate = Rate { per_second: 12.34, p50_ms: Some(1.2), p99_ms: Some(9.87) };
        let task = TaskRecord { period_seconds: Some(600), last_success_at: Some(now - 30_000), ..TaskRecord::default() };
        let status = Status {
            version: "1.2.3".into(),
            public_url: "https://pds.example.com".into(),
            now,
            started_at: now - 90_000_000,
            uptime_seconds: 90_000,
            accounts: BTreeMap::from([("active".to_owned(), 2), ("takendown".to_owned(), 1)]),
            span_seconds: 60.0,
            reads: rate,
            writes: rate,
            transactions: Rate::default(),
            write_queue: Queue { waiting: 3, places: 1024 },
            firehose: FirehoseStatus { seq: 17, events_per_second: 0.5, subscribers: 2 },
            crawlers: vec![CrawlerStatus {
                host: "bsky.network".into(),
                told_at: Some(now - 120_000),
                failures: 0,
                error: None,
                reading: Some("bsky.network has read everything.".into()),
                follows: Some(true),
                telling_helps: false,
            }],
            disk: DiskStatus {
                free_bytes: Some(1 << 30),
                total_bytes: Some(1 << 31),
                database_bytes: 1 << 20,
                log_bytes: 1 << 12,
            },
            backups: vec![crate::backup::Status {
                place: "s3://backups/pds".into(),
                verified_at: Some(now - 90_000_000),
                ..crate::backup::Status::default()
            }],
            tasks: BTreeMap::from([("prune events".to_owned(), task)]),
            milestones: BTreeMap::from([
                (
                    "backup".to_owned(),
                    Outcome {
                        at: now - 3_600_000,
                        last_success_at: Some(now - 3_600_000),
                        sentence: "1.0 GiB to /backups.".into(),
                        remedy: None,
                    },
                ),
                (
                    "drill".to_owned(),
                    Outcome {
                        at: now - 3_500_000,
                        last_success_at: Some(now - 90_000_000),
                        sentence: "A blob is missing.".into(),
                        remedy: Some("Make another backup.".into()),
                    },
                ),
            ]),
            problems: vec![Problem {
                topic: "disk".into(),
                since_millis: now - 60_000,
                problem: "It is full.".into(),
                remedy: "Make room.".into(),
            }],
        };
        insta::assert_snapshot!(view(&status));
    }
}
