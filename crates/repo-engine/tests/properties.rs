//! Random histories of trees, checked at every step against trees made from scratch.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops where it is wrong, and may say what it skips")]

mod support;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use common::Cid;
use common::cbor::Writer;
use proptest::prelude::*;
use repo_engine::{Key, MemoryStore, Step, Tree, TreeError, Walk, diff, prove, verify_proof};
use support::{Failing, Injected, build, check_change, key, record};

const COLLECTIONS: [&str; 5] =
    ["app.bsky.actor.profile", "app.bsky.feed.like", "app.bsky.feed.post", "app.bsky.graph.follow", "com.example.notes"];

/// Returns keys of all heights up to 6: far more of the high ones than chance would give.
fn pool() -> &'static [Key] {
    static POOL: OnceLock<Vec<Key>> = OnceLock::new();
    POOL.get_or_init(|| {
        let (mut pool, mut left) = (Vec::new(), [40, 24, 12, 8, 4, 2, 1]);
        for n in 0_u32.. {
            let key = key(&format!("{}/3l{n:04}", COLLECTIONS[n as usize % COLLECTIONS.len()]));
            match left.get_mut(usize::from(key.height())) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    pool.push(key);
                }
                Some(_) | None => {}
            }
            if left.iter().all(|left| *left == 0) {
                break;
            }
        }
        pool
    })
}

/// The oracle of the oracle: the spec's structure, read out recursively, in an encoding written out here.
fn naive_root(records: &BTreeMap<Key, Cid>) -> Cid {
    fn node(records: &[(&Key, &Cid)], layer: u8) -> Cid {
        let mut out = Writer::new();
        let at: Vec<usize> = (0..records.len()).filter(|&i| records[i].0.height() == layer).collect();
        let child = |from: usize, to: usize| (from < to).then(|| node(&records[from..to], layer - 1));
        out.map(2);
        out.text("e");
        out.array(at.len());
        let mut before = String::new();
        for (n, &i) in at.iter().enumerate() {
            let key = records[i].0.as_str();
            let shared = (0..=key.len()).rev().find(|&len| before.starts_with(&key[..len])).unwrap();
            out.map(4);
            out.text("k");
            out.bytes(&key.as_bytes()[shared..]);
            out.text("p");
            out.unsigned(shared as u64);
            out.text("t");
            out.optional_link(child(i + 1, at.get(n + 1).copied().unwrap_or(records.len())).as_ref());
            out.text("v");
            out.link(records[i].1);
            key.clone_into(&mut before);
        }
        out.text("l");
        out.optional_link(child(0, at.first().copied().unwrap_or(records.len())).as_ref());
        Cid::dag_cbor(out.as_slice())
    }
    let list: Vec<_> = records.iter().collect();
    node(&list, list.iter().map(|(key, _)| key.height()).max().unwrap_or(0))
}

#[derive(Clone, Copy, Debug)]
enum Write {
    Put(usize, u8),
    Delete(usize),
}

fn batches() -> impl Strategy<Value = Vec<Vec<Write>>> {
    let index = 0..pool().len();
    let write = prop_oneof![
        3 => (index.clone(), 0..3_u8).prop_map(|(key, version)| Write::Put(key, version)),
        2 => index.prop_map(Write::Delete),
    ];
    // Mostly single writes, as in life; sometimes a large batch.
    let batch = prop_oneof![3 => prop::collection::vec(write.clone(), 1..=2), 1 => prop::collection::vec(write, 3..40)];
    prop::collection::vec(batch, 1..16)
}

type Applied<E> = Result<(Option<Cid>, Key, Option<Cid>), TreeError<E>>;

fn apply<S: repo_engine::NodeStore>(tree: &mut Tree<S>, write: Write) -> Applied<S::Error> {
    match write {
        Write::Put(index, version) => {
            let key = pool()[index].clone();
            let value = record(format!("{key} {version}"));
            Ok((tree.put(&key, value)?, key, Some(value)))
        }
        Write::Delete(index) => {
            let key = pool()[index].clone();
            Ok((tree.delete(&key)?, key, None))
        }
    }
}

