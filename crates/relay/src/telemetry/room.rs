//! How the room on the disk went, day by day, and when there will be none.

use serde::{Deserialize, Serialize};

use super::disk::Space;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Days that are kept.
const MAX_DAYS: usize = 32;
/// A day less the time by which one look may come earlier than another.
const APART_MILLIS: i64 = DAY_MILLIS - 2 * 60 * 60 * 1000;
/// A trend of fewer days is none.
const MIN_SPAN_MILLIS: i64 = 3 * DAY_MILLIS;
/// What is further away than this is not worth a word.
const MAX_DAYS_LEFT: f64 = 365.0;

/// The room that there was on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Day {
    /// In milliseconds since the epoch.
    at: i64,
    free_bytes: u64,
    total_bytes: u64,
}

/// The room of the last days, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomHistory(Vec<Day>);

/// When a disk is full, if it goes on as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forecast {
    pub(crate) days_left: u64,
    /// The days that this is concluded from.
    pub(crate) seen_days: u64,
}

impl RoomHistory {
    /// The name under which it is stored.
    pub(crate) const KEY: &str = "room on the disk";

    /// Whether a day has gone by since the last one that is known.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        // A clock that was set back does not stop it.
        self.0.last().is_none_or(|last| !(0..APART_MILLIS).contains(&(now - last.at)))
    }

    /// Adds what there is now.
    pub(crate) fn note(&mut self, now: i64, space: Space) {
        self.0.retain(|day| day.at < now);
        self.0.push(Day { at: now, free_bytes: space.free_bytes, total_bytes: space.total_bytes });
        let superfluous = self.0.len().saturating_sub(MAX_DAYS);
        self.0.drain(..superfluous);
    }

    /// Returns when the disk will be full by the days before and what there is now; `None` when it does not fill, or too little
    /// is known.
    pub(crate) fn forecast(&self, now: i64, space: Space) -> Option<Forecast> {
        let mut known = self.clone();
        known.note(now, space);
        // Before it had another size, it was another disk.
        let days: Vec<Day> = known.0.into_iter().rev().take_while(|day| day.total_bytes == space.total_bytes).collect();
        let span = now - days.last()?.at;
        if days.len() < 3 || span < MIN_SPAN_MILLIS {
            return None;
        }
        // The middle of the paces between any two days: one day on which much came or went changes little.
        let mut paces: Vec<f64> = Vec::new();
        for (nth, later) in days.iter().enumerate() {
            for earlier in &days[nth + 1..] {
                let lost = earlier.free_bytes as f64 - later.free_bytes as f64;
                paces.push(lost * DAY_MILLIS as f64 / (later.at - earlier.at) as f64);
            }
        }
        paces.sort_by(f64::total_cmp);
        let pace = paces[paces.len() / 2];
        let left = space.free_bytes as f64 / pace;
        (pace > 0.0 && left <= MAX_DAYS_LEFT)
            .then_some(Forecast { days_left: left as u64, seen_days: (span / DAY_MILLIS).unsigned_abs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn space(free_gib: u64) -> Space {
        Space { free_bytes: free_gib * GIB, total_bytes: 100 * GIB }
    }

    fn after(free_gib: &[u64]) -> RoomHistory {
        let mut history = RoomHistory::default();
        for (day, free) in (0..).zip(free_gib) {
            history.note(day * DAY_MILLIS, space(*free));
        }
        history
    }

    #[test]
    fn a_disk_that_fills_is_full_one_day() {
        let history = after(&[50, 48, 46, 44]);
        assert_eq!(history.forecast(4 * DAY_MILLIS, space(42)), Some(Forecast { days_left: 21, seen_days: 4 }));
        // Somebody put a film there for a day.
        let history = after(&[50, 48, 20, 44, 42, 40]);
        assert_eq!(history.forecast(6 * DAY_MILLIS, space(38)), Some(Forecast { days_left: 19, seen_days: 6 }));
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        assert_eq!(after(&[50, 40]).forecast(2 * DAY_MILLIS, space(30)), None, "two days are no trend");
        assert_eq!(after(&[50, 50, 50, 50]).forecast(4 * DAY_MILLIS, space(50)), None);
        assert_eq!(after(&[50, 51, 52, 53]).forecast(4 * DAY_MILLIS, space(54)), None, "it gets emptier");
        let mut grown = after(&[5, 4, 3, 2]);
        grown.note(4 * DAY_MILLIS, Space { free_bytes: 90 * GIB, total_bytes: 200 * GIB });
        let now = Space { free_bytes: 80 * GIB, total_bytes: 200 * GIB };
        assert_eq!(grown.forecast(5 * DAY_MILLIS, now), None, "the disk is another one");
    }

    #[test]
    fn one_a_day_is_kept_and_a_month_of_them() {
        let mut history = after(&[50]);
        assert!(!history.is_due(DAY_MILLIS / 2) && history.is_due(DAY_MILLIS) && RoomHistory::default().is_due(0));
        assert!(history.is_due(-DAY_MILLIS), "the clock was set back");
        history.note(-DAY_MILLIS, space(49));
        assert_eq!(history.0.len(), 1);
        for day in 0..100 {
            history.note(day * DAY_MILLIS, space(50));
        }
        assert_eq!(history.0.len(), MAX_DAYS);
        let kept: RoomHistory = serde_json::from_slice(&serde_json::to_vec(&history).unwrap()).unwrap();
        assert_eq!(kept, history);
    }
}
