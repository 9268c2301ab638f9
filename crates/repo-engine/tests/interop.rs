//! The network's own vectors for trees and commit proofs.
//!
//! Vectors: <https://github.com/bluesky-social/atproto-interop-tests>

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops where it is wrong, and may say what it skips")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use common::Cid;
use repo_engine::{Builder, Key, Tree, height};
use serde::Deserialize;
use support::{build, key, record};

fn fixture<T: for<'de> Deserialize<'de>>(name: &str) -> Option<T> {
    let path = support::vectors("interop")?.join(name);
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

#[test]
fn heights_of_keys() {
    #[derive(Deserialize)]
    struct Case {
        key: String,
        height: u8,
    }
    for case in fixture::<Vec<Case>>("mst/key_heights.json").unwrap_or_default() {
        assert_eq!(height(case.key.as_bytes()), case.height, "{}", case.key);
    }
}

#[test]
fn example_keys_say_their_height() {
    let Some(folder) = support::vectors("interop/mst") else { return };
    let keys = std::fs::read_to_string(folder.join("example_keys.txt")).unwrap();
    let mut records = BTreeMap::new();
    for line in keys.lines().filter(|line| !line.is_empty()) {
        let key: Key = line.parse().unwrap();
        assert_eq!(char::from(b'0' + key.height()), line.chars().nth(1).unwrap(), "{line}");
        records.insert(key, record(line));
    }
    assert_eq!(records.len(), 156);
    let (store, root) = build(&records);
    assert_eq!(support::records(&store, root), records);
}

#[test]
fn common_prefixes_are_what_nodes_leave_out() {
    #[derive(Deserialize)]
    struct Case {
        left: String,
        right: String,
        len: usize,
    }
    // Seen from outside: what two neighbours share is not written twice.
    for case in fixture::<Vec<Case>>("mst/common_prefix.json").unwrap_or_default() {
        let (Ok(left), Ok(right)) = (format!("a/{}", case.left).parse::<Key>(), format!("a/{}", case.right).parse::<Key>())
        else {
            continue;
        };
        if left >= right || left.height() != right.height() {
            continue;
        }
        let mut block = Vec::new();
        let mut builder = Builder::new(|_, _, bytes| {
            block = bytes;
            Ok::<(), std::convert::Infallible>(())
        });
        builder.push(&left, record(1)).unwrap();
        builder.push(&right, record(2)).unwrap();
        builder.finish().unwrap();
        let mut json = Vec::new();
        common::json::write_cbor(&block, &mut json).unwrap();
        let text = String::from_utf8(json).unwrap();
        assert!(text.contains(&format!("\"p\":{}", case.len + 2)), "{text}");
    }
}

/// Roots of small trees, as the reference implementation has them.
#[test]
fn known_roots() {
    let leaf: Cid = "bafyreie5cvv4h45feadgeuwhbcutmh6t2ceseocckahdoe6uat64zmz454".parse().unwrap();
    for (keys, root) in [
        (&[][..], "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"),
        (&["com.example.record/3jqfcqzm3fo2j"], "bafyreibj4lsc3aqnrvphp5xmrnfoorvru4wynt6lwidqbm2623a6tatzdu"),
        (&["com.example.record/3jqfcqzm3fx2j"], "bafyreih7wfei65pxzhauoibu3ls7jgmkju4bspy4t2ha2qdjnzqvoy33ai"),
        (
            &[
                "com.example.record/3jqfcqzm3fp2j",
                "com.example.record/3jqfcqzm3fr2j",
                "com.example.record/3jqfcqzm3fs2j",
                "com.example.record/3jqfcqzm3ft2j",
                "com.example.record/3jqfcqzm4fc2j",
            ],
            "bafyreicmahysq4n6wfuxo522m6dpiy7z7qzym3dzs756t5n7nfdgccwq7m",
        ),
    ] {
        let records = keys.iter().map(|text| (key(text), leaf)).collect();
        assert_eq!(build(&records).1.to_string(), root, "{keys:?}");
    }
}

#[test]
fn commit_proofs() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Case {
        comment: String,
        leaf_value: Cid,
        keys: Vec<Key2>,
        adds: Vec<Key2>,
        dels: Vec<Key2>,
        root_before_commit: Cid,
        root_after_commit: Cid,
        blocks_in_proof: BTreeSet<Cid>,
    }
    #[derive(Deserialize)]
    struct Key2(String);

    for case in fixture::<Vec<Case>>("firehose/commit-proof-fixtures.json").unwrap_or_default() {
        let before: BTreeMap<Key, Cid> = case.keys.iter().map(|text| (key(&text.0), case.leaf_value)).collect();
        let (store, root) = build(&before);
        assert_eq!(root, case.root_before_commit, "{}", case.comment);
        let (mut tree, mut after) = (Tree::open(&store, root), before.clone());
        for add in &case.adds {
            assert_eq!(tree.put(&key(&add.0), case.leaf_value).unwrap(), None);
            after.insert(key(&add.0), case.leaf_value);
        }
        for del in &case.dels {
            assert_eq!(tree.delete(&key(&del.0)).unwrap(), Some(case.leaf_value));
            after.remove(&key(&del.0));
        }
        let change = tree.finish_with_proof().unwrap();
        assert_eq!(change.root, case.root_after_commit, "{}", case.comment);
        support::check_change(&change, &before, &after);
        let sent: BTreeSet<Cid> = change.created.iter().chain(&change.proof).map(|block| block.cid).collect();
        assert!(sent.is_superset(&case.blocks_in_proof), "{}", case.comment);
        println!("{}: {} blocks, {} in the fixture", case.comment, sent.len(), case.blocks_in_proof.len());
    }
}
