//! Watching a server that was just started.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use http::Method;

use crate::control::ControlClient;
use crate::status::Health;

/// How long a server is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Until it answers for the first time.
    pub(crate) start: Duration,
    /// From then on.
    pub(crate) watch: Duration,
}

/// Time between two looks; each tries every part of the server.
const EVERY: Duration = Duration::from_secs(2);
/// Until it first answers, it is asked more often.
const EVERY_AT_START: Duration = Duration::from_millis(100);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// So many bad answers in a row are no accident.
const MAX_MISSES: u32 = 3;

/// Returns what the server over a data folder says of itself; `None` when none answers.
pub(super) async fn health(data_dir: &Path) -> Option<Health> {
    let server = ControlClient::new(data_dir);
    let answer = server.call::<Health>(Method::GET, "/health", None::<&()>);
    tokio::time::timeout(ANSWER_WITHIN, answer).await.ok()?.ok()
}

/// Waits until a server that was started at `since_millis` or later answers, and watches it. `Err` says why it is not well.
pub(super) async fn watch(data_dir: &Path, since_millis: i64, patience: Patience) -> Result<(), String> {
    let begun = Instant::now();
    let mut last = Cow::Borrowed("it does not answer");
    let first = loop {
        match health(data_dir).await {
            Some(health) if health.started_at < since_millis => last = Cow::Borrowed("the old server still runs"),
            Some(health) if health.ok => break health,
            Some(health) => last = Cow::Owned(complaint(&health)),
            None => {}
        }
        if begun.elapsed() > patience.start {
            return Err(format!("{last} within {} s", patience.start.as_secs()));
        }
        tokio::time::sleep(EVERY_AT_START).await;
    };
    let (begun, mut misses) = (Instant::now(), 0);
    while begun.elapsed() < patience.watch {
        tokio::time::sleep(EVERY.min(patience.watch / 4)).await;
        let problem = match health(data_dir).await {
            Some(health) if health.started_at != first.started_at => {
                return Err(format!("it ended by itself after {} s, and was started again", begun.elapsed().as_secs()));
            }
            Some(health) if health.ok => None,
            Some(health) => Some(complaint(&health)),
            None => Some("it no longer answers".to_owned()),
        };
        misses = if problem.is_some() { misses + 1 } else { 0 };
        if let Some(problem) = problem.filter(|_| misses >= MAX_MISSES) {
            return Err(format!("{problem}, after {} s", begun.elapsed().as_secs()));
        }
    }
    // What went wrong last must not pass because the time was over.
    if misses == 0 { Ok(()) } else { Err("it no longer answers".to_owned()) }
}

fn complaint(health: &Health) -> String {
    let bad = health.checks.iter().filter(|check| check.required && !check.ok);
    let named = bad.map(|check| format!("{} ({})", check.name, check.message.as_deref().unwrap_or("no reason given")));
    format!("these fail: {}", named.collect::<Vec<_>>().join(", "))
}
