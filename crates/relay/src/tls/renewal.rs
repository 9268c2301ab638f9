//! When a certificate is renewed.

use std::time::Duration;

/// The wait after the first failure of an order; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_secs(60);
const MAX_BACKOFF: Duration = Duration::from_secs(6 * 3600);

/// Returns when a certificate is to be renewed: when a third of its life is left. Times are milliseconds since 1970.
pub(super) fn at_a_third(not_before: i64, not_after: i64) -> i64 {
    not_after - (not_after - not_before).max(0) / 3
}

/// Returns a moment in the window that the authority suggests (ARI), which `dice` chooses, but none after the end.
// https://www.rfc-editor.org/rfc/rfc9773.html#section-4.2
pub(super) fn within(start: i64, end: i64, not_after: i64, dice: u64) -> i64 {
    let span = u64::try_from(end.saturating_sub(start)).unwrap_or(0);
    let into = if span == 0 { 0 } else { i64::try_from(dice % span).unwrap_or(0) };
    start.saturating_add(into).min(not_after)
}

/// Returns how long to wait after so many failures in a row.
pub(super) fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_BACKOFF.saturating_mul(1 << doublings).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        assert_eq!(at_a_third(0, 90), 60);
        assert_eq!(at_a_third(10, 10), 10);
        assert_eq!(at_a_third(20, 10), 10);
    }

    #[test]
    fn a_suggested_window_is_kept() {
        for dice in [0, 1, 99, 100, u64::MAX] {
            assert!((100..200).contains(&within(100, 200, 1000, dice)));
        }
        assert_eq!(within(100, 100, 1000, 7), 100);
        assert_eq!(within(200, 100, 1000, 7), 200);
        assert_eq!(within(5000, 6000, 1000, 7), 1000, "not after the certificate has ended");
    }

    #[test]
    fn waits_grow_to_some_hours() {
        assert_eq!(backoff(1), Duration::from_secs(60));
        assert_eq!(backoff(2), Duration::from_secs(120));
        assert_eq!(backoff(100), MAX_BACKOFF);
    }
}
