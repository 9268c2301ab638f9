//! Does one thing of the write path a fixed number of times, for tests/instructions to count its instructions.
//!
//! `instructions` lists the things, `instructions <name>` does one. Only [`measured`] is counted: what prepares it is not.

#![allow(clippy::print_stdout, unreachable_pub, reason = "it prints a list")]

#[path = "../benches/support/mod.rs"]
mod support;

use std::hint::black_box;

use common::{Cid, Tid, cbor, json};
use crypto::{Curve, SigningKey};
use repo_engine::{Builder, MemoryStore, Node, NodeBlock, NodeError, Tree, UnsignedCommit, Walk, car, diff, invert};

const SIZE: u64 = 10_000;
const POST: &str = r#"{"$type":"app.bsky.feed.post","text":"the quick brown fox jumps over the lazy dog, while rain falls on my little server","createdAt":"2026-01-02T03:04:05.678Z","langs":["en"]}"#;

/// What is done, and how to prepare it.
type Thing = (&'static str, fn());

const THINGS: &[Thing] = &[
    ("commit_of_one_record", commit_of_one_record),
    ("commit_in_a_large_repo", commit_in_a_large_repo),
    ("commit_of_200_records", commit_of_200_records),
    ("invert_a_commit", invert_a_commit),
    ("json_to_cbor", json_to_cbor),
    ("cbor_to_json", cbor_to_json),
    ("build_a_tree", build_a_tree),
    ("walk_a_tree", walk_a_tree),
    ("read_a_car", read_a_car),
    ("write_a_car", write_a_car),
    ("decode_a_node", decode_a_node),
    ("decode_a_known_node", decode_a_known_node),
    ("encode_a_node", encode_a_node),
    ("diff_of_200_records", diff_of_200_records),
    ("prove_a_record", prove_a_record),
];

fn main() {
    let name = std::env::args().nth(1);
    match THINGS.iter().find(|thing| Some(thing.0) == name.as_deref()) {
        Some((_, run)) => run(),
        None => THINGS.iter().for_each(|thing| println!("{}", thing.0)),
    }
}

/// The only function whose instructions are counted.
#[inline(never)]
fn measured<T>(run: impl FnOnce() -> T) -> T {
    black_box(run())
}

fn key() -> SigningKey {
    SigningKey::from_bytes(Curve::K256, &[7; 32]).expect("a key")
}

/// Finds the place, changes the tree, proves, signs and writes the CAR.
fn commit(store: &mut MemoryStore, root: Cid, key: &SigningKey, from: u64, size: u64, records: u64) -> Cid {
    let mut tree = Tree::open(&*store, root);
    for n in from..from + records {
        tree.put(&support::key_between(n, size), support::record(n)).expect("all nodes are here");
    }
    let change = tree.finish_with_proof().expect("all nodes are here");
    let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().expect("a DID");
    let rev = Tid::from_parts(1_700_000_000_000_000 + from, 0);
    let commit = UnsignedCommit { did, rev, data: change.root }.sign(key);
    let mut archive = car::header(&commit.cid);
    car::write_block(&mut archive, &commit.cid, &commit.block);
    for block in change.created.iter().chain(&change.proof) {
        car::write_block(&mut archive, &block.cid, &block.bytes);
    }
    black_box(archive);
    store.apply(&change);
    change.root
}

fn commit_of_one_record() {
    commits_of_one_record(SIZE);
}

/// More records would take minutes to prepare; what grows with their number shows here.
fn commit_in_a_large_repo() {
    commits_of_one_record(20 * SIZE);
}

fn commits_of_one_record(size: u64) {
    let ((mut store, mut root), key) = (support::repository(size), key());
    measured(|| {
        for n in 0..100 {
            root = commit(&mut store, root, &key, n, size, 1);
        }
    });
}

fn commit_of_200_records() {
    let ((mut store, root), key) = (support::repository(SIZE), key());
    measured(|| commit(&mut store, root, &key, 0, SIZE, 200));
}

fn invert_a_commit() {
    let (store, root) = support::repository(SIZE);
    let mut tree = Tree::open(&store, root);
    tree.put(&support::key_between(1, SIZE), support::record(1)).expect("all nodes are here");
    let change = tree.finish_with_proof().expect("all nodes are here");
    let mut blocks = MemoryStore::default();
    for block in change.created.iter().chain(&change.proof) {
        blocks.insert_known(block.cid, block.node.clone());
    }
    measured(|| {
        for _ in 0..100 {
            assert_eq!(invert(&change.ops, &blocks, change.root).expect("the proof is whole"), root);
        }
    });
}

fn json_to_cbor() {
    measured(|| {
        for _ in 0..1000 {
            let value = json::parse(black_box(POST.as_bytes())).expect("JSON");
            black_box(Cid::dag_cbor(&cbor::encode(&value)));
        }
    });
}

fn cbor_to_json() {
    let block = cbor::encode(&json::parse(POST.as_bytes()).expect("JSON"));
    let mut out = Vec::new();
    measured(|| {
        for _ in 0..1000 {
            out.clear();
            json::write_cbor(black_box(&block), &mut out).expect("a record");
        }
    });
}

fn build_a_tree() {
    let keys: Vec<_> = (0..SIZE).map(|n| support::key(n, SIZE)).collect();
    measured(|| {
        let mut builder = Builder::new(|_, _, _| Ok::<(), std::convert::Infallible>(()));
        for (n, key) in (0..).zip(&keys) {
            builder.push(key, support::record(n)).expect("emitting cannot fail");
        }
        builder.finish().expect("emitting cannot fail")
    });
}

fn walk_a_tree() {
    let (store, root) = support::repository(SIZE);
    measured(|| {
        let mut walk = Walk::new(&store, root);
        while walk.record().expect("all nodes are here").is_some() {}
    });
}

fn read_a_car() {
    let record = cbor::encode(&json::parse(POST.as_bytes()).expect("JSON"));
    let cid = Cid::dag_cbor(&record);
    let mut archive = car::header(&cid);
    for _ in 0..1000 {
        car::write_block(&mut archive, &cid, &record);
    }
    measured(|| car::read_all(&archive).expect("a CAR"));
}

fn write_a_car() {
    let record = cbor::encode(&json::parse(POST.as_bytes()).expect("JSON"));
    let cid = Cid::dag_cbor(&record);
    let mut archive = Vec::with_capacity(1000 * (record.len() + 64));
    measured(|| {
        for _ in 0..1000 {
            car::write_block(&mut archive, black_box(&cid), black_box(&record));
        }
    });
}

/// The nodes from the root to a record.
fn path() -> Vec<NodeBlock> {
    let (store, root) = support::repository(SIZE);
    repo_engine::prove(&store, root, &support::key(SIZE / 2, SIZE)).expect("all nodes are here").nodes
}

fn decode(read: fn(&[u8]) -> Result<Node, NodeError>) {
    let nodes = path();
    measured(|| {
        for _ in 0..100 {
            for node in &nodes {
                black_box(read(black_box(&node.bytes)).expect("a node"));
            }
        }
    });
}

fn decode_a_node() {
    decode(Node::decode);
}

fn decode_a_known_node() {
    decode(Node::decode_known);
}

fn encode_a_node() {
    let nodes = path();
    measured(|| {
        for _ in 0..100 {
            for node in &nodes {
                black_box(black_box(&node.node).encode());
            }
        }
    });
}

fn diff_of_200_records() {
    let (mut store, root) = support::repository(SIZE);
    let mut tree = Tree::open(&store, root);
    for n in 0..200 {
        tree.put(&support::key_between(n, SIZE), support::record(n)).expect("all nodes are here");
    }
    let change = tree.finish().expect("all nodes are here");
    for block in &change.created {
        store.insert_known(block.cid, block.node.clone());
    }
    measured(|| assert_eq!(diff(&store, root, change.root).expect("all nodes are here").ops.len(), 200));
}

fn prove_a_record() {
    let (store, root) = support::repository(SIZE);
    measured(|| {
        for n in 0..100 {
            black_box(repo_engine::prove(&store, root, &support::key(97 * n, SIZE)).expect("all nodes are here"));
        }
    });
}
