//! What the fuzz targets do with bytes. The ordinary tests do it too, with few bytes; see `tests/hostile.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Cid, cbor};
use repo_engine::car::{Block, CarError, Decoder, read_all};
use repo_engine::{Builder, Commit, Key, MemoryStore, Node, Tree, invert};

/// Decoding is total, and what it accepts has one spelling.
pub(crate) fn cbor(data: &[u8]) {
    if let Ok(value) = cbor::decode(data) {
        assert_eq!(cbor::encode(&value), data);
    }
}

/// A CAR is the same whether it comes whole or in pieces.
pub(crate) fn car(data: &[u8]) {
    let Some((&size, car)) = data.split_first() else { return };
    let mut decoder = Decoder::default();
    let mut pieces = Vec::new();
    let mut read = || -> Result<(), CarError> {
        for chunk in car.chunks(usize::from(size).max(1)) {
            decoder.feed(chunk);
            while let Some(Block { cid, bytes }) = decoder.block()? {
                assert!(cid.matches(&bytes));
                pieces.push(Block { cid, bytes });
            }
        }
        Ok(())
    };
    let result = read().and_then(|()| decoder.finish());
    assert_eq!(result.map(|roots| (roots, pieces)), read_all(car));
}

/// What is accepted as a node is encoded as it was, and has its keys in order.
pub(crate) fn mst_node(data: &[u8]) {
    if let Ok(node) = Node::decode(data) {
        assert_eq!(node.encode(), data);
        assert!(node.entries().is_sorted_by(|a, b| a.key < b.key));
        assert!(node.entries().all(|entry| Some(repo_engine::height(entry.key.as_bytes())) == node.layer()));
        assert!(node.size_bytes() >= node.entries().map(|entry| entry.key.len()).sum());
    }
}

/// What is accepted as a commit is canonical.
pub(crate) fn commit(data: &[u8]) {
    if let Ok(commit) = Commit::decode(data) {
        assert_eq!(cbor::encode(&cbor::decode(data).expect("a commit is DAG-CBOR")), data);
        assert_eq!(commit.cid, Cid::dag_cbor(data));
    }
}

/// Three bytes are one operation; each batch ends in a canonical tree that leads back to the one before.
pub(crate) fn mst_ops(data: &[u8]) {
    let (mut store, mut root) = MemoryStore::with_empty_tree();
    let mut records = BTreeMap::new();
    for batch in data.chunks(3 * 8) {
        let mut tree = Tree::open(&store, root);
        for op in batch.chunks_exact(3) {
            let key: Key = format!("c{}/{}", op[1] >> 6, u16::from_be_bytes([op[1], op[2]])).parse().expect("a key");
            let value = Cid::dag_cbor(&op[..1]);
            if op[0] & 1 == 0 {
                assert_eq!(tree.put(&key, value).expect("all nodes are here"), records.insert(key, value));
            } else {
                assert_eq!(tree.delete(&key).expect("all nodes are here"), records.remove(&key));
            }
        }
        let change = tree.finish_with_proof().expect("all nodes are here");
        let mut builder = Builder::new(|_, _, _| Ok::<(), std::convert::Infallible>(()));
        for (key, value) in &records {
            builder.push(key, *value).expect("emitting cannot fail");
        }
        assert_eq!(change.root, builder.finish().expect("emitting cannot fail"));

        let mut alone = MemoryStore::default();
        for block in change.created.iter().chain(&change.proof) {
            alone.insert_known(block.cid, Arc::clone(&block.node));
        }
        assert_eq!(invert(&change.ops, &alone, change.root).expect("the proof is enough"), root);
        store.apply(&change);
        root = change.root;
    }
}
