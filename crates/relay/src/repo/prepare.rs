//! From writes to a signed commit and its event.

use std::collections::HashSet;

use bytes::Bytes;
use common::{Cid, Datetime, Did, Tid};
use crypto::SigningKey;
use repo_engine::{Action, Change, Commit, Key, Node, Op, Tree, UnsignedCommit, car};
use rusqlite::Connection;

use super::duplicates::{self, PendingLink};
use super::fresh::{Fresh, NodeChanges};
use super::handle::{RepoHandle, RepoState};
use super::nodes::{NodeCache, RepoNodes};
use super::write::{CommitMeta, FirstCommit, Record, Swap, Write, WriteError};
use crate::firehose::frames::{self, CommitEvent};
use crate::store::account::{self, Status};
use crate::store::event::FrameParts;
use crate::store::{AccountId, BatchTx, RepoId, blob, record, repo};

/// Most bytes of the CAR in a `#commit`: <https://atproto.com/specs/sync>.
const MAX_EVENT_BLOCKS: usize = 2_000_000;

/// What a commit is prepared from.
pub(super) struct Context<'a> {
    pub(super) conn: &'a Connection,
    pub(super) handle: &'a RepoHandle,
    pub(super) state: &'a RepoState,
    pub(super) nodes: &'a NodeCache,
    pub(super) now_micros: u64,
    pub(super) clock_id: u16,
    pub(super) writes: &'a [Write],
    pub(super) swap_commit: Option<Cid>,
}

/// A commit that only lacks its place in the order of events.
pub(super) struct PreparedCommit {
    pub(super) meta: CommitMeta,
    previous: Cid,
    /// The row of the repo, with the fresh nodes as they are after this commit.
    row: repo::RepoRow,
    fresh: Fresh,
    nodes: NodeChanges,
    records: Vec<(Key, RecordChange)>,
    links: Vec<PendingLink>,
    event: FrameParts,
}

/// What a commit does to a record.
enum RecordChange {
    Insert(Record),
    Update(Record),
    Delete,
}

/// Prepares a commit of `context.writes` on top of `context.state`, which stays as it is; `None` when the writes change nothing.
pub(super) fn prepare(context: &Context<'_>) -> Result<Option<Box<PreparedCommit>>, WriteError> {
    let Context { conn, handle, state, .. } = *context;
    if let Some(expected) = context.swap_commit
        && expected != state.head
    {
        return Err(WriteError::CommitSwap { actual: state.head });
    }
    check_blobs(conn, handle.account, context.writes)?;

    let store = RepoNodes { conn, repo: handle.account, fresh: &state.fresh, spilled: &state.spilled, cache: context.nodes };
    let mut tree = Tree::open(&store, state.data);
    // A batch without writes is a way to ask for a commit; writes without effect are not.
    let mut changed = context.writes.is_empty();
    for write in context.writes {
        changed |= apply(&mut tree, write)?;
        if let Write::CreateUnique { key, record } = write {
            for duplicate in duplicates::find(conn, handle.account, &state.links, key, record)? {
                tree.delete(&duplicate)?;
            }
        }
    }
    if !changed {
        return Ok(None);
    }
    let change = tree.finish_with_proof()?;

    let rev = Tid::next_after(Some(state.rev), context.now_micros, context.clock_id);
    let commit = UnsignedCommit { did: handle.did.clone(), rev, data: change.root }.sign(&state.key);
    let blocks = event_blocks(&commit, &change, context.writes);
    if blocks.len() > MAX_EVENT_BLOCKS {
        return Err(WriteError::TooBig);
    }
    let time = Datetime::from_millis((context.now_micros / 1000) as i64);
    let event = frames::commit(&CommitEvent {
        repo: &handle.did,
        commit: &commit.cid,
        rev,
        since: Some(state.rev),
        prev_data: Some(&state.data),
        ops: &change.ops,
        blocks: &blocks,
        time: time.as_str(),
    });

    for block in &change.created {
        context.nodes.insert(block.cid, std::sync::Arc::clone(&block.node));
    }
    let mut fresh = state.fresh.clone();
    let nodes = fresh.advance(&change, rev);
    let row = repo::RepoRow {
        head: commit.cid,
        rev,
        data: change.root,
        commit_block: commit.block.to_vec(),
        fresh_nodes: fresh.encode(),
    };
    let meta = CommitMeta { cid: commit.cid, rev };
    let written = Written::by(context.writes);
    let links = duplicates::pending(&change.ops, |op| op.action.cid().map(|cid| written.record(&op.key, cid)));
    let records = change.ops.into_iter().map(|op| written.change(op)).collect();
    let prepared = PreparedCommit { meta, previous: state.head, row, fresh, nodes, records, links, event };
    Ok(Some(Box::new(prepared)))
}

