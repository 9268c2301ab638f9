//! Where nodes come from.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use common::Cid;

use crate::car::Block;
use crate::{Change, Node, NodeError};

/// Gives nodes by CID.
///
/// The store vouches that what it returns hashes to the CID it was asked for.
pub trait NodeStore {
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns the node, or `None` when the store does not have it.
    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, Self::Error>;
}

impl<S: NodeStore + ?Sized> NodeStore for &S {
    type Error = S::Error;

    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, S::Error> {
        (**self).node(cid)
    }
}

impl<S: NodeStore + ?Sized> NodeStore for Arc<S> {
    type Error = S::Error;

    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, S::Error> {
        (**self).node(cid)
    }
}

/// Nodes in memory: those of a CAR, or of a test.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    nodes: HashMap<Cid, Arc<Node>>,
}

impl MemoryStore {
    /// Makes a store that holds the empty tree, and returns its root too.
    pub fn with_empty_tree() -> (Self, Cid) {
        let mut store = Self::default();
        let root = store.insert(Node::empty());
        (store, root)
    }

    /// Takes those of the blocks that are nodes. Records and commits are not.
    pub fn from_blocks<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Self {
        let decoded = blocks.into_iter().filter_map(|block| Some((block.cid, Arc::new(Node::decode(&block.bytes).ok()?))));
        Self { nodes: decoded.collect() }
    }

    /// Hashes and keeps a node.
    pub fn insert(&mut self, node: Node) -> Cid {
        let cid = Cid::dag_cbor(&node.encode());
        self.nodes.insert(cid, Arc::new(node));
        cid
    }

    /// Decodes, hashes and keeps a block.
    pub fn insert_block(&mut self, block: &[u8]) -> Result<Cid, NodeError> {
        let cid = Cid::dag_cbor(block);
        self.nodes.insert(cid, Arc::new(Node::decode(block)?));
        Ok(cid)
    }

    /// Keeps a node under a CID that the caller knows to be right.
    pub fn insert_known(&mut self, cid: Cid, node: Arc<Node>) {
        self.nodes.insert(cid, node);
    }

    /// Makes the change that a tree over this store resulted in.
    pub fn apply(&mut self, change: &Change) {
        for cid in &change.removed {
            self.nodes.remove(cid);
        }
        self.nodes.extend(change.created.iter().map(|block| (block.cid, Arc::clone(&block.node))));
    }

    pub fn remove(&mut self, cid: &Cid) -> Option<Arc<Node>> {
        self.nodes.remove(cid)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the CIDs of all nodes, in no order.
    pub fn cids(&self) -> impl Iterator<Item = &Cid> {
        self.nodes.keys()
    }
}

impl NodeStore for MemoryStore {
    type Error = Infallible;

    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, Infallible> {
        Ok(self.nodes.get(cid).cloned())
    }
}
