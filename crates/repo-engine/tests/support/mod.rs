//! What the tests of this crate share.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use common::Cid;
use repo_engine::{Builder, Change, Key, MemoryStore, Node, NodeStore, Walk};

/// Returns where the public vectors are, or notes that they are not there.
pub fn vectors(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("EZPDS_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")), PathBuf::from);
    let path = root.join(part);
    if path.exists() {
        return Some(path);
    }
    println!("note: {} is absent; set EZPDS_VECTORS to run this test on the public vectors", path.display());
    None
}

pub fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// Returns a record's CID that says which record it is.
pub fn record(name: impl std::fmt::Display) -> Cid {
    Cid::dag_cbor(name.to_string().as_bytes())
}

/// Builds the canonical tree of some records.
pub fn build(records: &BTreeMap<Key, Cid>) -> (MemoryStore, Cid) {
    let mut store = MemoryStore::default();
    let mut builder = Builder::new(|cid, node: Node, block: Vec<u8>| {
        assert_eq!(Cid::dag_cbor(&block), cid);
        store.insert_known(cid, Arc::new(node));
        Ok::<(), std::convert::Infallible>(())
    });
    for (key, value) in records {
        assert!(builder.push(key, *value).unwrap());
    }
    let root = builder.finish().unwrap();
    (store, root)
}

/// Returns all records of a tree.
pub fn records<S: NodeStore>(store: &S, root: Cid) -> BTreeMap<Key, Cid> {
    let mut records = BTreeMap::new();
    let mut walk = Walk::new(store, root);
    while let Some((text, cid)) = walk.record().unwrap() {
        assert!(records.insert(key(text), cid).is_none());
    }
    records
}

/// Returns the CIDs of all nodes of a tree.
pub fn nodes<S: NodeStore>(store: &S, root: Cid) -> BTreeSet<Cid> {
    let mut nodes = BTreeSet::new();
    let mut walk = Walk::new(store, root);
    while let Some(step) = walk.step().unwrap() {
        if let repo_engine::Step::Node { cid, .. } = step {
            assert!(nodes.insert(cid), "a node is in a tree once");
        }
    }
    nodes
}

/// Keeps only what a `#commit` carries, decoded from its blocks.
pub fn carried(change: &Change) -> MemoryStore {
    let mut store = MemoryStore::default();
    for block in change.created.iter().chain(&change.proof) {
        assert_eq!(store.insert_block(&block.bytes).unwrap(), block.cid);
    }
    store
}

/// Checks a change against the trees before and after, and that its blocks alone lead back.
pub fn check_change(change: &Change, before: &BTreeMap<Key, Cid>, after: &BTreeMap<Key, Cid>) {
    let ((old_store, old_root), (new_store, new_root)) = (build(before), build(after));
    assert_eq!((change.previous, change.root), (old_root, new_root));
    let (old, new) = (nodes(&old_store, old_root), nodes(&new_store, new_root));

    let created: Vec<_> = change.created.iter().map(|block| block.cid).collect();
    assert_eq!(BTreeSet::from_iter(created.clone()), new.difference(&old).copied().collect(), "created");
    assert_eq!(created.len(), new.difference(&old).count(), "no node is created twice");
    assert_eq!(BTreeSet::from_iter(change.removed.clone()), old.difference(&new).copied().collect(), "removed");
    assert_eq!(change.removed.len(), old.difference(&new).count(), "no node is removed twice");
    for block in &change.proof {
        assert!(new.contains(&block.cid) && !created.contains(&block.cid), "a proof is of old nodes in the new tree");
    }
    assert_eq!(change.proof.iter().map(|block| block.cid).collect::<BTreeSet<_>>().len(), change.proof.len());

    let store = carried(change);
    assert_eq!(repo_engine::invert(&change.ops, &store, change.root).unwrap(), change.previous, "inverts from its own blocks");
    let mut backwards = change.ops.clone();
    backwards.reverse();
    assert_eq!(invert_in_order(&backwards, &store, change.root), change.previous, "in reverse order of keys");
    assert_eq!(invert_in_order(&change.ops, &store, change.root), change.previous, "in order of keys");
}

/// Undoes operations one after the other, as consumers with other habits than ours do.
pub fn invert_in_order(ops: &[repo_engine::Op], store: &MemoryStore, root: Cid) -> Cid {
    let mut tree = repo_engine::Tree::open(store, root);
    for op in ops {
        let found = match op.action.prev() {
            Some(prev) => tree.put(&op.key, prev),
            None => tree.delete(&op.key),
        };
        assert_eq!(found.unwrap(), op.action.cid());
    }
    tree.finish().unwrap().root
}

/// Remembers which nodes were asked for.
pub struct Recording<'a> {
    pub store: &'a MemoryStore,
    pub seen: RefCell<BTreeSet<Cid>>,
}

impl NodeStore for Recording<'_> {
    type Error = std::convert::Infallible;

    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, Self::Error> {
        self.seen.borrow_mut().insert(*cid);
        self.store.node(cid)
    }
}

/// Fails once, at the nth call.
pub struct Failing<'a> {
    pub store: &'a MemoryStore,
    pub calls_left: Cell<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("injected")]
pub struct Injected;

impl NodeStore for Failing<'_> {
    type Error = Injected;

    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, Injected> {
        match self.calls_left.get() {
            0 => {
                self.calls_left.set(usize::MAX);
                Err(Injected)
            }
            left => {
                self.calls_left.set(left - 1);
                Ok(self.store.node(cid).unwrap_or_else(|never| match never {}))
            }
        }
    }
}
