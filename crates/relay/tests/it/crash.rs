//! `kill -9` of the real binary while it is being written to.

use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::{Client, Dice, Follower, Ledger, Load, Process, User, audit};

const ROUNDS: usize = 10;

/// Whatever a client was told, or a subscriber was sent, is there after a crash, with one event for each commit and nothing
/// besides: over several crashes, at any moment, and over crashes of the restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_what_it_acknowledged_and_nothing_else() {
    let mut dice = Dice::from_env();
    let dir = TempDir::new().unwrap();
    let mut server = Process::start(dir.path()).await;
    User::register(&server.anonymous(), "carol").await;
    let mut users = sign_in(&server.anonymous()).await;
    let mut ledger = Ledger::default();
    let mut sent = BTreeMap::new();
    for round in 0..ROUNDS {
        let kill_after = 20 + dice.below(150);
        let (acknowledged, mut count) = watch::channel(0);
        let writers: Vec<_> = (0..9)
            .map(|writer| {
                let load = Load::new(&users[writer % users.len()], format!("r{round}w{writer}"), dice.fork());
                tokio::spawn(write_until_dead(load, acknowledged.clone()))
            })
            .collect();
        let watcher = tokio::spawn(watch_until_dead(Follower::connect(server.address(), None).await));
        count.wait_for(|count| *count >= kill_after).await.unwrap();
        // Not a wait for anything: it picks the place in a transaction where the end comes.
        tokio::time::sleep(Duration::from_micros(dice.next() % 4000)).await;
        server.kill();

        for writer in writers {
            ledger.merge(writer.await.unwrap());
        }
        sent.extend(watcher.await.unwrap());
        while dice.below(2) == 0 {
            let mut starting = server.begin_restart();
            tokio::time::sleep(Duration::from_millis(dice.next() % 120)).await;
            starting.kill().unwrap();
            starting.wait().unwrap();
        }
        server = server.restart().await;
        users = sign_in(&server.anonymous()).await;
        let frames = audit(server.address(), &users, &ledger).await;
        let replayed: BTreeMap<i64, &Vec<u8>> = frames.iter().map(|frame| (frame.seq(), &frame.bytes)).collect();
        for (seq, bytes) in &sent {
            assert_eq!(replayed.get(seq), Some(&bytes), "a subscriber was sent event {seq}, which a crash took back");
        }
        println!("round {round}: {} acknowledged, {} events", ledger.acknowledged.len(), frames.len());
    }
    assert!(sent.len() > ROUNDS && ledger.acknowledged.len() >= ROUNDS * 20);
}

async fn sign_in(client: &Client) -> Vec<User> {
    let mut users = Vec::new();
    for name in ["alice", "bob", "carol"] {
        users.push(User::sign_in(client, name).await);
    }
    users
}

async fn write_until_dead(mut load: Load, acknowledged: watch::Sender<usize>) -> Ledger {
    while let Ok(reply) = load.write().await {
        reply.good();
        acknowledged.send_modify(|count| *count += 1);
    }
    load.ledger
}

async fn watch_until_dead(mut follower: Follower) -> Vec<(i64, Vec<u8>)> {
    let mut sent = Vec::new();
    while let Some(frame) = follower.next().await {
        sent.push((frame.seq(), frame.bytes));
    }
    sent
}