fn set(records: &mut BTreeMap<Key, Cid>, key: Key, value: Option<Cid>) -> Option<Cid> {
    match value {
        Some(value) => records.insert(key, value),
        None => records.remove(&key),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_history_of_batches_is_canonical_and_invertible_at_every_step(batches in batches()) {
        let (mut store, mut root) = MemoryStore::with_empty_tree();
        let mut records = BTreeMap::new();
        for batch in batches {
            let before = records.clone();
            let before_root = root;
            let mut tree = Tree::open(&store, root);
            for write in batch {
                let (prev, key, value) = apply(&mut tree, write).unwrap();
                prop_assert_eq!(prev, set(&mut records, key.clone(), value));
                prop_assert_eq!(tree.get(&key).unwrap(), value);
            }
            for key in pool() {
                prop_assert_eq!(tree.get(key).unwrap(), records.get(key).copied());
            }
            let change = tree.finish_with_proof().unwrap();
            prop_assert_eq!(change.root, naive_root(&records));
            check_change(&change, &before, &records);

            let old = store.clone();
            store.apply(&change);
            root = change.root;
            prop_assert_eq!(store.len(), support::nodes(&store, root).len(), "the store holds the tree and nothing else");
            prop_assert_eq!(support::records(&store, root), records.clone());

            let mut both = old;
            for block in &change.created {
                both.insert_known(block.cid, block.node.clone());
            }
            let found = diff(&both, before_root, root).unwrap();
            prop_assert_eq!(&found.ops, &change.ops);
            prop_assert_eq!(found.created, { let mut cids: Vec<_> = change.created.iter().map(|block| block.cid).collect(); cids.sort_unstable(); cids });
            prop_assert_eq!(found.removed, change.removed);
        }
    }

    #[test]
    fn a_store_that_fails_leaves_the_tree_as_it_was(batches in batches(), fail_at in 0_usize..24) {
        let (mut store, mut root) = MemoryStore::with_empty_tree();
        let mut records = BTreeMap::new();
        for batch in batches {
            let change = {
                let failing = Failing { store: &store, calls_left: Cell::new(fail_at) };
                let mut tree = Tree::open(&failing, root);
                for write in batch {
                    let before = records.clone();
                    match apply(&mut tree, write) {
                        Ok((_, key, value)) => { set(&mut records, key, value); }
                        Err(TreeError::Store(Injected)) => {
                            for key in pool() {
                                prop_assert_eq!(tree.get(key).unwrap(), before.get(key).copied());
                            }
                            // It failed once: the same operation now succeeds.
                            let (prev, key, value) = apply(&mut tree, write).unwrap();
                            prop_assert_eq!(prev, set(&mut records, key, value));
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                failing.calls_left.set(usize::MAX);
                tree.finish_with_proof().unwrap()
            };
            prop_assert_eq!(change.root, naive_root(&records));
            store.apply(&change);
            root = change.root;
        }
    }

    #[test]
    fn proofs_show_presence_and_absence(present in prop::collection::btree_set(0..pool().len(), 0..60)) {
        let records: BTreeMap<Key, Cid> = present.iter().map(|&i| (pool()[i].clone(), record(i))).collect();
        let (store, root) = build(&records);
        for key in pool() {
            let proof = prove(&store, root, key).unwrap();
            prop_assert_eq!(proof.value, records.get(key).copied());
            let mut alone = MemoryStore::default();
            for block in &proof.nodes {
                prop_assert_eq!(alone.insert_block(&block.bytes).unwrap(), block.cid);
            }
            prop_assert_eq!(verify_proof(&alone, root, key).unwrap(), proof.value);
            // One node less is no proof.
            if let (Some(last), Some(_)) = (proof.nodes.last(), proof.value) {
                alone.remove(&last.cid);
                prop_assert!(matches!(verify_proof(&alone, root, key), Err(TreeError::MissingNode(cid)) if cid == last.cid));
            }
        }
    }

    #[test]
    fn walks_begin_anywhere_and_visit_nodes_before_their_records(present in prop::collection::btree_set(0..pool().len(), 0..60)) {
        let records: BTreeMap<Key, Cid> = present.iter().map(|&i| (pool()[i].clone(), record(i))).collect();
        let (store, root) = build(&records);
        for from in pool() {
            let mut walk = Walk::from_key(&store, root, from);
            let mut found = Vec::new();
            while let Some((text, cid)) = walk.record().unwrap() {
                found.push((key(text), cid));
            }
            prop_assert_eq!(found, records.range(from.clone()..).map(|(key, cid)| (key.clone(), *cid)).collect::<Vec<_>>());
        }
        let (mut walk, mut holder, mut last) = (Walk::new(&store, root), HashMap::new(), String::new());
        while let Some(step) = walk.step().unwrap() {
            match step {
                Step::Node { cid, node } => {
                    prop_assert_eq!(Cid::dag_cbor(&node.encode()), cid);
                    for entry in node.entries() {
                        holder.insert(entry.key.to_owned(), entry.value);
                    }
                }
                Step::Record { key, cid } => {
                    prop_assert!(key > last.as_str());
                    prop_assert_eq!(holder.remove(key), Some(cid));
                    key.clone_into(&mut last);
                }
            }
        }
        prop_assert!(holder.is_empty());
    }
}

/// What happened: an implementation lost records when a key landed two or more layers above the root (atrium-rs/atrium#343).
/// After keys of heights 1, 1, 1, 0, 0 came one of height 3, and two of the earlier keys were gone.
#[test]
fn a_key_far_above_the_root_loses_nothing() {
    let of_height = |height: u8, skip: usize| pool().iter().filter(|key| key.height() == height).nth(skip).unwrap().clone();
    for top in 2..=6 {
        let keys = [of_height(1, 0), of_height(1, 1), of_height(1, 2), of_height(0, 0), of_height(0, 1), of_height(top, 0)];
        let (mut store, mut root) = MemoryStore::with_empty_tree();
        let mut records = BTreeMap::new();
        for key in &keys {
            let before = records.clone();
            let mut tree = Tree::open(&store, root);
            tree.put(key, record(key)).unwrap();
            records.insert(key.clone(), record(key));
            let change = tree.finish_with_proof().unwrap();
            check_change(&change, &before, &records);
            store.apply(&change);
            root = change.root;
            assert_eq!(support::records(&store, root), records);
        }
        // And back, highest first and last, as deep trees shrink.
        for key in keys.iter().rev() {
            let before = records.clone();
            let mut tree = Tree::open(&store, root);
            assert_eq!(tree.delete(key).unwrap(), records.remove(key));
            let change = tree.finish_with_proof().unwrap();
            check_change(&change, &before, &records);
            store.apply(&change);
            root = change.root;
        }
        assert_eq!(root, MemoryStore::with_empty_tree().1);
        assert_eq!(store.len(), 1);
    }
}

/// What happened: 9 to 12 of 100 deletes could not be undone from their commits, which lacked the neighbours of the key.
#[test]
fn every_delete_of_a_large_repository_is_undone_from_its_own_blocks() {
    let records: BTreeMap<Key, Cid> =
        (0..1000).map(|n| (key(&format!("{}/{n:05}", COLLECTIONS[n % COLLECTIONS.len()])), record(n))).collect();
    let (store, root) = build(&records);
    for key in records.keys() {
        let mut tree = Tree::open(&store, root);
        tree.delete(key).unwrap();
        let change = tree.finish_with_proof().unwrap();
        let carried = support::carried(&change);
        assert_eq!(repo_engine::invert(&change.ops, &carried, change.root).unwrap(), root, "{key}");
    }
}

#[test]
fn operations_that_change_nothing_create_nothing() {
    let records: BTreeMap<Key, Cid> = pool().iter().map(|key| (key.clone(), record(key))).collect();
    let (store, root) = build(&records);
    let absent = key("app.bsky.feed.post/absent");

    let mut tree = Tree::open(&store, root);
    assert_eq!(tree.delete(&absent).unwrap(), None);
    let first = &pool()[0];
    assert_eq!(tree.put(first, record(first)).unwrap(), Some(record(first)));
    assert_eq!(tree.delete(first).unwrap(), Some(record(first)));
    assert_eq!(tree.put(first, record(first)).unwrap(), None);
    assert_eq!(tree.put(&absent, record(1)).unwrap(), None);
    assert_eq!(tree.delete(&absent).unwrap(), Some(record(1)));
    let change = tree.finish_with_proof().unwrap();
    assert_eq!((change.root, change.created.len(), change.removed.len(), change.ops.len()), (root, 0, 0, 0));

    let (empty, root) = MemoryStore::with_empty_tree();
    let change = Tree::open(&empty, root).finish_with_proof().unwrap();
    assert_eq!((change.root, change.created.len(), change.removed.len()), (root, 0, 0));
}

#[test]
fn a_missing_node_is_named() {
    let records: BTreeMap<Key, Cid> = pool().iter().map(|key| (key.clone(), record(key))).collect();
    let (store, root) = build(&records);
    let cids: Vec<Cid> = store.cids().copied().collect();
    for cid in cids {
        let mut store = store.clone();
        store.remove(&cid);
        let mut missing = 0;
        for key in pool() {
            let mut tree = Tree::open(&store, root);
            match tree.delete(key) {
                Ok(prev) => assert_eq!(prev, Some(record(key))),
                Err(TreeError::MissingNode(named)) => {
                    assert_eq!(named, cid);
                    missing += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(missing > 0);
    }
}

#[test]
fn false_operations_are_not_inverted() {
    use repo_engine::{Action, InvertError, Op, invert};
    let records: BTreeMap<Key, Cid> = pool()[..10].iter().map(|key| (key.clone(), record(key))).collect();
    let (store, root) = build(&records);
    let (present, absent) = (&pool()[0], &pool()[20]);
    let (cid, prev) = (record(present), record("other"));
    for (key, action) in [
        (absent, Action::Create { cid }),
        (present, Action::Create { cid: prev }),
        (present, Action::Delete { prev }),
        (absent, Action::Update { cid, prev }),
        (present, Action::Update { cid: prev, prev: cid }),
    ] {
        let op = Op { key: key.clone(), action };
        assert!(matches!(invert(std::slice::from_ref(&op), &store, root), Err(InvertError::Contradiction { .. })), "{op:?}");
        assert!(matches!(invert(&[op.clone(), op], &store, root), Err(InvertError::Twice(_))));
    }
}
