//! What a stranger may send: the bodies of the fuzz targets over made and mangled bytes, and trees that lie about their shape.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops where it is wrong, and may say what it skips")]

mod support;

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::collections::BTreeMap;

use common::Cid;
use common::cbor::Writer;
use crypto::{Curve, SigningKey};
use proptest::prelude::*;
use repo_engine::{Key, MemoryStore, Node, NodeError, Shape, Tree, TreeError, UnsignedCommit, Walk, car, diff, invert, prove};
use serde::{Deserialize, Serialize};
use support::{build, key, record};

const BODIES: [fn(&[u8]); 5] = [bodies::cbor, bodies::car, bodies::mst_node, bodies::commit, bodies::mst_ops];

fn example() -> (BTreeMap<Key, Cid>, MemoryStore, Cid) {
    let records: BTreeMap<Key, Cid> = (0..200).map(|n| (key(&format!("app.bsky.feed.post/{n:04}")), record(n))).collect();
    let (store, root) = build(&records);
    (records, store, root)
}

/// Returns good bytes of every kind that the bodies read.
fn seeds() -> Vec<Vec<u8>> {
    let (_, store, root) = example();
    let block = |cid: &Cid| {
        let proof = prove(&store, *cid, "a/b");
        proof.map(|proof| proof.nodes[0].bytes.to_vec())
    };
    let mut seeds: Vec<Vec<u8>> = store.cids().filter_map(|cid| block(cid).ok()).take(10).collect();
    let mut archive = vec![7];
    archive.extend(car::header(&root));
    for seed in &seeds {
        car::write_block(&mut archive, &Cid::dag_cbor(seed), seed);
    }
    seeds.push(archive);
    let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
    let commit = UnsignedCommit { did, rev: "3l4bwhsv2222a".parse().unwrap(), data: root };
    seeds.push(commit.sign(&SigningKey::from_bytes(Curve::P256, &[1; 32]).unwrap()).block.to_vec());
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds")).unwrap() {
        seeds.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    seeds
}

#[test]
fn the_seeds_pass_all_bodies() {
    for seed in seeds() {
        for body in BODIES {
            body(&seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_pass_all_bodies(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for body in BODIES { body(&bytes); }
    }

    #[test]
    fn mangled_seeds_pass_all_bodies(which in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4)) {
        static SEEDS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let mut bytes = which.get(SEEDS.get_or_init(seeds)).clone();
        for (at, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        for body in BODIES { body(&bytes); }
    }

    /// A store that gives another node than it was asked for makes trees of every wrong shape, even endless ones.
    #[test]
    fn a_tree_of_the_wrong_shape_is_refused_and_never_walked_for_ever(swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6)) {
        let (records, mut store, root) = example();
        let other = store.clone();
        let mut cids: Vec<Cid> = other.cids().copied().collect();
        cids.sort_unstable();
        for (from, to) in swaps {
            let node = repo_engine::NodeStore::node(&other, from.get(&cids)).unwrap().unwrap();
            store.insert_known(*to.get(&cids), node);
        }
        let (mut walk, mut steps) = (Walk::new(&store, root), 0);
        while let Ok(Some(_)) = walk.step() {
            steps += 1;
        }
        prop_assert!(steps <= 2 * (records.len() + cids.len()));
        let _ = diff(&store, root, cids[0]);
        for key in records.keys().step_by(7) {
            let _ = prove(&store, root, key);
            let mut tree = Tree::open(&store, root);
            let _ = tree.delete(key);
            let _ = tree.put(&format!("{key}x").parse().unwrap(), root);
            let _ = tree.get(key);
            let change = tree.finish_with_proof();
            if let Ok(change) = change {
                let _ = invert(&change.ops, &store, change.root);
            }
        }
    }
}

/// A node as another library encodes it.
#[derive(Serialize, Deserialize)]
struct Wire {
    e: Vec<WireEntry>,
    l: Option<ipld_core::cid::Cid>,
}

#[derive(Serialize, Deserialize)]
struct WireEntry {
    #[serde(with = "bytes")]
    k: Vec<u8>,
    p: u64,
    t: Option<ipld_core::cid::Cid>,
    v: ipld_core::cid::Cid,
}

mod bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match ipld_core::ipld::Ipld::deserialize(deserializer)? {
            ipld_core::ipld::Ipld::Bytes(bytes) => Ok(bytes),
            other => Err(serde::de::Error::custom(format!("{other:?} is no bytes"))),
        }
    }
}

#[test]
fn nodes_are_what_another_library_reads_and_writes() {
    let (_, store, _) = example();
    for cid in store.cids() {
        let node = repo_engine::NodeStore::node(&store, cid).unwrap().unwrap();
        let block = node.encode();
        let wire: Wire = serde_ipld_dagcbor::from_slice(&block).unwrap();
        assert_eq!(serde_ipld_dagcbor::to_vec(&wire).unwrap(), block);
        let foreign = |cid: Cid| ipld_core::cid::Cid::try_from(&cid.to_bytes()[..]).unwrap();
        assert_eq!(wire.l, node.left().map(foreign));
        let mut before = Vec::new();
        for (theirs, ours) in wire.e.iter().zip(node.entries()) {
            before.truncate(theirs.p as usize);
            before.extend_from_slice(&theirs.k);
            assert_eq!(
                (before.as_slice(), theirs.v, theirs.t),
                (ours.key.as_bytes(), foreign(ours.value), ours.right.map(foreign))
            );
        }
        assert_eq!(wire.e.len(), node.len());
        assert_eq!(Node::decode(&block).unwrap(), *node);
    }
}

