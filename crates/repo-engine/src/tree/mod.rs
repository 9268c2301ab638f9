//! A tree that is read and changed.
//!
//! [`Tree`] is lazy: it starts as one CID and loads the nodes that an operation needs, no others. Nodes that changed live
//! decoded in memory ([`live::Live`]) and are encoded and hashed once, by [`Tree::finish`].
//!
//! Tricky bits:
//!
//! - Between two layers with keys there are nodes without keys, so that every step down is one layer. The root is never one.
//! - Each operation first loads all that it needs and then changes the tree in one go that cannot fail. So a store that fails
//!   leaves the tree as it was, and the operation may be tried again.
//! - A node keeps its CID (`origin`) as long as nothing below it changed. Dropping it is what marks a node as removed.
//!
//! Spec: <https://atproto.com/specs/repository#mst-structure>

mod cover;
mod live;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use common::Cid;

use crate::{Action, Key, Node, NodeStore, Op};
use live::{Live, Sub};

/// A key's height is at most half the bits of its hash.
const MAX_LAYERS: usize = 128;

/// A tree over the nodes of a store.
#[derive(Debug)]
pub struct Tree<S> {
    store: S,
    base: Cid,
    root: Sub,
    /// Nodes of the base that changed, in no order.
    touched: Vec<Cid>,
    /// What each key that was written held in the base, and holds now.
    written: BTreeMap<Key, (Option<Cid>, Option<Cid>)>,
}

/// What a batch of operations did to a tree.
#[derive(Clone, Debug)]
pub struct Change {
    /// The root before.
    pub previous: Cid,
    /// The root now.
    pub root: Cid,
    /// The net effect on records, in the order of their keys.
    pub ops: Vec<Op>,
    /// The nodes of the new tree that the old one did not have, the root first.
    pub created: Vec<NodeBlock>,
    /// The nodes of the old tree that the new one does not have.
    pub removed: Vec<Cid>,
    /// More nodes of the new tree that a consumer needs to undo `ops`, in any order; see [`Tree::finish_with_proof`].
    pub proof: Vec<NodeBlock>,
}

/// A node together with its encoded form.
#[derive(Clone, Debug)]
pub struct NodeBlock {
    pub cid: Cid,
    pub node: Arc<Node>,
    pub bytes: Bytes,
}

/// Why a tree could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E: std::error::Error + 'static> {
    #[error("the store of nodes failed")]
    Store(#[source] E),
    #[error("node {0} is missing")]
    MissingNode(Cid),
    /// A change made a node that nobody would read back: thousands of neighbouring keys of one height were chosen for it.
    #[error("node {0} is too large")]
    TooLarge(Cid),
    #[error("node {cid} is not where it may be")]
    Misplaced {
        cid: Cid,
        #[source]
        shape: Shape,
    },
}

/// How a node breaks the rules that it and the nodes above it must obey together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shape {
    #[error("the root has no keys, but a link")]
    RootWithoutKeys,
    #[error("the node has neither keys nor a link")]
    Empty,
    #[error("the keys are not on the layer below")]
    Layer,
    #[error("a key is outside the range that the keys above leave")]
    Range,
}

impl<S: NodeStore> Tree<S> {
    /// Opens the tree under `root`. Nothing is loaded yet.
    pub const fn open(store: S, root: Cid) -> Self {
        Self { store, base: root, root: Sub::Stored(root), touched: Vec::new(), written: BTreeMap::new() }
    }

    /// Returns the root that the tree was opened with.
    pub const fn base(&self) -> Cid {
        self.base
    }

    /// Returns the record at `key`, what was written included.
    pub fn get(&self, key: &str) -> Result<Option<Cid>, TreeError<S::Error>> {
        let (mut sub, mut layer) = (&self.root, None);
        loop {
            match sub {
                Sub::Empty => return Ok(None),
                Sub::Stored(cid) => return crate::proof::find(&self.store, *cid, layer, key),
                Sub::Live(live) => match live.keys.search(key) {
                    Ok(index) => return Ok(Some(live.slots[index].value)),
                    Err(index) => (sub, layer) = (live.gap(index), live.layer.checked_sub(1)),
                },
            }
        }
    }

    /// Puts a record and returns the one that it replaces.
    pub fn put(&mut self, key: &Key, value: Cid) -> Result<Option<Cid>, TreeError<S::Error>> {
        self.load(key, live::Purpose::Put)?;
        let before = self.root.find(key);
        if before != Some(value) {
            self.root.insert(key, value, &mut self.touched);
            self.note(key, before, Some(value));
        }
        Ok(before)
    }

    /// Takes a record out and returns it; `None` when there is none.
    pub fn delete(&mut self, key: &Key) -> Result<Option<Cid>, TreeError<S::Error>> {
        self.load(key, live::Purpose::Delete)?;
        let before = self.root.find(key);
        if before.is_some() {
            self.root.remove(key, &mut self.touched);
            self.note(key, before, None);
        }
        Ok(before)
    }

    /// Encodes and hashes what changed. [`Change::proof`] stays empty.
    pub fn finish(self) -> Result<Change, TreeError<S::Error>> {
        self.seal(false)
    }

    /// Encodes and hashes what changed, and adds the covering proof that a `#commit` of the firehose needs.
    ///
    /// [`Change::created`] and [`Change::proof`] together hold the paths to the keys of all operations, and to both neighbours
    /// of each created key. With them alone [`crate::invert`] finds the previous root, whatever the order of the operations:
    /// a node that is left out lies between two keys that stay, and is itself in both trees.
    pub fn finish_with_proof(self) -> Result<Change, TreeError<S::Error>> {
        self.seal(true)
    }

