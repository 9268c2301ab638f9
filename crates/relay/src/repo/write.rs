//! Writing to repos.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::{Cid, Clock, Datetime, Did, Tid};
use crypto::SigningKey;
use repo_engine::{Key, TreeError, UnsignedCommit};
use tokio::sync::OwnedMutexGuard;
use tracing::Instrument as _;

use super::handle::{RepoHandle, RepoHandles, RepoState, Tally};
use super::nodes::NodeCache;
use super::prepare::{self, PreparedCommit};
use super::rebuild::{NewHead, Rebuilt};
use super::slices::Slices;
use super::sweep::UnderWay;
use crate::auth::RepoGrant;
use crate::background;
use crate::firehose::frames;
use crate::secrets::Secrets;
use crate::store::account::Status;
use crate::store::{AccountId, BatchTx, Db, StoreError, WriteFailed, account, blob, repo};
use crate::telemetry::spans;

/// A record that was checked and encoded.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) cid: Cid,
    pub(crate) block: Bytes,
    /// The blobs that it refers to.
    pub(crate) blobs: Vec<blob::Reference>,
}

/// What a record must be before a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    Anything,
    Absent,
    Is(Cid),
}

/// A change of one record.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// The record must not exist.
    Create { key: Key, record: Record },
    /// The record must not exist; those of its collection that have its subject are deleted. It is alone in its commit.
    CreateUnique { key: Key, record: Record },
    /// The record must exist.
    Update { key: Key, record: Record },
    /// Creates or updates; writing what is there is no change.
    Put { key: Key, record: Record, swap: Swap },
    /// The record must exist.
    Delete { key: Key },
    /// Deleting what is not there is no change.
    DeleteIfThere { key: Key, swap: Swap },
}

/// A commit as clients are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitMeta {
    pub(crate) cid: Cid,
    pub(crate) rev: Tid,
}

