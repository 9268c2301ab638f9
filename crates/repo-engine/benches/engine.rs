//! How long the parts of the write path take.

#![allow(missing_docs, unreachable_pub, reason = "a benchmark is no library")]

mod support;

use std::hint::black_box;

use common::{Cid, Tid};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{Curve, SigningKey};
use repo_engine::{Builder, Commit, Key, Node, Tree, UnsignedCommit, Walk, car, diff, prove};
use support::{key, key_between, record, repository};

fn trees(c: &mut Criterion) {
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        let (store, root) = repository(size);
        let mut group = c.benchmark_group(format!("tree of {size}"));
        let mut n = 0;
        let mut next = || {
            n += 1;
            n
        };
        group.bench_function("put at the end, proof, finish", |b| {
            b.iter_batched(|| key(size + next(), size), |key| put(&store, root, &key), BatchSize::SmallInput);
        });
        group.bench_function("put anywhere, proof, finish", |b| {
            b.iter_batched(|| key_between(next(), size), |key| put(&store, root, &key), BatchSize::SmallInput);
        });
        group.bench_function("delete anywhere, proof, finish", |b| {
            b.iter_batched(
                || key(next().wrapping_mul(0x9e37_79b9_7f4a_7c15) % size, size),
                |key| {
                    let mut tree = Tree::open(&store, root);
                    tree.delete(&key).expect("all nodes are here").expect("the record is there");
                    tree.finish_with_proof().expect("all nodes are here")
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function("200 puts anywhere, proof, finish", |b| {
            b.iter_batched(
                || (0..200).map(|_| key_between(next(), size)).collect::<Vec<_>>(),
                |keys| {
                    let mut tree = Tree::open(&store, root);
                    for key in &keys {
                        tree.put(key, root).expect("all nodes are here");
                    }
                    tree.finish_with_proof().expect("all nodes are here")
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function("get", |b| {
            b.iter_batched(
                || key(next().wrapping_mul(0x9e37_79b9_7f4a_7c15) % size, size),
                |key| Tree::open(&store, root).get(&key).expect("all nodes are here"),
                BatchSize::SmallInput,
            );
        });
        let change = put(&store, root, &key_between(7, size));
        let mut both = store.clone();
        both.apply(&change);
        for cid in &change.removed {
            let node = repo_engine::NodeStore::node(&store, cid).expect("memory does not fail").expect("it was there");
            both.insert_known(*cid, node);
        }
        group.bench_function("diff of one record", |b| b.iter(|| diff(&both, root, change.root).expect("all nodes are here")));
        group.bench_function("prove", |b| b.iter(|| prove(&store, root, &key_between(9, size)).expect("all nodes are here")));
    }
}

fn put(store: &repo_engine::MemoryStore, root: Cid, key: &Key) -> repo_engine::Change {
    let mut tree = Tree::open(store, root);
    tree.put(key, root).expect("all nodes are here");
    tree.finish_with_proof().expect("all nodes are here")
}

fn parts(c: &mut Criterion) {
    let mut group = c.benchmark_group("parts");
    let size = 10_000;
    let (store, root) = repository(size);
    let nodes = prove(&store, root, &key(5_000, size)).expect("all nodes are here").nodes;
    let node = nodes.iter().max_by_key(|block| block.node.len()).expect("a path has nodes");
    group.bench_function(format!("encode a node of {} keys", node.node.len()), |b| b.iter(|| black_box(&node.node).encode()));
    group.bench_function(format!("decode a node of {} keys", node.node.len()), |b| {
        b.iter(|| Node::decode(black_box(&node.bytes)).expect("a node"));
    });
    group.bench_function("parse a key", |b| {
        b.iter(|| black_box("app.bsky.feed.post/3lo3kqqljmfe2").parse::<Key>().expect("a key"));
    });

    let unsigned = UnsignedCommit {
        did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().expect("a DID"),
        rev: Tid::from_parts(1_700_000_000_000_000, 0),
        data: root,
    };
    for curve in [Curve::K256, Curve::P256] {
        let signing_key = SigningKey::from_bytes(curve, &[7; 32]).expect("a key");
        group.bench_function(format!("sign a commit with {curve:?}"), |b| {
            b.iter_batched(|| unsigned.clone(), |commit| commit.sign(&signing_key), BatchSize::SmallInput);
        });
        let commit = unsigned.clone().sign(&signing_key);
        group.bench_function(format!("decode and verify a commit with {curve:?}"), |b| {
            b.iter(|| Commit::decode(&commit.block).expect("a commit").verify(signing_key.verifying_key()).expect("signed"));
        });
    }

    let keys: Vec<Key> = (0..size).map(|n| key(n, size)).collect();
    group.throughput(Throughput::Elements(size));
    group.bench_function("build a tree", |b| {
        b.iter(|| {
            let mut builder = Builder::new(|_, _, _| Ok::<(), std::convert::Infallible>(()));
            for key in &keys {
                builder.push(key, root).expect("emitting cannot fail");
            }
            builder.finish().expect("emitting cannot fail")
        });
    });
    group.bench_function("walk a tree", |b| {
        b.iter(|| {
            let mut walk = Walk::new(&store, root);
            let mut count = 0;
            while walk.record().expect("all nodes are here").is_some() {
                count += 1;
            }
            count
        });
    });

    let records: Vec<Vec<u8>> = (0..1_000_u64).map(|n| (0..40).flat_map(|i| (n * 40 + i).to_le_bytes()).collect()).collect();
    let blocks: Vec<_> = records.iter().map(|record| (Cid::dag_cbor(record), record)).collect();
    let archive = || {
        let mut out = car::header(&root);
        for (cid, content) in &blocks {
            car::write_block(&mut out, cid, content);
        }
        out
    };
    let bytes = archive();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("write a CAR of 320-byte blocks", |b| b.iter(archive));
    group.bench_function("read a CAR of 320-byte blocks", |b| b.iter(|| car::read_all(&bytes).expect("a CAR")));
    assert_eq!(record(0), Cid::dag_cbor(&[0; 8]));
}

criterion_group!(benches, trees, parts);
criterion_main!(benches);
