//! A disk that takes no more.

use std::process::Command;

use tempfile::TempDir;

use crate::support::{Dice, Follower, Ledger, Load, NOTE, Process, UntilFull, User, audit};

/// Lets files of a process grow to `bytes` and no further, or as they like. `false` where that cannot be done.
pub(crate) fn limit_files(server: &Process, bytes: Option<u64>) -> bool {
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let (pid, limit) = (server.pid().to_string(), format!("--fsize={limit}:unlimited"));
    Command::new("prlimit").args(["--pid", &pid, &limit]).status().is_ok_and(|status| status.success())
}

/// While the disk refuses writes, they are answered with 503 and reads as ever. When it takes them again, so does the server,
/// and nothing that was acknowledged is lost, nothing that was refused is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_loses_none() {
    let mut dice = Dice::from_env();
    let dir = TempDir::new().unwrap();
    let mut server = Process::start_limitable(dir.path()).await;
    if !limit_files(&server, None) {
        println!("skipped: there is no prlimit here");
        return;
    }
    let mut users = Vec::new();
    for name in ["alice", "bob"] {
        users.push(User::sign_in(&server.anonymous(), name).await);
    }
    let mut loads: Vec<Load> = (0..8).map(|writer| Load::new(&users[writer % 2], format!("w{writer}"), dice.fork())).collect();
    users[0].put_record(NOTE, "first", serde_json::json!({ "text": "before" })).await.good();
    let mut live = Follower::connect(server.address(), None).await;
    let begin = users[0].put_record(NOTE, "first", serde_json::json!({ "text": "before all" })).await.good().json();
    let begin = begin["commit"]["cid"].as_str().unwrap().to_owned();
    for round in 0..4 {
        let (run, limited) = (30 + dice.below(100), 3 + dice.below(3));
        // Everyone writes; the disk fills up under them, and each is refused some times.
        let mut writers = UntilFull::start(loads, limited);
        writers.stored(run).await;
        assert!(limit_files(&server, Some(4096)));
        writers.is_full();
        let first = users[0].get_record(NOTE, "first").await.good().json();
        assert_eq!(first["value"]["text"], "before all");
        users[0].export().await;
        loads = writers.end().await;
        assert!(limit_files(&server, None));
        // At once, without a restart, and without a first write that pays for those before.
        for load in &mut loads {
            load.write().await.unwrap().good();
        }
        println!("round {round}: full after {run}");
    }
    let mut ledger = Ledger::default();
    for load in loads {
        ledger.merge(load.ledger);
    }
    let replay = audit(server.address(), &users, &ledger).await;
    // Nobody was sent what the disk did not take.
    let from = replay.iter().position(|frame| frame.commit() == begin).unwrap();
    for frame in &replay[from..] {
        let sent = live.next().await.unwrap();
        assert!(sent.bytes == frame.bytes, "seq {} was sent, {} is stored", sent.seq(), frame.seq());
    }
    server.kill();
    let server = server.restart().await;
    audit(server.address(), &users, &ledger).await;
}