/// Why a write to a repository did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("Commit was at {actual}")]
    CommitSwap { actual: Cid },
    #[error("Record was at {}", .actual.map_or_else(|| "null".to_owned(), |cid| cid.to_string()))]
    RecordSwap { actual: Option<Cid> },
    #[error("Record already exists: {0}; use putRecord to replace it")]
    RecordExists(Key),
    #[error("Could not find record: {0}")]
    RecordNotFound(Key),
    #[error("Could not find blob: {0}")]
    BlobNotFound(Cid),
    #[error("Referenced Mimetype does not match stored blob. Expected: {stored}, Got: {referenced}")]
    BlobMimeType { stored: String, referenced: String },
    #[error("Referenced size does not match stored blob. Expected: {stored}, Got: {referenced}")]
    BlobSize { stored: u64, referenced: u64 },
    #[error("Too many writes. Max event size: 2MB")]
    TooBig,
    #[error("Could not find repo")]
    RepoNotFound,
    /// The account was deactivated or taken down while the commit was on its way.
    #[error("the account is not active")]
    Inactive(Status),
    #[error("a commit that this one stands on did not become durable")]
    Superseded,
    #[error("the tree of the repo could not be read")]
    Tree(#[source] Box<TreeError<StoreError>>),
    #[error("the signing key could not be opened")]
    Key(#[source] crate::secrets::SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl WriteError {
    /// Whether what is stored of the tree is not what it must be.
    fn is_damage(&self) -> bool {
        if let Self::Tree(err) = self {
            return match &**err {
                TreeError::Store(StoreError::Corrupt { .. }) | TreeError::MissingNode(_) | TreeError::Misplaced { .. } => true,
                TreeError::Store(_) | TreeError::TooLarge(_) => false,
            };
        }
        matches!(self, Self::Store(StoreError::Corrupt { table: "node" | "repo", .. }))
    }
}

impl From<TreeError<StoreError>> for WriteError {
    fn from(err: TreeError<StoreError>) -> Self {
        Self::Tree(Box::new(err))
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(err: rusqlite::Error) -> Self {
        Self::Store(err.into())
    }
}

/// The repos of this server.
#[derive(Debug)]
pub(crate) struct Repos {
    pub(super) db: Arc<Db>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) nodes: Arc<NodeCache>,
    pub(super) handles: RepoHandles,
    /// Of all repos.
    commits: Tally,
    /// Distinguishes our revs from those of another process in the same microsecond.
    pub(super) clock_id: u16,
    /// The last TID that was given to a record.
    last_tid: AtomicU64,
    /// Where what a repair replaces is laid aside.
    pub(super) evidence: PathBuf,
    pub(super) slices: Slices,
    pub(super) importing: UnderWay,
    /// Held by who sweeps.
    pub(super) sweeping: tokio::sync::Mutex<()>,
}

/// The first commit of a new account, to be stored with it.
#[derive(Debug)]
pub(crate) struct FirstCommit {
    row: repo::RepoRow,
    event: crate::store::event::FrameParts,
    sync: crate::store::event::FrameParts,
}

impl Repos {
    pub(crate) fn new(
        db: Arc<Db>,
        clock: Arc<dyn Clock>,
        secrets: Arc<Secrets>,
        node_cache_bytes: u64,
        evidence: PathBuf,
    ) -> Self {
        let clock_id = u16::from_be_bytes(crate::random::bytes());
        Self {
            db,
            clock,
            secrets,
            nodes: Arc::new(NodeCache::new(node_cache_bytes)),
            handles: RepoHandles::new(),
            commits: Tally::default(),
            clock_id,
            last_tid: AtomicU64::new(0),
            evidence,
            slices: Slices::default(),
            importing: UnderWay::default(),
            sweeping: tokio::sync::Mutex::default(),
        }
    }

    /// Writes to the repo that `grant` is for, in one commit, and returns when that is durable; `None` when
    /// the writes change nothing.
    pub(crate) async fn write(
        &self,
        grant: &RepoGrant,
        writes: Vec<Write>,
        swap_commit: Option<Cid>,
    ) -> Result<Option<CommitMeta>, WriteError> {
        let writes = Arc::new(writes);
        match self.attempt(grant, Arc::clone(&writes), swap_commit).await {
            Err(err) if err.is_damage() => {
                self.heal(grant, err).await?;
                self.attempt(grant, writes, swap_commit).await
            }
            result => result,
        }
    }

    /// Mends a repo whose tree could not be read, from its records. One whose records make another tree is left to the operator.
    async fn heal(&self, grant: &RepoGrant, damage: WriteError) -> Result<(), WriteError> {
        let did = grant.did();
        match self.rebuild(grant.account(), did, NewHead::Never).await {
            Ok(Rebuilt { nodes_stored, nodes_removed, evidence, .. }) => {
                let error = &damage as &dyn std::error::Error;
                tracing::warn!(error, %did, nodes_stored, nodes_removed, ?evidence, "the tree of a repo was damaged and is mended");
                Ok(())
            }
            Err(err) => {
                let error = &err as &dyn std::error::Error;
                tracing::error!(error, %did, "the tree of a repo is damaged; run `relay verify --repair --account` with this account");
                Err(damage)
            }
        }
    }

    async fn attempt(
        &self,
        grant: &RepoGrant,
        writes: Arc<Vec<Write>>,
        swap_commit: Option<Cid>,
    ) -> Result<Option<CommitMeta>, WriteError> {
        let handle = self.handles.get(grant.account(), grant.did());
        let (pending, meta) = {
            let slot = Arc::clone(&handle.state).lock_owned().instrument(spans::step("wait for the repo")).await;
            let permit = self.db.reserve_write()?;
            let (mut slot, prepared) =
                self.prepare(&handle, slot, &writes, swap_commit).instrument(spans::step("prepare the commit")).await?;
            let Some(prepared) = prepared else { return Ok(None) };
            let room = handle.room(writes.len()).instrument(spans::step("wait for earlier commits")).await;
            // From here to the end of the block there is no await.
            let state = slot.as_mut().expect("preparing read the state");
            let (generation, ticket) = (state.generation, state.ticket + 1);
            let meta = prepared.meta;
            prepared.advance(state, ticket);
            let settled = Arc::clone(&handle);
            let account = handle.account;
            let pending = permit.of_repo(account, prepared.rows()).submit::<_, WriteError>(
                move |tx| prepared.store(tx, account),
                move |durable| {
                    settled.settle(generation, ticket, durable);
                    drop(room);
                },
            );
            (pending, meta)
        };
        pending.instrument(spans::step("make the commit durable")).await?;
        Ok(Some(meta))
    }

    /// Prepares a commit on top of the newest head; `None` when the writes change nothing.
    async fn prepare(
        &self,
        handle: &Arc<RepoHandle>,
        mut slot: OwnedMutexGuard<Option<RepoState>>,
        writes: &Arc<Vec<Write>>,
        swap_commit: Option<Cid>,
    ) -> Result<(OwnedMutexGuard<Option<RepoState>>, Option<Box<PreparedCommit>>), WriteError> {
        let (nodes, now_micros, clock_id) = (Arc::clone(&self.nodes), self.clock.micros(), self.clock_id);
        let gives_way = handle.is_greedy(&self.commits, now_micros) || background::is_much(writes.len());
        if !gives_way {
            let prepared = self.db.read(|conn| {
                let state = self.newest(conn, handle, &mut slot)?;
                prepare::prepare(&prepare::Context {
                    conn,
                    handle,
                    state,
                    nodes: &nodes,
                    now_micros,
                    clock_id,
                    writes,
                    swap_commit,
                })
            });
            let prepared = prepared.await?;
            return Ok((slot, prepared));
        }
        self.db.read(|conn| self.newest(conn, handle, &mut slot).map(|_| ())).await?;
        let (handle, writes) = (Arc::clone(handle), Arc::clone(writes));
        let prepare = move |conn: &rusqlite::Connection| {
            let (handle, nodes, writes) = (&handle, &nodes, &writes);
            let state = slot.as_ref().expect("it was read above");
            let prepared =
                prepare::prepare(&prepare::Context { conn, handle, state, nodes, now_micros, clock_id, writes, swap_commit });
            prepared.map(|prepared| (slot, prepared))
        };
        self.db.prepare(prepare).await?
    }

    /// Makes a new commit over the tree as it is, and announces it as the state of the repo, whatever was seen before: after a
    /// restore, for consumers saw later revs.
    pub(crate) async fn renew(&self, account: AccountId, did: &Did) -> Result<(), WriteError> {
        let handle = self.handles.get(account, did);
        let pending = {
            let mut slot = handle.state.lock().await;
            let permit = self.db.reserve_write()?;
            let (row, previous) = self
                .db
                .read(|conn| {
                    let state = self.newest(conn, &handle, &mut slot)?;
                    let rev = Tid::next_after(Some(state.rev), self.clock.micros(), self.clock_id);
                    let commit = UnsignedCommit { did: did.clone(), rev, data: state.data }.sign(&state.key);
                    let row = repo::RepoRow {
                        head: commit.cid,
                        rev,
                        data: state.data,
                        commit_block: commit.block.to_vec(),
                        fresh_nodes: state.fresh.encode(),
                    };
                    Ok::<_, WriteError>((row, state.head))
                })
                .await?;
            // From here to the end of the block there is no await.
            let state = slot.as_mut().expect("the read above made it");
            let (generation, ticket) = (state.generation, state.ticket + 1);
            (state.head, state.rev, state.ticket) = (row.head, row.rev, ticket);
            let (settled, did) = (Arc::clone(&handle), did.clone());
            permit.of_repo(account, 1).submit::<_, WriteError>(
                move |tx| {
                    if !repo::advance(tx, account, &previous, &row)? {
                        return Err(WriteError::Superseded);
                    }
                    let time = Datetime::from_millis(tx.now_millis());
                    let blocks = prepare::commit_car(&row.head, &row.commit_block);
                    tx.emit(account, &frames::sync(&did, row.rev, &blocks, time.as_str()))?;
                    Ok(())
                },
                move |durable| settled.settle(generation, ticket, durable),
            )
        };
        pending.await
    }

    /// Returns the newest head, which is read from the store when memory has none, or one that stands on a failed commit.
    pub(super) fn newest<'s>(
        &self,
        conn: &rusqlite::Connection,
        handle: &RepoHandle,
        slot: &'s mut Option<RepoState>,
    ) -> Result<&'s RepoState, WriteError> {
        let key = match slot.take() {
            Some(mut state) if !handle.has_failed(&state) => {
                let durable = handle.durable_ticket();
                while state.spilled.front().is_some_and(|(ticket, _)| *ticket <= durable) {
                    state.spilled.pop_front();
                }
                while state.links.front().is_some_and(|(ticket, _)| *ticket <= durable) {
                    state.links.pop_front();
                }
                return Ok(slot.insert(state));
            }
            Some(state) => state.key,
            None => {
                let sealed = account::sealed_signing_key(conn, handle.account)?;
                Arc::new(self.secrets.open_signing_key(&handle.did, &sealed).map_err(WriteError::Key)?)
            }
        };
        let generation = handle.next_generation();
        let row = repo::find(conn, handle.account)?.ok_or(WriteError::RepoNotFound)?;
        Ok(slot.insert(RepoState {
            head: row.head,
            rev: row.rev,
            data: row.data,
            fresh: super::fresh::Fresh::decode(&row.fresh_nodes)?,
            spilled: std::collections::VecDeque::new(),
            links: std::collections::VecDeque::new(),
            key,
            generation,
            ticket: handle.durable_ticket(),
        }))
    }

    /// Returns a key for a record: the time, and never the same twice.
    pub(crate) fn next_tid(&self) -> Tid {
        let mut last = self.last_tid.load(Ordering::Acquire);
        loop {
            let next = Tid::next_after(Tid::from_u64(last), self.clock.micros(), self.clock_id);
            match self.last_tid.compare_exchange_weak(last, next.as_u64(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return next,
                Err(newer) => last = newer,
            }
        }
    }

    /// Prepares the empty first commit of a new account.
    pub(crate) fn first_commit(&self, did: &Did, key: &SigningKey) -> FirstCommit {
        let rev = Tid::next_after(None, self.clock.micros(), self.clock_id);
        prepare::first_commit(did, rev, key)
    }

    /// Forgets what memory holds of a repo whose account is gone.
    pub(crate) fn forget(&self, account: AccountId) {
        self.handles.remove(account);
    }
}

impl FirstCommit {
    pub(super) fn new(
        row: repo::RepoRow,
        event: crate::store::event::FrameParts,
        sync: crate::store::event::FrameParts,
    ) -> Self {
        Self { row, event, sync }
    }

    /// Stores the repo. Where the account is active its events follow: `#identity`, `#account`, `#commit`, `#sync`.
    pub(crate) fn store(
        &self,
        tx: &mut BatchTx<'_>,
        account: AccountId,
        announce: Option<(&Did, &common::Handle)>,
    ) -> Result<(), StoreError> {
        repo::insert(tx, account, &self.row)?;
        if let Some((did, handle)) = announce {
            let time = Datetime::from_millis(tx.now_millis());
            tx.emit(account, &frames::identity(did, Some(handle), time.as_str()))?;
            tx.emit(account, &frames::account(did, Status::Active, time.as_str()))?;
            tx.emit(account, &self.event)?;
            tx.emit(account, &self.sync)?;
        }
        Ok(())
    }
}
