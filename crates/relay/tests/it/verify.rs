//! `relay verify`: that it finds each kind of damage, beside a running server and without one, and nothing else.

use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Dice, Load, TestPds, User, relay};

/// Returns a verb over the data of `pds`.
pub(crate) fn operate(pds: &TestPds, args: &[&str]) -> Command {
    let mut command = relay(&pds.data_dir());
    command.args(args).arg("--data-dir").arg(pds.data_dir());
    for (setting, value) in [
        ("server.public_url", format!("http://localhost:{}", pds.address().port())),
        ("identity.plc_url", pds.plc_url().replace("127.0.0.1", "localhost")),
        ("identity.handle_domains", ".test".to_owned()),
        ("network.protect_private_addresses", "false".to_owned()),
        ("services.appview_url", "none".to_owned()),
        ("services.report_url", "none".to_owned()),
        ("services.crawlers", "none".to_owned()),
    ] {
        command.arg("--set").arg(format!("{setting}={value}"));
    }
    command
}

/// Runs the verb over the data of `pds`.
pub(crate) async fn verify(pds: &TestPds, args: &[&str]) -> Output {
    let args: Vec<&str> = ["verify"].into_iter().chain(args.iter().copied()).collect();
    let mut command = operate(pds, &args);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Runs the verb, and returns the exit code and the ids of its findings.
pub(crate) async fn findings(pds: &TestPds, args: &[&str]) -> (Option<i32>, Vec<String>) {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let output = verify(pds, &args).await;
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().unwrap();
    for finding in findings {
        let sentence = |field: &str| finding[field].as_str().unwrap().ends_with('.');
        assert!(sentence("sentence") && sentence("remedy"));
    }
    let mut ids: Vec<String> = findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect();
    ids.dedup();
    (output.status.code(), ids)
}

/// A server with something of everything.
pub(crate) async fn furnished() -> (TestPds, User, User) {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let mut dice = Dice::from_env();
    for user in [&alice, &bob] {
        Load::new(user, &*user.handle, dice.fork()).write_many(150).await;
        let mut records = Vec::new();
        for n in 0..3 {
            let bytes = format!("a blob of {} {n}", user.handle).into_bytes();
            let blob = user.post_bytes("com.atproto.repo.uploadBlob", "image/png", bytes).await.good().json()["blob"].clone();
            records.push(json!({ "$type": "com.example.note", "text": "with a blob", "file": blob }));
        }
        for record in records {
            user.create_record("com.example.note", record).await.good();
        }
        let follow = json!({ "$type": "app.bsky.graph.follow", "subject": alice.did, "createdAt": "2026-01-01T00:00:00.000Z" });
        user.create_record("app.bsky.graph.follow", follow).await.good();
    }
    alice.post_nothing("com.atproto.server.requestEmailConfirmation").await.good();
    (pds, alice, bob)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_whole_has_no_findings_with_and_without_a_server() {
    let (mut pds, alice, _) = furnished().await;
    assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()));
    assert_eq!(findings(&pds, &["--account", &alice.handle]).await, (Some(0), Vec::new()));
    assert_eq!(findings(&pds, &["--quick", "--budget", "60s"]).await, (Some(0), Vec::new()));
    let said = verify(&pds, &[]).await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("Verified 2 of 2 repos") && said.ends_with("Nothing is wrong.\n"), "{said}");
    let missing = verify(&pds, &["--account", "nobody.test"]).await;
    assert_eq!(missing.status.code(), Some(2));

    pds.suspend().await;
    assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()));
}

