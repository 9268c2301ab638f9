//! The public MST suite: every pair of the 128 trees that 7 keys can make, each seen as a commit from one to the other.
//!
//! Suite: <https://github.com/DavidBuchanan314/mst-test-suite>

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops where it is wrong, and may say what it skips")]

mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use common::Cid;
use repo_engine::{Action, Key, MemoryStore, NodeStore, Op, Tree, car, diff, invert, verify_proof};
use serde::Deserialize;
use support::{Recording, nodes, records};

#[derive(Deserialize)]
struct Case {
    inputs: Inputs,
    results: Results,
}

#[derive(Deserialize)]
struct Inputs {
    mst_a: String,
    mst_b: String,
}

#[derive(Deserialize)]
struct Results {
    created_nodes: BTreeSet<Cid>,
    deleted_nodes: BTreeSet<Cid>,
    record_ops: Vec<RecordOp>,
    proof_nodes: BTreeSet<Cid>,
    inductive_proof_nodes: BTreeSet<Cid>,
}

#[derive(Deserialize)]
struct RecordOp {
    rpath: String,
    old_value: Option<Cid>,
    new_value: Option<Cid>,
}

/// A folder that goes away with the test.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn unpack() -> Option<Folder> {
    let archive = support::vectors("mst-suite.tar.xz")?;
    let folder = Folder(std::env::temp_dir().join(format!("mst-suite-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let tar = Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(&folder.0).stderr(Stdio::null()).status();
    if tar.is_ok_and(|status| status.success()) {
        return Some(folder);
    }
    println!("note: tar with xz is absent, so the MST suite was not run");
    None
}

struct Example {
    root: Cid,
    store: MemoryStore,
    nodes: BTreeSet<Cid>,
    records: BTreeMap<Key, Cid>,
}

fn read(path: &Path) -> Example {
    let (roots, blocks) = car::read_all(&std::fs::read(path).unwrap()).unwrap();
    let [root] = roots[..] else { panic!("{}: one root", path.display()) };
    let store = MemoryStore::from_blocks(&blocks);
    let (nodes, records) = (nodes(&store, root), records(&store, root));
    Example { root, store, nodes, records }
}

#[test]
fn every_case_of_the_suite() {
    let Some(folder) = unpack() else { return };
    let mut trees = BTreeMap::new();
    for entry in std::fs::read_dir(folder.0.join("cars/exhaustive")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let tree = read(&path);
        assert_eq!(support::build(&tree.records).1, tree.root, "{name} is what we build");
        trees.insert(name, tree);
    }
    let (mut cases, mut least, mut ours, mut needless) = (0, 0, 0, 0);
    for entry in std::fs::read_dir(folder.0.join("tests/diff/exhaustive")).unwrap() {
        let case: Case = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let tree = |path: &str| &trees[path.rsplit('/').next().unwrap()];
        let (sent, more) = check(tree(&case.inputs.mst_a), tree(&case.inputs.mst_b), &case.results);
        cases += 1;
        least += case.results.inductive_proof_nodes.len();
        ours += sent;
        needless += more;
    }
    println!("{cases} cases; {ours} nodes sent where {least} are the least");
    assert_eq!(cases, 128 * 128);
    assert_eq!(needless, 472, "we invert with fewer nodes than the suite lists, as often as ever");
    assert!(ours < least + least / 10, "the covering proofs are near the least");
}

fn check(a: &Example, b: &Example, expected: &Results) -> (usize, usize) {
    let ops: Vec<Op> = expected
        .record_ops
        .iter()
        .map(|op| Op { key: op.rpath.parse().unwrap(), action: Action::between(op.old_value, op.new_value).unwrap() })
        .collect();

    // The trees share a store, as they do in a repository.
    let mut both = a.store.clone();
    for cid in b.store.cids() {
        both.insert_known(*cid, b.store.node(cid).unwrap().unwrap());
    }
    let diff = diff(&both, a.root, b.root).unwrap();
    assert_eq!(BTreeSet::from_iter(diff.created), expected.created_nodes);
    assert_eq!(BTreeSet::from_iter(diff.removed), expected.deleted_nodes);
    assert_eq!(diff.ops, ops);

    let mut tree = Tree::open(&a.store, a.root);
    for op in &ops {
        let prev = match op.action.cid() {
            Some(cid) => tree.put(&op.key, cid),
            None => tree.delete(&op.key),
        };
        assert_eq!(prev.unwrap(), op.action.prev());
    }
    let change = tree.finish_with_proof().unwrap();
    assert_eq!((change.previous, change.root), (a.root, b.root));
    assert_eq!(change.ops, ops);
    assert_eq!(change.created.iter().map(|block| block.cid).collect::<BTreeSet<_>>(), expected.created_nodes);
    assert_eq!(BTreeSet::from_iter(change.removed.clone()), expected.deleted_nodes);

    // What we send is enough for the suite's ways to use it, and is all from the new tree.
    let sent: BTreeSet<Cid> = change.created.iter().chain(&change.proof).map(|block| block.cid).collect();
    assert_eq!(sent.len(), change.created.len() + change.proof.len());
    assert!(sent.is_subset(&b.nodes));
    assert!(sent.is_superset(&expected.proof_nodes));
    assert!(sent.is_superset(&expected.inductive_proof_nodes));
    let store = support::carried(&change);
    assert_eq!(invert(&ops, &store, b.root).unwrap(), a.root);

    // We ourselves need no more than the least to go back, and each proof shows what it should.
    let recording = Recording { store: &b.store, seen: RefCell::default() };
    assert_eq!(invert(&ops, &recording, b.root).unwrap(), a.root);
    let seen = recording.seen.into_inner();
    assert!(seen.is_subset(&expected.inductive_proof_nodes) && seen.is_superset(&expected.created_nodes));
    let needless = expected.inductive_proof_nodes.len() - seen.len();
    let recording = Recording { store: &b.store, seen: RefCell::default() };
    for op in &ops {
        assert_eq!(verify_proof(&recording, b.root, &op.key).unwrap(), op.action.cid());
    }
    assert!(recording.seen.into_inner().is_subset(&expected.proof_nodes), "the suite's proofs are enough for us");
    (sent.len(), needless)
}