/// Puts one write into the tree; `false` when it changes nothing.
fn apply(tree: &mut Tree<&RepoNodes<'_>>, write: &Write) -> Result<bool, WriteError> {
    let check_swap = |swap: Swap, actual: Option<Cid>| match swap {
        Swap::Anything => Ok(()),
        Swap::Absent if actual.is_none() => Ok(()),
        Swap::Is(cid) if actual == Some(cid) => Ok(()),
        Swap::Absent | Swap::Is(_) => Err(WriteError::RecordSwap { actual }),
    };
    match write {
        Write::Create { key, record } | Write::CreateUnique { key, record } => match tree.put(key, record.cid)? {
            None => Ok(true),
            Some(_) => Err(WriteError::RecordExists(key.clone())),
        },
        Write::Update { key, record } => match tree.put(key, record.cid)? {
            None => Err(WriteError::RecordNotFound(key.clone())),
            Some(_) => Ok(true),
        },
        Write::Put { key, record, swap } => {
            let before = tree.put(key, record.cid)?;
            // As on the official server, a swap is not looked at when there is nothing to write.
            if before == Some(record.cid) {
                return Ok(false);
            }
            check_swap(*swap, before)?;
            Ok(true)
        }
        Write::Delete { key } => match tree.delete(key)? {
            None => Err(WriteError::RecordNotFound(key.clone())),
            Some(_) => Ok(true),
        },
        Write::DeleteIfThere { key, swap } => match tree.delete(key)? {
            None => Ok(false),
            before @ Some(_) => check_swap(*swap, before).map(|()| true),
        },
    }
}

/// Returns the CAR of a `#commit`: the commit, the nodes that are new or prove what changed, the records.
fn event_blocks(commit: &Commit, change: &Change, writes: &[Write]) -> Vec<u8> {
    let written: HashSet<Cid> = change.ops.iter().filter_map(|op| op.action.cid()).collect();
    let records = || {
        writes.iter().filter_map(|write| match write {
            Write::Create { record, .. }
            | Write::CreateUnique { record, .. }
            | Write::Update { record, .. }
            | Write::Put { record, .. } => Some(record),
            Write::Delete { .. } | Write::DeleteIfThere { .. } => None,
        })
    };
    let nodes = || change.created.iter().chain(&change.proof);
    let bytes = nodes().map(|node| car::block_size(node.bytes.len())).sum::<usize>()
        + records().map(|record| car::block_size(record.block.len())).sum::<usize>()
        + commit.block.len()
        + 128;
    let mut out = Vec::with_capacity(bytes);
    out.extend_from_slice(&car::header(&commit.cid));
    car::write_block(&mut out, &commit.cid, &commit.block);
    for node in nodes() {
        car::write_block(&mut out, &node.cid, &node.bytes);
    }
    // Two keys may hold one and the same record; its block is sent once.
    let mut sent = HashSet::with_capacity(written.len());
    for record in records() {
        if written.contains(&record.cid) && sent.insert(record.cid) {
            car::write_block(&mut out, &record.cid, &record.block);
        }
    }
    out
}

/// Checks that the blobs that records refer to were uploaded, and are what the records say.
fn check_blobs(conn: &Connection, account: AccountId, writes: &[Write]) -> Result<(), WriteError> {
    for write in writes {
        let (Write::Create { record, .. }
        | Write::CreateUnique { record, .. }
        | Write::Update { record, .. }
        | Write::Put { record, .. }) = write
        else {
            continue;
        };
        for reference in &record.blobs {
            let stored = blob::find(conn, account, &reference.cid)?.filter(|stored| !stored.taken_down);
            let stored = stored.ok_or(WriteError::BlobNotFound(reference.cid))?;
            if stored.mime_type != reference.mime_type {
                let referenced = reference.mime_type.clone();
                return Err(WriteError::BlobMimeType { stored: stored.mime_type, referenced });
            }
            if stored.size != reference.size {
                return Err(WriteError::BlobSize { stored: stored.size, referenced: reference.size });
            }
        }
    }
    Ok(())
}

impl PreparedCommit {
    /// Makes this commit the newest head in memory.
    pub(super) fn advance(&self, state: &mut RepoState, ticket: u64) {
        state.head = self.row.head;
        state.rev = self.row.rev;
        state.data = self.row.data;
        state.fresh = self.fresh.clone();
        state.ticket = ticket;
        state.spilled.extend(self.nodes.insert.iter().map(|node| (ticket, node.clone())));
        state.links.extend(self.links.iter().map(|link| (ticket, link.clone())));
    }

    /// Returns how many rows it stores or deletes.
    pub(super) fn rows(&self) -> usize {
        2 + self.nodes.insert.len() + self.nodes.delete.len() + self.records.len()
    }

