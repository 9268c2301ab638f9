//! What machines do to a server: what clients see meanwhile, and that nothing is lost that need not be.
//!
//! A full disk is in `disk.rs`, a clock that steps in `clock.rs`, damaged rows are in `verify.rs`.

use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::support::{Client, Dice, Ledger, Load, NOTE, Process, TestPds, User, audit};
use crate::verify::{findings, furnished, operate};

/// Runs `relay verify` over the data of `server`, and returns the ids of what it found.
pub(crate) async fn verify(server: &Process) -> Vec<String> {
    let mut command = crate::support::relay(&server.data_dir());
    command.args(["verify", "--json", "--no-identities", "--set", "server.public_url=http://localhost:1"]);
    command.args(["--set", "network.protect_private_addresses=false", "--data-dir"]).arg(server.data_dir());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

/// Another program holds the database, as a backup script may, and as a slow disk looks: writes wait, those beyond the queue
/// are refused, reads go on, and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_locked_or_slow_refuses_what_it_cannot_take() {
    let pds = TestPds::start_with(|config| config.data.writer_queue = 4).await;
    let alice = pds.create_account("alice").await;
    alice.put_record(NOTE, "before", json!({ "$type": NOTE, "text": "before" })).await.good();
    let other = Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut writes = JoinSet::new();
    for n in 0..20 {
        let alice = alice.clone();
        writes.spawn(async move {
            let record = json!({ "$type": NOTE, "text": format!("{n}") });
            (n, alice.put_record(NOTE, &format!("n{n}"), record).await)
        });
    }
    // Most are refused while the others wait.
    let mut refused = Vec::new();
    while refused.len() < 10 {
        let (n, reply) = writes.join_next().await.unwrap().unwrap();
        assert_eq!(reply.summary(), "503 NotEnoughResources");
        assert!(reply.headers.contains_key("retry-after"));
        refused.push(n);
    }
    alice.get_record(NOTE, "before").await.good();
    alice.export().await;
    other.execute_batch("ROLLBACK").unwrap();
    let mut stored = 0;
    while let Some(done) = writes.join_next().await {
        let (n, reply) = done.unwrap();
        if reply.status == 200 {
            alice.get_record(NOTE, &format!("n{n}")).await.good();
            stored += 1;
        } else {
            refused.push(n);
        }
    }
    assert!(stored > 0);
    for n in refused {
        assert_eq!(alice.get_record(NOTE, &format!("n{n}")).await.status, 400);
    }
    alice.create_post("goes on").await;
    assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()));
}

/// A lock that stays for longer than is waited for it: 503 with words that help, and the next write is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stays_locked_is_told_and_recovers() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let other = Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reply = alice.put_record(NOTE, "n", json!({ "$type": NOTE, "text": "n" })).await;
    assert_eq!(reply.summary(), "503 NotEnoughResources");
    assert!(reply.text().contains("locked by another program"), "{}", reply.text());
    other.execute_batch("ROLLBACK").unwrap();
    alice.put_record(NOTE, "n", json!({ "$type": NOTE, "text": "n" })).await.good();
}

/// One page of the database went bad: what lies on it is an error, all else is served, and it is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupted_page_takes_only_what_lies_on_it() {
    let (mut pds, alice, bob) = furnished().await;
    pds.suspend().await;
    let path = pds.data_dir().join("relay.sqlite");
    let db = Connection::open(&path).unwrap();
    let page_bytes: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    let page_bytes = page_bytes as u64;
    let sql = "SELECT path, block FROM record JOIN account ON account.repo = record.repo WHERE did = ?1 ORDER BY path LIMIT 1";
    let (marked, needle): (String, Vec<u8>) = db.query_row(sql, [&alice.did], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    drop(db);
    // The page that holds alice's first record. It is in an event, too, which is left alone.
    let bytes = std::fs::read(&path).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for (at, page) in bytes.chunks(page_bytes as usize).enumerate() {
        // What a leaf of a table begins with that is clustered by its key.
        if page[0] == 0x0a && page.windows(needle.len()).any(|window| window == needle) {
            file.write_all_at(&vec![0xa5; page_bytes as usize], at as u64 * page_bytes).unwrap();
        }
    }
    drop(file);
    pds.resume().await;
    let (collection, rkey) = marked.split_once('/').unwrap();
    assert_eq!(alice.get_record(collection, rkey).await.summary(), "500 InternalServerError");
    bob.create_post("goes on").await;
    bob.export().await;
    let (code, found) = findings(&pds, &["--no-identities"]).await;
    assert_eq!(code, Some(4));
    assert!(found.contains(&"database-damaged".to_owned()), "{found:?}");
}

/// The log of the database lost its end, as on a disk that lies about what it has stored. What is left is whole: a moment of the
/// past, with its events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_log_leaves_a_whole_moment_of_the_past() {
    let mut dice = Dice::from_env();
    let dir = TempDir::new().unwrap();
    let mut server = Process::start(dir.path()).await;
    for _ in 0..4 {
        let alice = User::sign_in(&server.anonymous(), "alice").await;
        Load::new(&alice, format!("t{}", dice.next()), dice.fork()).write_many(60).await;
        server.kill();
        let wal = server.data_dir().join("relay.sqlite-wal");
        let bytes = std::fs::metadata(&wal).unwrap().len();
        let keep = bytes - dice.next() % (bytes / 2);
        std::fs::File::options().write(true).open(&wal).unwrap().set_len(keep).unwrap();
        server = server.restart().await;
        assert_eq!(verify(&server).await, Vec::<String>::new());
    }
}

