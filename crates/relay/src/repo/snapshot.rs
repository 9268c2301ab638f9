//! A repo as it is at one moment, for reads that need its tree.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use common::{Cid, Tid};
use repo_engine::{Key, Node, NodeStore, TreeError, car};
use rusqlite::Connection;

use super::fresh::Fresh;
use super::nodes;
use super::prepare::commit_car;
use crate::store::{AccountId, StoreError, record, repo};

/// The durable state of a repo in the read transaction of `conn`.
pub(crate) struct RepoSnapshot<'c> {
    conn: &'c Connection,
    account: AccountId,
    row: repo::RepoRow,
    fresh: Fresh,
}

/// Why a read of a tree failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the tree of the repo could not be read")]
    Tree(#[source] Box<TreeError<StoreError>>),
}

impl From<TreeError<StoreError>> for SnapshotError {
    fn from(err: TreeError<StoreError>) -> Self {
        Self::Tree(Box::new(err))
    }
}

impl From<rusqlite::Error> for SnapshotError {
    fn from(err: rusqlite::Error) -> Self {
        Self::Store(err.into())
    }
}

impl<'c> RepoSnapshot<'c> {
    /// Reads the head. The caller holds a read transaction open on `conn`, so that all that follows is of the same moment.
    pub(crate) fn open(conn: &'c Connection, account: AccountId) -> Result<Option<Self>, StoreError> {
        let Some(row) = repo::find(conn, account)? else { return Ok(None) };
        let fresh = Fresh::decode(&row.fresh_nodes)?;
        Ok(Some(Self { conn, account, row, fresh }))
    }

    /// Returns how many nodes lie beside the head, not in the table.
    pub(crate) fn fresh_nodes(&self) -> usize {
        self.fresh.len()
    }

    pub(crate) fn head(&self) -> Cid {
        self.row.head
    }

    pub(crate) fn rev(&self) -> Tid {
        self.row.rev
    }

    pub(crate) fn data(&self) -> Cid {
        self.row.data
    }

    pub(crate) fn commit_block(&self) -> &[u8] {
        &self.row.commit_block
    }

    pub(super) fn conn(&self) -> &'c Connection {
        self.conn
    }

    pub(super) fn account(&self) -> AccountId {
        self.account
    }

    pub(super) fn fresh(&self) -> &Fresh {
        &self.fresh
    }

    /// Returns a CAR that proves what the repo holds at `key`, be it a record or nothing.
    pub(crate) fn record_proof(&self, key: &Key) -> Result<Vec<u8>, SnapshotError> {
        let proof = repo_engine::prove(self, self.row.data, key)?;
        let mut out = commit_car(&self.row.head, &self.row.commit_block);
        for node in &proof.nodes {
            car::write_block(&mut out, &node.cid, &node.bytes);
        }
        if let Some(cid) = proof.value
            && let Some(record) = record::find(self.conn, self.account, key)?
        {
            car::write_block(&mut out, &cid, &record.block);
        }
        Ok(out)
    }

    /// Returns those of the blocks `cids` that the repo has: its commit, nodes of its tree, records.
    ///
    /// Records are found by a scan, since nothing else would read an index of their CIDs.
    pub(crate) fn blocks(&self, cids: &[Cid]) -> Result<HashMap<Cid, Bytes>, SnapshotError> {
        let mut found = HashMap::with_capacity(cids.len());
        let mut missing = std::collections::HashSet::new();
        for cid in cids {
            if *cid == self.row.head {
                found.insert(*cid, Bytes::copy_from_slice(&self.row.commit_block));
            } else if let Some(block) = self.node_block(cid)? {
                found.insert(*cid, block);
            } else {
                missing.insert(*cid);
            }
        }
        if !missing.is_empty() {
            record::scan(self.conn, self.account, None, |_, cid, block| {
                if missing.remove(&cid) {
                    found.insert(cid, Bytes::copy_from_slice(block));
                }
                Ok(!missing.is_empty())
            })?;
        }
        Ok(found)
    }

    fn node_block(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        if let Some(fresh) = self.fresh.get(cid) {
            return Ok(Some(fresh.bytes.clone()));
        }
        Ok(repo::find_node(self.conn, self.account, cid)?.map(Bytes::from))
    }
}

impl NodeStore for RepoSnapshot<'_> {
    type Error = StoreError;

    /// Reads past the cache of nodes: an export of a large repo would push out of it what writers need.
    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, StoreError> {
        if let Some(fresh) = self.fresh.get(cid) {
            return Ok(Some(Arc::clone(&fresh.node)));
        }
        let Some(block) = repo::find_node(self.conn, self.account, cid)? else { return Ok(None) };
        nodes::decode(cid, &block).map(|node| Some(Arc::new(node)))
    }
}
