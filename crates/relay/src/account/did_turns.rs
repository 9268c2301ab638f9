//! Turns in changing a DID.

use tokio::sync::{Mutex, MutexGuard};

use crate::store::AccountId;

/// How many changes may be under way; two accounts with one remainder wait for each other.
const PLACES: usize = 64;

/// Lets one change of an account's DID follow the other: each is a question to the directory, an answer to it and a write here.
#[derive(Debug)]
pub(crate) struct DidTurns([Mutex<()>; PLACES]);

impl DidTurns {
    pub(crate) fn new() -> Self {
        Self([const { Mutex::const_new(()) }; PLACES])
    }

    pub(crate) async fn take(&self, account: AccountId) -> MutexGuard<'_, ()> {
        self.0[account.0.unsigned_abs() as usize % PLACES].lock().await
    }
}
