//! Which backups are kept.

use std::collections::HashSet;

use crate::config::Keep;

const DAY: i64 = 24 * 3600 * 1000;

/// Numbers the day, week or month of a time.
type Period = fn(i64) -> i64;

/// Returns those of `taken`, times in milliseconds since the epoch, that are kept: the newest of each of the last days, weeks
/// and months that have one, and always the newest of all. Days and weeks (from Monday) and months are those of UTC.
pub(super) fn kept(taken: &[i64], keep: Keep) -> HashSet<i64> {
    let mut newest_first = taken.to_vec();
    newest_first.sort_unstable_by_key(|time| std::cmp::Reverse(*time));
    let mut kept: HashSet<i64> = newest_first.first().copied().into_iter().collect();
    let periods: [(usize, Period); 3] = [
        (keep.daily, |time| time.div_euclid(DAY)),
        // The epoch was a Thursday.
        (keep.weekly, |time| (time.div_euclid(DAY) + 3).div_euclid(7)),
        (keep.monthly, month),
    ];
    for (count, period) in periods {
        let mut seen = HashSet::new();
        for time in &newest_first {
            if seen.len() >= count {
                break;
            }
            if seen.insert(period(*time)) {
                kept.insert(*time);
            }
        }
    }
    kept
}

/// Returns the number of months from the epoch to the month of `millis`.
fn month(millis: i64) -> i64 {
    // Years from March, so that the day that some years have comes last: <https://howardhinnant.github.io/date_algorithms.html>.
    let days = millis.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    (era * 400 + year_of_era) * 12 + month_from_march
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const KEEP: Keep = Keep { daily: 7, weekly: 4, monthly: 6, every_moment: Duration::ZERO };
    /// 2026-01-01, a Thursday.
    const START: i64 = 1_767_225_600_000;

    #[test]
    fn two_years_of_nightly_backups_leave_days_weeks_and_months() {
        let nights: Vec<i64> = (0..730).map(|day| START + day * DAY + 3 * 3600 * 1000).collect();
        let mut days: Vec<i64> = kept(&nights, KEEP).into_iter().map(|time| (time - START) / DAY).collect();
        days.sort_unstable();
        // The last night is 2027-12-31, a Friday: the Sundays 5, 12 and 19 nights before, and the ends of five months before.
        assert_eq!(days, [576, 607, 637, 668, 698, 710, 717, 723, 724, 725, 726, 727, 728, 729]);
    }

    #[test]
    fn the_newest_stays_when_nothing_shall_be_kept() {
        let none = Keep { daily: 0, weekly: 0, monthly: 0, every_moment: Duration::ZERO };
        assert_eq!(kept(&[1, 3, 2], none), HashSet::from([3]));
        assert!(kept(&[], none).is_empty());
    }

    #[test]
    fn months_begin_where_they_do() {
        assert_eq!(month(START - 1) + 1, month(START));
        assert_eq!(month(START), month(START + 31 * DAY - 1));
        assert_eq!(month(START) + 1, month(START + 31 * DAY));
        assert_eq!(month(START) + 2, month(START + 59 * DAY));
    }

    proptest! {
        #[test]
        fn pruning_twice_is_pruning_once_and_a_new_one_never_revives_an_old(
            mut taken in proptest::collection::vec(START..START + 800 * DAY, 1..60),
        ) {
            taken.sort_unstable();
            let all = kept(&taken, KEEP);
            prop_assert!(all.len() <= 17 && all.contains(taken.last().unwrap()));
            let left: Vec<i64> = all.iter().copied().collect();
            prop_assert_eq!(&kept(&left, KEEP), &all);
        }
    }
}
