//! Does one thing of the write path a fixed number of times, for tests/instructions to count its instructions.
//!
//! `instructions` lists the things, `instructions <name>` does one. Only [`measured`] is counted: what prepares it is not.

#![allow(clippy::print_stdout, unreachable_pub, reason = "it prints a list")]

#[path = "../benches/support/mod.rs"]
mod support;

use std::hint::black_box;

use common::{Cid, Tid, cbor, json};
use crypto::{Curve, SigningKey};
use repo_engine::{Builder, MemoryStore, Node, Tree, UnsignedCommit, Walk, car, invert};

const SIZE: u64 = 10_000;
const POST: &str = r#"{"$type":"app.bsky.feed.post","text":"the quick brown fox jumps over the lazy dog, while rain falls on my little server","createdAt":"2026-01-02T03:04:05.678Z","langs":["en"]}"#;

/// What is done, and how to prepare it.
type Thing = (&'static str, fn());

const THINGS: &[Thing] = &[
    ("commit_of_one_record", commit_of_one_record),
    ("commit_of_200_records", commit_of_200_records),
    ("invert_a_commit", invert_a_commit),
    ("json_to_cbor", json_to_cbor),
    ("cbor_to_json", cbor_to_json),
    ("build_a_tree", build_a_tree),
    ("walk_a_tree", walk_a_tree),
    ("read_a_car", read_a_car),
    ("decode_a_node", decode_a_node),
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
fn commit(store: &mut MemoryStore, root: Cid, key: &SigningKey, from: u64, records: u64) -> Cid {
    let mut tree = Tree::open(&*store, root);
    for n in from..from + records {
        tree.put(&support::key_between(n, SIZE), support::record(n)).expect("all nodes are here");
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
    let ((mut store, mut root), key) = (support::repository(SIZE), key());
    measured(|| {
        for n in 0..100 {
            root = commit(&mut store, root, &key, n, 1);
        }
    });
}

fn commit_of_200_records() {
    let ((mut store, root), key) = (support::repository(SIZE), key());
    measured(|| commit(&mut store, root, &key, 0, 200));
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

fn decode_a_node() {
    let (store, root) = support::repository(SIZE);
    let nodes = repo_engine::prove(&store, root, &support::key(SIZE / 2, SIZE)).expect("all nodes are here").nodes;
    measured(|| {
        for _ in 0..100 {
            for node in &nodes {
                black_box(Node::decode(black_box(&node.bytes)).expect("a node"));
            }
        }
    });
}
