//! What is kept in memory of a repo that is written to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Cid, Did, Tid};
use crypto::SigningKey;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use tokio::sync::Mutex;

use super::duplicates::PendingLink;
use super::fresh::{Fresh, FreshNode};
use crate::store::AccountId;

/// Repos whose head is kept in memory. One takes about 20 kB.
const MAX_HANDLES: usize = 512;

/// A repo that is, or lately was, written to.
#[derive(Debug)]
pub(super) struct RepoHandle {
    pub(super) account: AccountId,
    pub(super) did: Did,
    /// The newest head; `None` until it is needed.
    pub(super) state: Mutex<Option<RepoState>>,
    /// States of this generation or an earlier one stand on a commit that failed.
    failed_generation: AtomicU64,
    /// Number of the last commit that became durable, counted from 1 in each process.
    durable_ticket: AtomicU64,
}

/// The newest head of a repo, which may be on its way to the store.
#[derive(Debug)]
pub(super) struct RepoState {
    pub(super) head: Cid,
    pub(super) rev: Tid,
    pub(super) data: Cid,
    pub(super) fresh: Fresh,
    /// Nodes that commits carry to the table, until those are durable: no reader finds them before.
    pub(super) spilled: VecDeque<(u64, FreshNode)>,
    /// Changes of backlinks, likewise.
    pub(super) links: VecDeque<(u64, PendingLink)>,
    pub(super) key: Arc<SigningKey>,
    /// Grows each time that the head is read from the store anew.
    pub(super) generation: u64,
    /// Number of the last commit that was handed in.
    pub(super) ticket: u64,
}

impl RepoHandle {
    fn new(account: AccountId, did: Did) -> Self {
        Self { account, did, state: Mutex::new(None), failed_generation: AtomicU64::new(0), durable_ticket: AtomicU64::new(0) }
    }

    /// The generation that the next state read from the store has.
    pub(super) fn next_generation(&self) -> u64 {
        self.failed_generation.load(Ordering::Acquire) + 1
    }

    /// Whether a commit below this state failed.
    pub(super) fn has_failed(&self, state: &RepoState) -> bool {
        self.failed_generation.load(Ordering::Acquire) >= state.generation
    }

    /// Notes what became of a commit; called by the writer thread, in order.
    pub(super) fn settle(&self, generation: u64, ticket: u64, durable: bool) {
        if durable {
            self.durable_ticket.fetch_max(ticket, Ordering::AcqRel);
        } else {
            self.failed_generation.fetch_max(generation, Ordering::AcqRel);
        }
    }

    pub(super) fn durable_ticket(&self) -> u64 {
        self.durable_ticket.load(Ordering::Acquire)
    }
}

/// The repos in memory. One that is in use is never dropped, since there must not be two of one repo.
#[derive(Debug)]
pub(super) struct RepoHandles {
    cache: Cache<AccountId, Arc<RepoHandle>, UnitWeighter, DefaultHashBuilder, KeepUsed>,
}

#[derive(Clone, Copy, Debug, Default)]
struct KeepUsed;

impl Lifecycle<AccountId, Arc<RepoHandle>> for KeepUsed {
    type RequestState = ();

    fn is_pinned(&self, _: &AccountId, handle: &Arc<RepoHandle>) -> bool {
        // Callers and queued commits each hold one.
        Arc::strong_count(handle) > 1
    }
}

impl RepoHandles {
    pub(super) fn new() -> Self {
        let cache = Cache::with(MAX_HANDLES, MAX_HANDLES as u64, UnitWeighter, DefaultHashBuilder::default(), KeepUsed);
        Self { cache }
    }

    pub(super) fn get(&self, account: AccountId, did: &Did) -> Arc<RepoHandle> {
        let made = self.cache.get_or_insert_with(&account, || {
            Ok::<_, std::convert::Infallible>(Arc::new(RepoHandle::new(account, did.clone())))
        });
        match made {
            Ok(handle) => handle,
        }
    }

    /// Forgets a repo, whose account is gone.
    pub(super) fn remove(&self, account: AccountId) {
        self.cache.remove(&account);
    }
}
