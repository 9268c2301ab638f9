//! How long a verification may take, and how fast it may read.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Options;

/// Waits no longer than this at once, so that a stop is noticed.
const NAP: Duration = Duration::from_millis(100);

pub(super) struct Pace {
    begun: Instant,
    deadline: Option<Instant>,
    stop: CancellationToken,
    bytes_per_second: Option<u64>,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(options: &Options, begun: Instant) -> Self {
        Self {
            begun,
            deadline: options.budget.map(|budget| begun + budget),
            stop: options.stop.clone(),
            bytes_per_second: options.bytes_per_second,
            bytes: 0,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Returns what tells whether the run is over, for another thread.
    pub(super) fn watch(&self) -> impl Fn() -> bool + Send + 'static {
        let (stop, deadline) = (self.stop.clone(), self.deadline);
        move || stop.is_cancelled() || deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Notes that `bytes` were read, and sleeps off what was too fast. Nothing is locked meanwhile but a snapshot.
    pub(super) fn took(&mut self, bytes: u64) {
        self.bytes += bytes;
        let Some(rate) = self.bytes_per_second else { return };
        let due = Duration::from_secs_f64(self.bytes as f64 / rate.max(1) as f64);
        while let Some(ahead) = due.checked_sub(self.begun.elapsed())
            && !ahead.is_zero()
            && !self.is_over()
        {
            std::thread::sleep(ahead.min(NAP));
        }
    }
}
