//! Time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of day. The relay passes the system's clock, tests one that they move.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the present moment; it may step back, as the system's clock may.
    fn now(&self) -> SystemTime;

    /// Returns the time since the Unix epoch; zero before it.
    fn since_epoch(&self) -> Duration {
        self.now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// Returns microseconds since the Unix epoch, the unit of TIDs.
    fn micros(&self) -> u64 {
        u64::try_from(self.since_epoch().as_micros()).unwrap_or(u64::MAX)
    }

    /// Returns milliseconds since the Unix epoch, the unit of stored times.
    fn millis(&self) -> i64 {
        i64::try_from(self.since_epoch().as_millis()).unwrap_or(i64::MAX)
    }

    /// Returns whole seconds since the Unix epoch, the unit of token times.
    fn seconds(&self) -> i64 {
        i64::try_from(self.since_epoch().as_secs()).unwrap_or(i64::MAX)
    }
}
