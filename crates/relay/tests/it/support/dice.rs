//! Chance that can be repeated.

use std::hash::{BuildHasher as _, RandomState};

/// A source of numbers that a seed determines (splitmix64).
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Takes the seed from `EZPDS_SEED`, or a new one, and prints it: a test that fails tells how to see it fail again.
    #[expect(clippy::print_stdout, reason = "the output of a failed test is where the seed is looked for")]
    pub(crate) fn from_env() -> Self {
        let given = std::env::var("EZPDS_SEED").ok().map(|seed| seed.parse().expect("EZPDS_SEED is a number"));
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
        println!("EZPDS_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Takes one out of `items`.
    pub(crate) fn take<T>(&mut self, items: &mut Vec<T>) -> T {
        let at = self.below(items.len());
        items.swap_remove(at)
    }

    /// Returns another source, for a task of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
