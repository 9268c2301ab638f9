//! The system's clock, and one that tests move.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use common::Clock;

/// Tells the time of the machine, moved by an offset that is zero outside tests.
#[derive(Debug, Default)]
pub struct SystemClock {
    offset_micros: AtomicI64,
}

impl SystemClock {
    /// Moves the clock by `micros`, which may be negative.
    pub fn shift_micros(&self, micros: i64) {
        self.offset_micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is passed around")]
    fn now(&self) -> SystemTime {
        let offset = self.offset_micros.load(Ordering::Relaxed);
        let by = Duration::from_micros(offset.unsigned_abs());
        if offset >= 0 { SystemTime::now() + by } else { SystemTime::now() - by }
    }
}
