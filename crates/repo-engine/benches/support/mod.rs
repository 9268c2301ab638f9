//! Repositories of any size, for measurements.

use std::sync::Arc;

use common::{Cid, Tid};
use repo_engine::{Builder, Key, MemoryStore, Node};

/// A mix like that of an active account.
const COLLECTIONS: [&str; 4] = ["app.bsky.feed.like", "app.bsky.feed.post", "app.bsky.feed.repost", "app.bsky.graph.follow"];

/// Where the first record's time is, in microseconds since 1970, and how far apart records are.
const START: u64 = 1_680_000_000_000_000;
const STEP: u64 = 60_000_000;

/// Returns the key of the nth record of a repository that has `size` of them; from `size` on, one that is new and the last.
pub fn key(n: u64, size: u64) -> Key {
    let count = COLLECTIONS.len() as u64;
    let (collection, place) = if n < size { (n * count / size, n) } else { (n % count, n) };
    let rkey = Tid::from_parts(START + place * STEP, (n * 7 % 32) as u16);
    format!("{}/{rkey}", COLLECTIONS[collection as usize]).parse().expect("a key")
}

/// Returns a key between two records anywhere in a repository.
pub fn key_between(n: u64, size: u64) -> Key {
    let place = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
    let rkey = Tid::from_parts(START + place * STEP + 1 + n % (STEP - 1), 0);
    format!("{}/{rkey}", COLLECTIONS[(place * COLLECTIONS.len() as u64 / size) as usize]).parse().expect("a key")
}

pub fn record(n: u64) -> Cid {
    Cid::dag_cbor(&n.to_le_bytes())
}

/// Builds a repository of `size` records.
pub fn repository(size: u64) -> (MemoryStore, Cid) {
    let mut store = MemoryStore::default();
    let mut builder = Builder::new(|cid, node: Node, _| {
        store.insert_known(cid, Arc::new(node));
        Ok::<(), std::convert::Infallible>(())
    });
    for n in 0..size {
        assert!(builder.push(&key(n, size), record(n)).expect("emitting cannot fail"), "keys ascend");
    }
    let root = builder.finish().expect("emitting cannot fail");
    (store, root)
}