/// A blob's file is gone: to clients it is a blob that is not there, and everything else goes on.
#[tokio::test]
async fn a_missing_blob_file_is_a_blob_that_is_not_there() {
    let (pds, alice, _) = furnished().await;
    let cids = alice.get("com.atproto.sync.listBlobs", &[("did", &alice.did)]).await.good().json();
    let cids: Vec<&str> = cids["cids"].as_array().unwrap().iter().map(|cid| cid.as_str().unwrap()).collect();
    let get = async |cid: &str| alice.get("com.atproto.sync.getBlob", &[("did", &alice.did), ("cid", cid)]).await;
    let bytes = get(cids[0]).await.good().bytes;
    let cid: common::Cid = cids[0].parse().unwrap();
    let hex = data_encoding::HEXLOWER.encode(cid.digest());
    std::fs::remove_file(pds.data_dir().join("blobs").join(&hex[..2]).join(&hex[2..])).unwrap();
    assert_eq!(get(cids[0]).await.summary(), "400 InvalidRequest");
    get(cids[1]).await.good();
    // Uploading it again brings it back.
    alice.post_bytes("com.atproto.repo.uploadBlob", "image/png", bytes.clone()).await.good();
    assert_eq!(get(cids[0]).await.good().bytes, bytes);
}

/// No file can be opened any more, be it a connection or the database: who is connected is served or told to wait, and when
/// files can be opened again, all is as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_out_of_file_descriptors_passes() {
    let limit = |server: &Process, files: &str| {
        let args = ["--pid", &server.pid().to_string(), &format!("--nofile={files}")];
        Command::new("prlimit").args(args).status().is_ok_and(|status| status.success())
    };
    let mut dice = Dice::from_env();
    let dir = TempDir::new().unwrap();
    let server = Process::start(dir.path()).await;
    if !limit(&server, "1024:1024") {
        println!("skipped: there is no prlimit here");
        return;
    }
    let alice = User::sign_in(&server.anonymous(), "alice").await;
    let mut load = Load::new(&alice, "f", dice.fork());
    load.write_many(20).await;
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    assert!(limit(&server, &format!("{open}:1024")));
    let mut strangers: Vec<_> = Vec::new();
    for _ in 0..open + 20 {
        let mut stranger = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        strangers.push(stranger);
    }
    for _ in 0..20 {
        let reply = load.write().await.unwrap();
        assert!(reply.status == 200 || reply.summary() == "503 NotEnoughResources", "{}", reply.text());
    }
    drop(strangers);
    assert!(limit(&server, "1024:1024"));
    Client::new(format!("http://{}", server.address()), None).get("_health", &[]).await;
    load.write_many(20).await;
    audit(server.address(), &[alice], &load.ledger).await;
    assert_eq!(verify(&server).await, Vec::<String>::new());
}

/// A data folder that can only be read: it can be verified, and a server says why it does not start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_no_writes_is_told_and_can_be_verified() {
    let (mut pds, _, _) = furnished().await;
    pds.suspend().await;
    let read_only = |verb: &[&str]| {
        let inner = operate(&pds, verb);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\""]);
        command.arg(pds.data_dir()).arg(inner.get_program()).args(inner.get_args());
        command.output().unwrap()
    };
    let probe = read_only(&["config", "check"]);
    if !probe.status.success() && String::from_utf8_lossy(&probe.stderr).contains("unshare") {
        println!("skipped: no namespaces here");
        return;
    }
    let verified = read_only(&["verify", "--no-identities"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    if !said.is_empty() || !String::from_utf8_lossy(&verified.stderr).contains("mount") {
        assert_eq!(verified.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&verified.stderr));
        let served = read_only(&["serve", "--bind", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&served.stderr).into_owned();
        assert_eq!(served.status.code(), Some(1), "{said}");
        assert!(said.contains("Read-only"), "{said}");
    }
}

/// SIGTERM while a request is half sent and a subscriber is connected: the server ends within its bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_drains_within_its_bound() {
    let dir = TempDir::new().unwrap();
    let server = Process::start(dir.path()).await;
    let alice = User::sign_in(&server.anonymous(), "alice").await;
    alice.create_post("before").await;
    let mut stalled = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    stalled
        .write_all(b"POST /xrpc/com.atproto.server.createSession HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        .await
        .unwrap();
    let follower = crate::support::Follower::connect(server.address(), Some(0)).await;
    let code = tokio::time::timeout(Duration::from_secs(25), server.stop()).await.expect("it ends in time");
    assert_eq!(code, Some(0));
    drop((stalled, follower));
}

/// Nothing that is acknowledged is lost over faults that come one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_holds_over_a_lock_and_a_kill() {
    let mut dice = Dice::from_env();
    let dir = TempDir::new().unwrap();
    let mut server = Process::start(dir.path()).await;
    let mut ledger = Ledger::default();
    for round in 0..3 {
        let alice = User::sign_in(&server.anonymous(), "alice").await;
        let mut load = Load::new(&alice, format!("l{round}"), dice.fork());
        load.write_many(10).await;
        let other = Connection::open(server.data_dir().join("relay.sqlite")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let waiting = tokio::spawn(async move {
            drop(load.write().await);
            load
        });
        // Not a wait for anything: it picks the place where the end comes.
        tokio::time::sleep(Duration::from_millis(dice.next() % 50)).await;
        server.kill();
        drop(other);
        ledger.merge(waiting.await.unwrap().ledger);
        server = server.restart().await;
        let alice = User::sign_in(&server.anonymous(), "alice").await;
        audit(server.address(), &[alice], &ledger).await;
    }
}
