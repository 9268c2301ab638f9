//! A soak: clients write at random while the server is killed, stopped and verified, and all is compared with what they were told.
//!
//! `EZPDS_SOAK_SECONDS` makes it as long as one likes, `EZPDS_SEED` repeats one.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::watch;

use crate::faults::verify;
use crate::support::{Dice, Ledger, Load, Process, User, audit};

/// How long it goes on when nobody says.
const SECONDS: u64 = 12;
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_were_told_holds_whatever_happens() {
    let seconds = std::env::var("EZPDS_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut dice = Dice::from_env();
    let dir = TempDir::new().unwrap();
    let mut server = Process::start(dir.path()).await;
    for name in &NAMES[2..] {
        User::register(&server.anonymous(), name).await;
    }
    let mut ledger = Ledger::default();
    let mut round = 0;
    while round < 2 || Instant::now() < end {
        let mut users = Vec::new();
        for name in NAMES {
            users.push(User::sign_in(&server.anonymous(), name).await);
        }
        let (written, mut count) = watch::channel(0_usize);
        let (over, stopped) = watch::channel(false);
        let writers: Vec<_> = (0..4 + dice.below(8))
            .map(|writer| {
                let mut load = Load::new(&users[writer % users.len()], format!("r{round}w{writer}"), dice.fork());
                let (written, stopped) = (written.clone(), stopped.clone());
                tokio::spawn(async move {
                    // Until the server is gone, or asks for an end.
                    while !*stopped.borrow() {
                        match load.write().await {
                            Ok(reply) if reply.status == 200 => written.send_modify(|count| *count += 1),
                            Ok(reply) => assert_eq!(reply.status, 503, "{}", reply.text()),
                            Err(_) => break,
                        }
                    }
                    load.ledger
                })
            })
            .collect();
        let run = 20 + dice.below(200);
        count.wait_for(|count| *count >= run).await.unwrap();
        let what = dice.below(4);
        match what {
            0 => {
                // Under load: reads of many moments, none of which may look damaged.
                assert_eq!(verify(&server).await, Vec::<String>::new(), "beside a server that is written to");
                over.send_replace(true);
            }
            1 => {
                over.send_replace(true);
            }
            2 => {
                // A stop that is asked for, in the midst of it.
                over.send_replace(true);
                server = server.stop_and_restart().await;
            }
            _ => {
                server.kill();
                server = server.restart().await;
            }
        }
        for writer in writers {
            ledger.merge(writer.await.unwrap());
        }
        let mut users = Vec::new();
        for name in NAMES {
            users.push(User::sign_in(&server.anonymous(), name).await);
        }
        let frames = audit(server.address(), &users, &ledger).await;
        assert_eq!(verify(&server).await, Vec::<String>::new());
        println!("round {round} ({what}): {} acknowledged, {} events", ledger.acknowledged.len(), frames.len());
        round += 1;
    }
}