    fn seal(mut self, with_proof: bool) -> Result<Change, TreeError<S::Error>> {
        self.trim()?;
        let ops: Vec<Op> = std::mem::take(&mut self.written)
            .into_iter()
            .filter_map(|(key, (before, now))| Some(Op { key, action: Action::between(before, now)? }))
            .collect();
        let covered = if with_proof { cover::cover(&self.store, &self.root, &ops)? } else { Vec::new() };

        let mut sealed = Vec::with_capacity(self.touched.len() + 4);
        let root = match self.root {
            Sub::Empty => live::seal_node(Node::empty(), &mut sealed),
            root @ (Sub::Stored(_) | Sub::Live(_)) => root.seal(&mut sealed).expect("only an empty tree has no root"),
        };
        if let Some(large) = sealed.iter().find(|block| !block.node.is_readable(&block.bytes)) {
            return Err(TreeError::TooLarge(large.cid));
        }
        // From the leaves up is how nodes are hashed; from the root down is how they are read.
        sealed.reverse();

        let mut removed = self.touched;
        removed.sort_unstable();
        let mut created = Vec::with_capacity(sealed.len());
        let mut proof = Vec::new();
        for block in sealed {
            match removed.binary_search(&block.cid) {
                // The operations made anew what was there before.
                Ok(at) => {
                    removed.remove(at);
                    proof.push(block);
                }
                // An empty tree without operations seals the node that it was opened with.
                Err(_) if block.cid == self.base => proof.push(block),
                Err(_) => created.push(block),
            }
        }
        if with_proof {
            proof.extend(covered);
        } else {
            proof.clear();
        }
        Ok(Change { previous: self.base, root, ops, created, removed, proof })
    }

    /// Loads the nodes that an operation on `key` needs.
    fn load(&mut self, key: &Key, purpose: live::Purpose) -> Result<(), TreeError<S::Error>> {
        if let Sub::Stored(cid) = self.root {
            let node = fetch(&self.store, cid)?;
            check_root(cid, &node)?;
            self.root = if let Some(layer) = node.layer() {
                Sub::Live(Box::new(Live::from_node(cid, layer, &node)))
            } else {
                self.touched.push(cid);
                Sub::Empty
            };
        }
        match &mut self.root {
            Sub::Live(root) => root.load(&self.store, key, purpose, live::Range::default()),
            Sub::Empty | Sub::Stored(_) => Ok(()),
        }
    }

    /// Makes the highest node with keys the root.
    fn trim(&mut self) -> Result<(), TreeError<S::Error>> {
        for _ in 0..=MAX_LAYERS {
            match &mut self.root {
                Sub::Live(live) if live.keys.is_empty() => {
                    live.change(&mut self.touched);
                    self.root = std::mem::take(&mut live.left);
                }
                // The tree's own root never comes here without keys: `load` checks it, and untouched it is left alone.
                Sub::Stored(cid) if *cid != self.base => {
                    let node = fetch(&self.store, *cid)?;
                    if !node.is_empty() {
                        return Ok(());
                    }
                    let left = node.left().ok_or(TreeError::Misplaced { cid: *cid, shape: Shape::Empty })?;
                    self.touched.push(*cid);
                    self.root = Sub::Stored(left);
                }
                Sub::Live(_) | Sub::Stored(_) | Sub::Empty => return Ok(()),
            }
        }
        Err(TreeError::Misplaced { cid: self.base, shape: Shape::Layer })
    }

    fn note(&mut self, key: &Key, before: Option<Cid>, now: Option<Cid>) {
        match self.written.get_mut(key) {
            Some((_, last)) => *last = now,
            None => {
                self.written.insert(key.clone(), (before, now));
            }
        }
    }
}

/// Loads a node that must be there.
pub(crate) fn fetch<S: NodeStore>(store: &S, cid: Cid) -> Result<Arc<Node>, TreeError<S::Error>> {
    store.node(&cid).map_err(TreeError::Store)?.ok_or(TreeError::MissingNode(cid))
}

/// Checks what a root must obey.
pub(crate) fn check_root<E: std::error::Error>(cid: Cid, node: &Node) -> Result<(), TreeError<E>> {
    if node.is_empty() && node.left().is_some() {
        return Err(TreeError::Misplaced { cid, shape: Shape::RootWithoutKeys });
    }
    Ok(())
}

/// Checks what a node must obey that is linked from the layer above `layer`, between the keys `above` and `below`.
pub(crate) fn check_child<E: std::error::Error>(
    cid: Cid,
    node: &Node,
    layer: u8,
    (after, before): (Option<&str>, Option<&str>),
) -> Result<(), TreeError<E>> {
    let shape = match (node.layer(), node.keys.first(), node.keys.last()) {
        (Some(actual), Some(first), Some(last)) => {
            if actual != layer {
                Shape::Layer
            } else if after.is_some_and(|after| first <= after) || before.is_some_and(|before| last >= before) {
                Shape::Range
            } else {
                return Ok(());
            }
        }
        _ if node.left().is_none() => Shape::Empty,
        _ if layer == 0 => Shape::Layer,
        _ => return Ok(()),
    };
    Err(TreeError::Misplaced { cid, shape })
}
