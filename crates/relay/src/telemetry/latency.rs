//! How long things take: a histogram that many threads add to without waiting for each other.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets, in seconds; what takes longer is in one more.
pub(crate) const BOUNDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const BUCKETS: usize = BOUNDS.len() + 1;

/// Durations, counted.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

/// What a [`Latency`] had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) sum_micros: u64,
}

impl Latency {
    pub(crate) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.buckets[BOUNDS.partition_point(|bound| *bound < seconds)].fetch_add(1, Relaxed);
        self.sum_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn counted(&self) -> Counted {
        Counted { buckets: std::array::from_fn(|at| self.buckets[at].load(Relaxed)), sum_micros: self.sum_micros.load(Relaxed) }
    }
}

impl Counted {
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns what was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            buckets: std::array::from_fn(|at| self.buckets[at].saturating_sub(earlier.buckets[at])),
            sum_micros: self.sum_micros.saturating_sub(earlier.sum_micros),
        }
    }

    /// Returns the time in milliseconds within which this share of what was counted was done, as near as the buckets tell;
    /// `None` when nothing was counted.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = share * count as f64;
        let mut below = 0.0;
        for (at, in_bucket) in self.buckets.iter().enumerate() {
            let in_bucket = *in_bucket as f64;
            if in_bucket > 0.0 && below + in_bucket >= wanted {
                let lower = if at == 0 { 0.0 } else { BOUNDS[at - 1] };
                let upper = BOUNDS.get(at).copied().unwrap_or(lower);
                return Some((lower + (upper - lower) * (wanted - below) / in_bucket) * 1000.0);
            }
            below += in_bucket;
        }
        BOUNDS.last().map(|last| last * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_the_right_bucket() {
        let latency = Latency::default();
        assert_eq!(latency.counted().quantile_ms(0.5), None);
        for _ in 0..98 {
            latency.observe(Duration::from_millis(2));
        }
        latency.observe(Duration::from_millis(80));
        latency.observe(Duration::from_secs(60));
        let counted = latency.counted();
        assert_eq!(counted.count(), 100);
        assert!((1.0..=2.5).contains(&counted.quantile_ms(0.5).unwrap()));
        assert!((50.0..=100.0).contains(&counted.quantile_ms(0.99).unwrap()));
        assert_eq!(counted.quantile_ms(1.0), Some(30_000.0), "the last bucket has no end");
        latency.observe(Duration::from_millis(3));
        assert_eq!(latency.counted().since(&counted).count(), 1);
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let latency = Latency::default();
        latency.observe(Duration::from_micros(500));
        assert_eq!(latency.counted().buckets[0], 1);
    }
}
