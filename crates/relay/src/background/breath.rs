//! How long work lets others run.
//!
//! Lower priority is not enough for those who wait. Linux may let the thread that runs go on until its next tick, after up to 4
//! milliseconds, before it lets one run that has just been woken, whatever the priority of either: it is owed time for what others
//! had before. That goes for the threads of the system as well, and one of them tells the disk to make a commit durable. So long
//! work gives up its core now and then, and rests while a commit is on its way to the disk.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Small items between two pauses; some tenths of a millisecond.
const ITEMS: u32 = 32;

/// Who has worked for less than this does not rest: of commits without end, long work shall have half of the time.
const SHORT: Duration = Duration::from_micros(200);

/// The longest rest. A commit that takes longer waits for its disk, and not for a core.
const LONGEST_REST: Duration = Duration::from_millis(5);

/// Between two looks whether the rest is over.
const LOOK: Duration = Duration::from_micros(50);

/// Those for whom long work rests now.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// While it lives, long work rests.
#[derive(Debug)]
pub(crate) struct HoldBack(());

/// Has long work rest for something short that many may wait for.
pub(crate) fn hold_back() -> HoldBack {
    WAITING.fetch_add(1, Relaxed);
    HoldBack(())
}

impl Drop for HoldBack {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Relaxed);
    }
}

/// What a piece of long work has of itself.
#[derive(Debug)]
pub(crate) struct Breath {
    items: u32,
    rested: Instant,
}

impl Default for Breath {
    fn default() -> Self {
        Self { items: 0, rested: Instant::now() }
    }
}

impl Breath {
    /// To be taken for each item that takes some microseconds.
    pub(crate) fn take(&mut self) {
        self.items = self.items.wrapping_add(1);
        if self.items.is_multiple_of(ITEMS) {
            self.pause();
        } else {
            self.rest();
        }
    }

    /// To be taken for each item that takes about a tenth of a millisecond.
    pub(crate) fn pause(&mut self) {
        self.rest();
        std::thread::yield_now();
    }

    fn rest(&mut self) {
        if WAITING.load(Relaxed) > 0 && rest(self.rested.elapsed(), || WAITING.load(Relaxed) == 0) {
            self.rested = Instant::now();
        }
    }
}

/// Rests until that is over, for as long as was `worked` at most. Returns whether that was anything.
fn rest(worked: Duration, mut is_over: impl FnMut() -> bool) -> bool {
    if worked < SHORT {
        return false;
    }
    let (begun, most) = (Instant::now(), worked.min(LONGEST_REST));
    while !is_over() && begun.elapsed() < most {
        std::thread::sleep(LOOK);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_as_long_as_what_it_is_for() {
        let mut looks = 0;
        let third = || {
            looks += 1;
            looks == 3
        };
        assert!(rest(Duration::from_secs(1), third));
        assert_eq!(looks, 3);
    }

    /// Else nobody could export beside one who writes without a pause.
    #[test]
    fn a_rest_is_no_longer_than_the_work_before_it() {
        let never = || false;
        assert!(!rest(SHORT / 2, never));
        for worked in [SHORT, LONGEST_REST, Duration::from_secs(3600)] {
            assert!(rest(worked, never));
        }
    }

    #[test]
    fn long_work_rests_for_as_long_as_anyone_holds_it_back() {
        let (one, other) = (hold_back(), hold_back());
        drop(one);
        assert!(WAITING.load(Relaxed) > 0);
        let worked = Instant::now().checked_sub(LONGEST_REST).unwrap_or_else(Instant::now);
        let mut breath = Breath { items: 0, rested: worked };
        breath.take();
        assert!(breath.rested > worked, "it has rested");
        drop(other);
    }
}
