//! Which proofs and assertions came already.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::nonce::GOOD_SECONDS;

/// How long one generation is filled. What is remembered is at least one generation old when it is forgotten, which is longer
/// than any proof or assertion is good for.
pub(crate) const GENERATION_SECONDS: i64 = 2 * GOOD_SECONDS;
/// The most names in one generation: 16 bytes each. When it is full before its time, the older one is forgotten.
const MAX_NAMES: usize = 200_000;

/// Remembers names for some minutes, within a bound.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    began_at: i64,
    new: HashSet<u128>,
    old: HashSet<u128>,
}

impl Replays {
    /// Whether nothing of this name came from this sender lately; from now on something has.
    pub(crate) fn is_first(&self, kind: &str, sender: &str, name: &str, now_seconds: i64) -> bool {
        let mut hash = Sha256::new();
        for part in [kind, sender] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(name);
        let hash: [u8; 32] = hash.finalize().into();
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        let name = u128::from_be_bytes(first);
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now_seconds - generations.began_at;
        if !(0..GENERATION_SECONDS).contains(&age) || generations.new.len() >= MAX_NAMES {
            generations.old = std::mem::take(&mut generations.new);
            generations.began_at = now_seconds;
        }
        !generations.old.contains(&name) && generations.new.insert(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_once_and_is_forgotten_when_it_cannot_matter() {
        let replays = Replays::default();
        assert!(replays.is_first("proof", "key", "a", 1000));
        assert!(!replays.is_first("proof", "key", "a", 1000 + GOOD_SECONDS));
        assert!(!replays.is_first("proof", "key", "a", 1000 + GENERATION_SECONDS));
        assert!(replays.is_first("proof", "other", "a", 1000) && replays.is_first("assertion", "key", "a", 1000));
        assert!(replays.is_first("proof", "key", "b", 1000 + GENERATION_SECONDS));
        assert!(replays.is_first("proof", "key", "c", 1000 + 2 * GENERATION_SECONDS));
        assert!(replays.is_first("proof", "key", "d", 1000 + 3 * GENERATION_SECONDS));
        assert!(replays.is_first("proof", "key", "a", 1000 + 3 * GENERATION_SECONDS));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let replays = Replays::default();
        for nth in 0..MAX_NAMES * 3 {
            assert!(replays.is_first("proof", "key", &nth.to_string(), 1000));
        }
        let generations = replays.0.lock().unwrap();
        assert!(generations.new.len() <= MAX_NAMES && generations.old.len() <= MAX_NAMES);
    }
}