    /// Stores the commit, in the transaction of its batch.
    pub(super) fn store(&self, tx: &mut BatchTx<'_>, account: AccountId) -> Result<(), WriteError> {
        // First, since it tells whether this commit may happen at all.
        if !repo::advance(tx, account, &self.previous, &self.row)? {
            return Err(match account::find(tx, account)?.map(|account| account.status) {
                None => WriteError::RepoNotFound,
                Some(Status::Active) => WriteError::Superseded,
                Some(status @ (Status::Takendown | Status::Suspended | Status::Deactivated)) => WriteError::Inactive(status),
            });
        }
        let repo = repo::number(tx, account)?.ok_or(WriteError::RepoNotFound)?;
        for cid in &self.nodes.delete {
            repo::delete_node(tx, repo, cid)?;
        }
        for node in &self.nodes.insert {
            repo::insert_node(tx, repo, &node.cid, node.rev, &node.bytes)?;
        }
        for (key, change) in &self.records {
            match change {
                RecordChange::Insert(record) => {
                    record::insert(tx, repo, key, &record.cid, self.row.rev, &record.block)?;
                    self.refer_to_blobs(tx, account, repo, key, &record.blobs)?;
                }
                RecordChange::Update(record) => {
                    record::update(tx, repo, key, &record.cid, self.row.rev, &record.block)?;
                    blob::drop_references(tx, account, repo, key)?;
                    self.refer_to_blobs(tx, account, repo, key, &record.blobs)?;
                }
                RecordChange::Delete => {
                    record::delete(tx, repo, key)?;
                    blob::drop_references(tx, account, repo, key)?;
                }
            }
        }
        tx.emit(account, &self.event)?;
        Ok(())
    }

    fn refer_to_blobs(
        &self,
        tx: &BatchTx<'_>,
        account: AccountId,
        repo: RepoId,
        key: &Key,
        blobs: &[blob::Reference],
    ) -> Result<(), WriteError> {
        for reference in blobs {
            if !blob::refer(tx, account, repo, key, &reference.cid, self.row.rev)? {
                // It was collected between the check and now.
                return Err(WriteError::BlobNotFound(reference.cid));
            }
        }
        Ok(())
    }
}

/// The records that writes put, by key, each key's last one last.
struct Written<'w>(Vec<(&'w Key, &'w Record)>);

impl<'w> Written<'w> {
    fn by(writes: &'w [Write]) -> Self {
        let put = |write: &'w Write| match write {
            Write::Create { key, record }
            | Write::CreateUnique { key, record }
            | Write::Update { key, record }
            | Write::Put { key, record, .. } => Some((key, record)),
            Write::Delete { .. } | Write::DeleteIfThere { .. } => None,
        };
        let mut all: Vec<_> = writes.iter().filter_map(put).collect();
        all.sort_by_key(|(key, _)| *key);
        Self(all)
    }

    /// Returns the record that a write put under `key`.
    fn record(&self, key: &Key, cid: Cid) -> &'w Record {
        let end = self.0.partition_point(|(written, _)| *written <= key);
        let found = self.0[..end].iter().rev().take_while(|(written, _)| *written == key).find(|(_, record)| record.cid == cid);
        found.expect("what an operation put was among the writes").1
    }

    fn change(&self, op: Op) -> (Key, RecordChange) {
        let change = match op.action {
            Action::Create { cid } => RecordChange::Insert(self.record(&op.key, cid).clone()),
            Action::Update { cid, .. } => RecordChange::Update(self.record(&op.key, cid).clone()),
            Action::Delete { .. } => RecordChange::Delete,
        };
        (op.key, change)
    }
}

/// Makes the first commit of a repo, over the empty tree.
pub(super) fn first_commit(did: &Did, rev: Tid, key: &SigningKey) -> FirstCommit {
    let node = Node::empty();
    let bytes = node.encode();
    let data = Cid::dag_cbor(&bytes);
    let commit = UnsignedCommit { did: did.clone(), rev, data }.sign(key);
    let mut fresh = Fresh::default();
    let block = repo_engine::NodeBlock { cid: data, node: node.into(), bytes: Bytes::from(bytes) };
    let change = Change {
        previous: data,
        root: data,
        ops: Vec::new(),
        created: vec![block.clone()],
        removed: Vec::new(),
        proof: Vec::new(),
    };
    fresh.advance(&change, rev);
    let time = Datetime::from_millis((rev.micros() / 1000) as i64);
    let blocks = event_blocks(&commit, &change, &[]);
    let event = frames::commit(&CommitEvent {
        repo: did,
        commit: &commit.cid,
        rev,
        since: None,
        prev_data: None,
        ops: &[],
        blocks: &blocks,
        time: time.as_str(),
    });
    let sync = frames::sync(did, rev, &commit_car(&commit.cid, &commit.block), time.as_str());
    let row = repo::RepoRow { head: commit.cid, rev, data, commit_block: commit.block.to_vec(), fresh_nodes: fresh.encode() };
    FirstCommit::new(row, event, sync)
}

/// Returns a CAR that holds a commit and nothing else.
pub(super) fn commit_car(cid: &Cid, block: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + block.len());
    out.extend_from_slice(&car::header(cid));
    car::write_block(&mut out, cid, block);
    out
}
