//! How far the steps that take long are, and that a move has one step at a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use common::Did;
use serde::{Deserialize, Serialize};

use super::Fault;

/// Steps that are done at once, of different moves.
const AT_ONCE: usize = 8;

/// The steps that are being done.
#[derive(Debug, Default)]
pub(crate) struct Moves(Mutex<HashMap<Did, Arc<Counts>>>);

/// What was done so far of a step.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Bytes of the repo.
    pub(super) repo_bytes: AtomicU64,
    pub(super) blobs: AtomicU64,
    pub(super) blobs_of: AtomicU64,
}

/// What was done so far of a step, as it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    pub(crate) repo_bytes: u64,
    pub(crate) blobs: u64,
    /// How many blobs there are to fetch; 0 while that is not known.
    pub(crate) blobs_of: u64,
}

/// A step that is being done, until this is dropped.
pub(super) struct Turn<'a> {
    moves: &'a Moves,
    did: Did,
    pub(super) counts: Arc<Counts>,
}

impl Moves {
    /// Begins a step.
    ///
    /// # Errors
    ///
    /// [`Fault::Busy`] when another step of the move is being done, or too many of others are.
    pub(super) fn begin(&self, did: &Did) -> Result<Turn<'_>, Fault> {
        let mut moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if moves.contains_key(did) || moves.len() >= AT_ONCE {
            return Err(Fault::Busy);
        }
        let counts = Arc::<Counts>::default();
        moves.insert(did.clone(), Arc::clone(&counts));
        Ok(Turn { moves: self, did: did.clone(), counts })
    }

    /// Tells how far the step is that is being done; `None` when none is.
    pub(crate) fn progress(&self, did: &Did) -> Option<Progress> {
        let moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = moves.get(did)?;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some(Progress { repo_bytes: read(&counts.repo_bytes), blobs: read(&counts.blobs), blobs_of: read(&counts.blobs_of) })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.moves.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.did);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_has_one_step_at_a_time() {
        let moves = Moves::default();
        let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        assert_eq!(moves.progress(&did), None);
        let turn = moves.begin(&did).unwrap();
        turn.counts.blobs.fetch_add(2, Ordering::Relaxed);
        assert_eq!(moves.progress(&did).unwrap().blobs, 2);
        assert_eq!(moves.begin(&did).err(), Some(Fault::Busy));
        drop(turn);
        assert!(moves.begin(&did).is_ok());
    }
}