/// Writes a node as it is told, right or wrong.
fn block(entries: &[(u64, &str, Option<Cid>)], left: Option<Cid>) -> Vec<u8> {
    let mut out = Writer::new();
    out.map(2);
    out.text("e");
    out.array(entries.len());
    for (prefix, suffix, right) in entries {
        out.map(4);
        out.text("k");
        out.bytes(suffix.as_bytes());
        out.text("p");
        out.unsigned(*prefix);
        out.text("t");
        out.optional_link(right.as_ref());
        out.text("v");
        out.link(&record(suffix));
    }
    out.text("l");
    out.optional_link(left.as_ref());
    out.into_vec()
}

#[test]
fn nodes_with_a_second_spelling_are_refused() {
    // Heights: A0.., B0.. are on layer 0, A1.. on layer 1.
    let (zero, zero_later, one) = ("A0/374913", "B0/601692", "A1/076595");
    assert_eq!([zero, zero_later, one].map(|text| key(text).height()), [0, 0, 1]);
    let link = Some(record("node"));
    Node::decode(&block(&[(0, zero, None), (0, zero_later, None)], None)).unwrap();
    Node::decode(&block(&[(0, one, link)], link)).unwrap();
    for (bytes, why) in [
        (block(&[(0, zero_later, None), (0, zero, None)], None), NodeError::Order),
        (block(&[(0, zero, None), (9, "", None)], None), NodeError::Order),
        (block(&[(0, zero, None), (0, "A0/9", None)], None), NodeError::Prefix),
        (block(&[(1, zero, None)], None), NodeError::Prefix),
        (block(&[(0, zero, None), (10, "1", None)], None), NodeError::Prefix),
        (block(&[(0, zero, None), (1, "1/076595", None)], None), NodeError::Layers),
        (block(&[(0, zero, link)], None), NodeError::BelowLeaves),
        (block(&[(0, zero, None)], link), NodeError::BelowLeaves),
        (block(&[(0, one, Some(Cid::raw(b"blob")))], None), NodeError::LinkCodec),
    ] {
        assert_eq!(Node::decode(&bytes).unwrap_err(), why);
    }
    for bad in ["", "A0", "A0/", "A0/a b", "A0/a/b"] {
        assert!(matches!(Node::decode(&block(&[(0, bad, None)], None)), Err(NodeError::Key(_))), "{bad}");
    }
    let mut surplus = Writer::new();
    surplus.map(3);
    surplus.text("e");
    surplus.array(0);
    surplus.text("l");
    surplus.null();
    surplus.text("x");
    surplus.null();
    assert_eq!(Node::decode(surplus.as_slice()).unwrap_err(), NodeError::Fields);
    let mut trailing = Node::empty().encode();
    trailing.push(0xf6);
    assert!(matches!(Node::decode(&trailing), Err(NodeError::Cbor(_))));
}

#[test]
fn nodes_in_the_wrong_place_are_refused() {
    let mut store = MemoryStore::default();
    let empty = store.insert_block(&block(&[], None)).unwrap();
    let leaf = store.insert_block(&block(&[(0, "B0/601692", None)], None)).unwrap();
    let no_keys = store.insert_block(&block(&[], Some(leaf))).unwrap();
    // A2 is on layer 2 and comes before B0.
    for (left, right, shape) in [
        (None, Some(empty), Some(Shape::Empty)),
        (None, Some(leaf), Some(Shape::Layer)),
        (Some(no_keys), None, Some(Shape::Range)),
        (None, Some(no_keys), None),
    ] {
        let root = store.insert_block(&block(&[(0, "A2/827942", right)], left)).unwrap();
        let mut walk = Walk::new(&store, root);
        let mut result = Ok(());
        loop {
            match walk.step() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(TreeError::Misplaced { shape, .. }) => {
                    result = Err(shape);
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(result.err(), shape);
    }
    let mut tree = Tree::open(&store, no_keys);
    assert!(matches!(tree.put(&key("a/b"), empty), Err(TreeError::Misplaced { shape: Shape::RootWithoutKeys, .. })));
}

/// A node is small unless someone looks for keys of one height; then there is an end to it.
#[test]
fn a_node_that_could_not_be_read_back_is_not_made() {
    let long = "k".repeat(1000);
    let keys: Vec<Key> = (0..7_000).map(|n| key(&format!("a/{long}{n:05}"))).filter(|key| key.height() == 0).collect();
    assert!(keys.len() > 4_000);
    let (store, root) = MemoryStore::with_empty_tree();
    let mut tree = Tree::open(&store, root);
    for key in &keys {
        tree.put(key, root).unwrap();
    }
    assert!(matches!(tree.finish(), Err(TreeError::TooLarge(_))));

    let mut out = Writer::new();
    out.map(2);
    out.text("e");
    out.array(keys.len());
    for (n, key) in keys.iter().enumerate() {
        let shared =
            n.checked_sub(1).map_or(0, |before| key.bytes().zip(keys[before].bytes()).take_while(|(a, b)| a == b).count());
        out.map(4);
        out.text("k");
        out.bytes(&key.as_bytes()[shared..]);
        out.text("p");
        out.unsigned(shared as u64);
        out.text("t");
        out.null();
        out.text("v");
        out.link(&root);
    }
    out.text("l");
    out.null();
    let block = out.into_vec();
    assert!(block.len() < Node::MAX_BYTES / 4);
    assert_eq!(Node::decode(&block).unwrap_err(), NodeError::TooManyKeys);
}