/// What damages a stopped server's folder, given the account of alice, and what is found then.
type Damage = (&'static str, fn(&Connection, &Path, i64), i32, &'static [&'static str]);

/// What only a person can mend.
const BY_HAND: [&str; 6] =
    ["repo-unowned", "record-damaged", "signing-key-unopenable", "database-reference", "did-handle", "blob-file-leftover"];

const DAMAGES: &[Damage] = &[
    (
        "a record's bytes change",
        |db, _, alice| {
            run(
                db,
                "UPDATE record SET block = cast(block || x'00' AS BLOB) WHERE repo = ?1 AND path = (SELECT max(path) FROM record WHERE repo = ?1)",
                alice,
            );
        },
        4,
        &["record-damaged"],
    ),
    (
        "a record is gone",
        |db, _, alice| {
            run(db, "DELETE FROM record WHERE repo = ?1 AND path = (SELECT min(path) FROM record WHERE repo = ?1)", alice);
        },
        4,
        &["tree-root"],
    ),
    (
        "a node is gone",
        |db, _, alice| run(db, "DELETE FROM node WHERE repo = ?1 AND cid = (SELECT min(cid) FROM node WHERE repo = ?1)", alice),
        4,
        &["tree-node-missing"],
    ),
    (
        "a node's bytes change",
        |db, _, alice| {
            run(
                db,
                "UPDATE node SET block = zeroblob(length(block)) WHERE repo = ?1 AND cid = (SELECT min(cid) FROM node WHERE repo = ?1)",
                alice,
            );
        },
        4,
        &["tree-node-damaged"],
    ),
    (
        "a node is left over",
        |db, _, alice| {
            run(db, "INSERT INTO node SELECT repo, zeroblob(32), rev, block FROM node WHERE repo = ?1 LIMIT 1", alice);
        },
        3,
        &["tree-node-leftover"],
    ),
    (
        "fresh nodes change",
        |db, _, alice| {
            run(db, "UPDATE repo SET fresh_nodes = cast(substr(fresh_nodes, 1, 100) AS BLOB) WHERE account = ?1", alice);
        },
        4,
        &["tree-node-damaged", "tree-node-missing"],
    ),
    (
        "the head's bytes change",
        |db, _, alice| run(db, "UPDATE repo SET commit_block = zeroblob(length(commit_block)) WHERE account = ?1", alice),
        4,
        &["head-damaged"],
    ),
    (
        "the repo went back to an older head",
        |db, _, alice| run(db, "UPDATE repo SET rev = rev - 1024 WHERE account = ?1", alice),
        4,
        &["head-damaged", "event-head"],
    ),
    (
        "an event is gone",
        |db, _, alice| {
            run(
                db,
                "DELETE FROM event WHERE seq = (SELECT seq FROM event WHERE account = ?1 ORDER BY seq LIMIT 1 OFFSET 50)",
                alice,
            );
        },
        4,
        &["event-chain"],
    ),
    (
        "an event's bytes change",
        |db, _, alice| {
            run(
                db,
                "UPDATE event SET packed_tail = cast(substr(packed_tail, 1, 200) AS BLOB) WHERE seq = (SELECT max(seq) FROM event WHERE account = ?1)",
                alice,
            );
        },
        4,
        &["event-damaged", "event-head"],
    ),
    (
        "a blob reference is gone",
        |db, _, alice| {
            run(db, "DELETE FROM blob_ref WHERE repo = ?1 AND path = (SELECT min(path) FROM blob_ref WHERE repo = ?1)", alice);
        },
        4,
        &["blob-reference-missing", "blob-state"],
    ),
    (
        "a blob reference is left over",
        |db, _, alice| {
            run(
                db,
                "INSERT INTO blob_ref SELECT repo, 'com.example.note/zzzz', cid, rev FROM blob_ref WHERE repo = ?1 LIMIT 1",
                alice,
            );
        },
        3,
        &["blob-reference-leftover"],
    ),
    (
        "a blob's row is gone",
        |db, _, alice| {
            run(db, "DELETE FROM blob WHERE account = ?1 AND cid = (SELECT min(cid) FROM blob WHERE account = ?1)", alice);
        },
        3,
        &["blob-absent", "blob-file-leftover"],
    ),
    ("a subject is not noted", |db, _, alice| run(db, "DELETE FROM backlink WHERE repo = ?1", alice), 3, &["backlink-missing"]),
    (
        "a subject is left over",
        |db, _, alice| {
            run(db, "INSERT INTO backlink SELECT repo, kind, zeroblob(16), 'zzzz' FROM backlink WHERE repo = ?1", alice);
        },
        3,
        &["backlink-leftover"],
    ),
    (
        "a sealed key changes",
        |db, _, alice| {
            run(db, "UPDATE account SET signing_key = (SELECT signing_key FROM account WHERE id <> ?1) WHERE id = ?1", alice);
        },
        4,
        &["signing-key-unopenable"],
    ),
    ("the repo is gone", |db, _, alice| run(db, "DELETE FROM repo WHERE account = ?1", alice), 4, &["head-missing"]),
    (
        "a row refers to no account",
        |db, _, alice| run(db, "INSERT INTO preference VALUES (?1 + 1000, 0, 'x', '{}')", alice),
        4,
        &["database-reference"],
    ),
    (
        "rows are left of a repo that no account has",
        |db, _, alice| run(db, "INSERT INTO node SELECT 1 << 40, cid, rev, block FROM node WHERE repo = ?1 LIMIT 1", alice),
        3,
        &["repo-unowned"],
    ),
    (
        "a handle changes here alone",
        |db, _, alice| run(db, "UPDATE account SET handle = 'other.test' WHERE id = ?1", alice),
        3,
        &["did-handle"],
    ),
    ("a blob's file is gone", |_, dir, _| std::fs::remove_file(a_blob(dir)).unwrap(), 4, &["blob-file-missing"]),
    ("a blob's file is cut off", |_, dir, _| std::fs::write(a_blob(dir), "a").unwrap(), 4, &["blob-file-damaged"]),
    ("a blob's file rots", |_, dir, _| rot(&a_blob(dir)), 4, &["blob-file-damaged"]),
];

/// Runs a statement in which `?1` is an account, and `repo` the number of its repo.
fn run(db: &Connection, sql: &str, alice: i64) {
    let sql = &sql.replace("repo = ?1", "repo = (SELECT repo FROM account WHERE id = ?1)");
    assert_ne!(db.execute(sql, [alice]).unwrap(), 0, "{sql}");
}

fn a_blob(dir: &Path) -> std::path::PathBuf {
    let shards = std::fs::read_dir(dir.join("blobs")).unwrap().map(|entry| entry.unwrap().path());
    let mut shards: Vec<_> = shards.filter(|path| path.file_name().unwrap().len() == 2).collect();
    shards.sort();
    shards.iter().find_map(|shard| Some(std::fs::read_dir(shard).unwrap().next()?.unwrap().path())).unwrap()
}

fn rot(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Each damage is found under its id, with its severity in the exit code, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_damage_is_found_and_named() {
    let (mut pds, alice, _) = furnished().await;
    pds.suspend().await;
    let (dir, whole) = (pds.data_dir(), tempfile::TempDir::new().unwrap());
    copy(&dir, whole.path());
    let mut differences = Vec::new();
    for (what, damage, code, expected) in DAMAGES {
        copy(whole.path(), &dir);
        let db = Connection::open(dir.join("relay.sqlite")).unwrap();
        db.pragma_update(None, "foreign_keys", false).unwrap();
        let account: i64 = db.query_row("SELECT id FROM account WHERE did = ?1", [&alice.did], |row| row.get(0)).unwrap();
        damage(&db, &dir, account);
        drop(db);
        let found = findings(&pds, &[]).await;
        let expected = (Some(*code), expected.iter().map(|id| (*id).to_owned()).collect());
        if found != expected {
            differences.push(format!("{what}: {found:?} was found, not {expected:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Whatever can be derived from the records, or fetched from a copy, is mended, and what was replaced is laid aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_damage_is_mended_from_records_and_copies() {
    let (mut pds, alice, _) = furnished().await;
    pds.suspend().await;
    let (dir, whole) = (pds.data_dir(), tempfile::TempDir::new().unwrap());
    copy(&dir, whole.path());
    let copies = whole.path().join("blobs").to_str().unwrap().to_owned();
    let mut differences = Vec::new();
    for (at, (what, damage, _, expected)) in DAMAGES.iter().enumerate() {
        if expected.iter().any(|id| BY_HAND.contains(id)) && *what != "a blob's row is gone" {
            continue;
        }
        copy(whole.path(), &dir);
        let db = Connection::open(dir.join("relay.sqlite")).unwrap();
        db.pragma_update(None, "foreign_keys", false).unwrap();
        let account: i64 = db.query_row("SELECT id FROM account WHERE did = ?1", [&alice.did], |row| row.get(0)).unwrap();
        damage(&db, &dir, account);
        drop(db);
        // Every other one with the help of a running server.
        let online = at % 2 == 0;
        if online {
            pds.resume().await;
        }
        let found = findings(&pds, &["--repair", "--blobs-from", &copies]).await;
        if found != (Some(0), Vec::new()) {
            differences.push(format!("{what}: {found:?} is left"));
        }
        let evidence = std::fs::read_dir(dir.join("evidence")).is_ok_and(|mut dir| dir.next().is_some());
        let nothing_there = ["a blob's row is gone", "a blob's file is gone", "the repo is gone"];
        if !evidence && !nothing_there.contains(what) {
            differences.push(format!("{what}: nothing was laid aside"));
        }
        if !online {
            pds.resume().await;
        }
        User::sign_in(&pds.anonymous(), "alice").await.create_post("after the repair").await;
        let after = findings(&pds, &[]).await;
        if after != (Some(0), Vec::new()) {
            differences.push(format!("{what}: after a write: {after:?}"));
        }
        pds.suspend().await;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A node was damaged on disk, and each write to the repo failed from then on: now the write mends the tree itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_heals_a_damaged_tree() {
    let (mut pds, alice, _) = furnished().await;
    for damage in [
        "DELETE FROM node WHERE repo = ?1",
        "UPDATE node SET block = zeroblob(length(block)) WHERE repo = ?1",
        "UPDATE repo SET fresh_nodes = cast(substr(fresh_nodes, 1, 100) AS BLOB) WHERE account = ?1",
    ] {
        pds.suspend().await;
        let db = Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
        let account: i64 = db.query_row("SELECT id FROM account WHERE did = ?1", [&alice.did], |row| row.get(0)).unwrap();
        run(&db, damage, account);
        drop(db);
        pds.resume().await;
        // All over the tree, so that the damage is met.
        for collection in ["app.bsky.feed.post", "com.example.note"] {
            let params = [("repo", &*alice.did), ("collection", collection), ("limit", "15"), ("reverse", "true")];
            let list = alice.get("com.atproto.repo.listRecords", &params).await.good().json();
            for record in list["records"].as_array().unwrap() {
                let rkey = record["uri"].as_str().unwrap().rsplit('/').next().unwrap();
                let input = json!({ "repo": alice.did, "collection": collection, "rkey": rkey });
                alice.post("com.atproto.repo.deleteRecord", &input).await.good();
            }
        }
        assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()), "{damage}");
        alice.export().await;
    }
    // Without one of its records the tree cannot be the one that was signed. Nothing is made up then.
    pds.suspend().await;
    let db = Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    let account: i64 = db.query_row("SELECT id FROM account WHERE did = ?1", [&alice.did], |row| row.get(0)).unwrap();
    run(&db, "DELETE FROM record WHERE repo = ?1 AND path = (SELECT min(path) FROM record WHERE repo = ?1)", account);
    run(&db, "UPDATE repo SET fresh_nodes = zeroblob(100) WHERE account = ?1", account);
    drop(db);
    pds.resume().await;
    let before = alice.latest_commit().await;
    let reply = alice.create_record("com.example.note", note("fails")).await;
    assert_eq!(reply.summary(), "500 InternalServerError");
    assert_eq!(alice.latest_commit().await, before);
}

/// Copies a data folder, in place of what is there.
pub(crate) fn copy(from: &Path, to: &Path) {
    drop(std::fs::remove_dir_all(to));
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        let to = to.join(path.file_name().unwrap());
        if kind.is_dir() {
            copy(&path, &to);
        } else if kind.is_file() {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

fn note(text: &str) -> Value {
    json!({ "$type": "com.example.note", "text": text })
}
