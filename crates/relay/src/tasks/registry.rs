//! What the background tasks did, for `relay status` and the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::Clock;
use serde::{Deserialize, Serialize};

/// What became of a turn of a task.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// It did this much.
    Done(usize),
    Failed(String),
    Panicked(String),
}

/// What is known of a task. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskRecord {
    /// How often it has its turn; `None` for one that always runs.
    pub(crate) period_seconds: Option<u64>,
    pub(crate) is_running: bool,
    pub(crate) last_started_at: Option<i64>,
    pub(crate) last_success_at: Option<i64>,
    pub(crate) last_failure_at: Option<i64>,
    /// What went wrong, while that was the last turn.
    pub(crate) error: Option<String>,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) panics: u64,
    /// Turns since the last success.
    pub(crate) failures_in_a_row: u64,
}

/// The tasks of this server, by name.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<BTreeMap<&'static str, TaskRecord>>);

impl Tasks {
    /// Makes a task known before its first turn.
    pub(crate) fn add(&self, name: &'static str, period: Option<Duration>) {
        self.update(name, |task| task.period_seconds = period.map(|period| period.as_secs()));
    }

    /// Notes the beginning of a turn.
    pub(crate) fn begin(&self, name: &'static str, clock: &dyn Clock) {
        self.update(name, |task| {
            task.is_running = true;
            task.last_started_at = Some(clock.millis());
        });
    }

    /// Notes the end of a turn, and returns how many have failed in a row.
    pub(crate) fn end(&self, name: &'static str, turn: &Turn, clock: &dyn Clock) -> u64 {
        self.update(name, |task| {
            task.is_running = false;
            match turn {
                Turn::Done(_) => {
                    task.last_success_at = Some(clock.millis());
                    task.successes += 1;
                    task.failures_in_a_row = 0;
                    task.error = None;
                }
                Turn::Failed(error) | Turn::Panicked(error) => {
                    task.last_failure_at = Some(clock.millis());
                    task.failures += 1;
                    task.failures_in_a_row += 1;
                    task.panics += u64::from(matches!(turn, Turn::Panicked(_)));
                    task.error = Some(error.clone());
                }
            }
            task.failures_in_a_row
        })
    }

    /// Returns all tasks.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, TaskRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update<T>(&self, name: &'static str, update: impl FnOnce(&mut TaskRecord) -> T) -> T {
        update(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default())
    }
}

/// Returns what a panic said.
pub(super) fn panic_text(panic: tokio::task::JoinError) -> String {
    let Ok(panic) = panic.try_into_panic() else { return "it was cancelled".to_owned() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}
