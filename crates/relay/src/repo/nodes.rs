//! Where the tree gets its nodes: memory first, then the table.

use std::collections::VecDeque;
use std::sync::Arc;

use common::Cid;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use repo_engine::{Node, NodeStore};
use rusqlite::Connection;

use super::fresh::{Fresh, FreshNode};
use crate::store::{AccountId, StoreError, repo, row};

/// Decoded nodes of all repos, bounded by the memory that they take. A node is what its CID names, whoever asks.
#[derive(Debug)]
pub(crate) struct NodeCache {
    cache: Cache<Cid, Arc<Node>, NodeWeight>,
}

#[derive(Clone, Debug)]
struct NodeWeight;

impl Weighter<Cid, Arc<Node>> for NodeWeight {
    fn weight(&self, _: &Cid, node: &Arc<Node>) -> u64 {
        // The cache's own entry takes about 64 bytes beside the key.
        (Cid::BYTES + 64 + node.size_bytes()) as u64
    }
}

impl NodeCache {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let nodes = (max_bytes / 600) as usize;
        Self { cache: Cache::with_weighter(nodes, max_bytes, NodeWeight) }
    }

    pub(crate) fn clear(&self) {
        self.cache.clear();
    }

    pub(crate) fn insert(&self, cid: Cid, node: Arc<Node>) {
        self.cache.insert(cid, node);
    }
}

/// The nodes of one repo, as a commit in preparation sees them.
pub(super) struct RepoNodes<'a> {
    pub(super) conn: &'a Connection,
    pub(super) repo: AccountId,
    pub(super) fresh: &'a Fresh,
    /// Nodes on their way to the table, with the commits that carry them.
    pub(super) spilled: &'a VecDeque<(u64, FreshNode)>,
    pub(super) cache: &'a NodeCache,
}

impl NodeStore for RepoNodes<'_> {
    type Error = StoreError;

    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, StoreError> {
        if let Some(fresh) = self.fresh.get(cid) {
            return Ok(Some(Arc::clone(&fresh.node)));
        }
        if let Some((_, spilled)) = self.spilled.iter().find(|(_, spilled)| spilled.cid == *cid) {
            return Ok(Some(Arc::clone(&spilled.node)));
        }
        if let Some(node) = self.cache.cache.get(cid) {
            return Ok(Some(node));
        }
        let Some(block) = repo::find_node(self.conn, self.repo, cid)? else { return Ok(None) };
        let node = Arc::new(decode(cid, &block)?);
        self.cache.insert(*cid, Arc::clone(&node));
        Ok(Some(node))
    }
}

/// Decodes a stored block after checking that it is what its CID names, and so what was stored.
pub(super) fn decode(cid: &Cid, block: &[u8]) -> Result<Node, StoreError> {
    if !cid.matches(block) {
        return Err(row::corrupt("node", "block", &format_args!("the block of node {cid} is damaged")));
    }
    Node::decode_known(block).map_err(|err| row::corrupt("node", "block", &err))
}
