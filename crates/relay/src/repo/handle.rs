//! What is kept in memory of a repo that is written to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Cid, Did, Tid};
use crypto::SigningKey;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::duplicates::PendingLink;
use super::fresh::{Fresh, FreshNode};
use crate::store::AccountId;

/// Repos whose head is kept in memory. One takes about 20 kB.
const MAX_HANDLES: usize = 512;

/// What one repo may have on its way to the store, in records, with [`COMMIT`] for each commit itself: so much the writer has
/// stored in a few milliseconds, and that is how long one account can keep the others waiting, however fast it writes.
const ROOM: usize = 256;
/// What storing a commit costs beside its records, in records.
const COMMIT: usize = 3;

/// In which commits are counted, in microseconds.
const WINDOW: u64 = 100_000;
/// Commits in one that no account must answer for.
const FEW: u64 = 10;

/// A repo that is, or lately was, written to.
#[derive(Debug)]
pub(super) struct RepoHandle {
    pub(super) account: AccountId,
    pub(super) did: Did,
    /// The newest head; `None` until it is needed.
    pub(super) state: Arc<Mutex<Option<RepoState>>>,
    /// States of this generation or an earlier one stand on a commit that failed.
    failed_generation: AtomicU64,
    /// Number of the last commit that became durable, counted from 1 in each process.
    durable_ticket: AtomicU64,
    room: Arc<Semaphore>,
    commits: Tally,
}

/// Commits since the present [`WINDOW`] began.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    /// Counts one more, and returns how many there are.
    pub(super) fn count(&self, now_micros: u64) -> u64 {
        const BITS: u32 = 24;
        let window = (now_micros / WINDOW) << BITS;
        let next = |tally: u64| if tally >> BITS << BITS == window { tally + 1 } else { window + 1 };
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tally| Some(next(tally)));
        next(before.unwrap_or_else(|tally| tally)) - window
    }
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

impl RepoState {
    /// Returns the root of the tree, and the rev.
    pub(super) fn tree(&self) -> (Cid, Tid) {
        (self.data, self.rev)
    }
}

impl RepoHandle {
    fn new(account: AccountId, did: Did) -> Self {
        Self {
            account,
            did,
            state: Arc::default(),
            failed_generation: AtomicU64::new(0),
            durable_ticket: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(ROOM)),
            commits: Tally::default(),
        }
    }

    /// Waits until what this repo has on its way to the store leaves room for a commit of so many records, and takes that. A
    /// commit that is larger than all of the room takes all of it.
    pub(super) async fn room(&self, records: usize) -> OwnedSemaphorePermit {
        let wanted = (COMMIT + records).min(ROOM) as u32;
        Arc::clone(&self.room).acquire_many_owned(wanted).await.expect("the room is never closed")
    }

    /// Counts a commit of this repo, beside those of `all`, and tells whether it has to give way: whether others write, and this one
    /// more than twice as much as they do together.
    pub(super) fn is_greedy(&self, all: &Tally, now_micros: u64) -> bool {
        let (own, all) = (self.commits.count(now_micros), all.count(now_micros));
        own > FEW && own < all && own * 3 > all * 2
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn handle(account: i64) -> RepoHandle {
        RepoHandle::new(AccountId(account), "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap())
    }

    #[test]
    fn one_repo_has_a_bounded_part_of_what_the_writer_has_before_it() {
        let (greedy, other) = (handle(1), handle(2));
        let first = greedy.room(200).now_or_never().expect("nothing is on its way");
        assert!(greedy.room(200).now_or_never().is_none(), "a second one waits for the first");
        assert!(greedy.room(1).now_or_never().is_some(), "small ones have room beside it");
        assert!(other.room(200).now_or_never().is_some(), "another repo is not concerned");
        drop(first);
        assert!(greedy.room(200).now_or_never().is_some());
        assert!(greedy.room(10 * ROOM).now_or_never().is_some(), "a commit that is larger than the room goes alone");
    }

    #[test]
    fn who_writes_more_than_all_others_gives_way_to_them() {
        let (all, greedy, other) = (Tally::default(), handle(1), handle(2));
        let commits = |handle: &RepoHandle, window: u64, count: usize| {
            (0..count).filter(|_| handle.is_greedy(&all, window * WINDOW)).count()
        };
        assert_eq!(commits(&greedy, 1, 100), 0, "nobody else writes");
        assert_eq!(commits(&other, 1, 1), 0);
        assert_eq!(commits(&greedy, 1, 5), 5);
        assert_eq!((commits(&other, 2, 1), commits(&greedy, 2, 30)), (0, 20), "a new window begins with few");
        assert_eq!((commits(&other, 2, 30), commits(&greedy, 2, 20)), (0, 0), "the others write as much");
    }

    #[test]
    fn many_small_commits_of_one_repo_may_share_a_transaction() {
        let handle = handle(1);
        let room: Vec<_> = (0..ROOM).map_while(|_| handle.room(1).now_or_never()).collect();
        assert_eq!(room.len(), ROOM / (COMMIT + 1));
    }
}
