//! Soaks: clients write at random while the server is killed, stopped, verified, backed up and restored, and all is compared
//! with what they were told.
//!
//! `EZPDS_SOAK_SECONDS` makes each as long as one likes, `EZPDS_SEED` repeats one.

use std::fs;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::backup::World;
use crate::backup_s3::{PLACE, findings, restore, shipped};
use crate::faults::verify;
use crate::support::{Client, Dice, Ledger, Load, Process, S3, Served, User, audit, s3_settings, verb_json};

/// How long each goes on when nobody says.
const SECONDS: u64 = 12;
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn end() -> Instant {
    let seconds = std::env::var("EZPDS_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS);
    Instant::now() + Duration::from_secs(seconds)
}

async fn sign_in(client: &Client) -> Vec<User> {
    let mut users = Vec::new();
    for name in NAMES {
        users.push(User::sign_in(client, name).await);
    }
    users
}

/// Clients that write until the server is gone, or they are asked to end.
struct Writers {
    tasks: Vec<JoinHandle<Ledger>>,
    written: watch::Receiver<usize>,
    over: watch::Sender<bool>,
}

impl Writers {
    fn start(users: &[User], round: usize, dice: &mut Dice) -> Self {
        let (written, count) = watch::channel(0_usize);
        let (over, stopped) = watch::channel(false);
        let tasks = (0..4 + dice.below(8))
            .map(|writer| {
                let mut load = Load::new(&users[writer % users.len()], format!("r{round}w{writer}"), dice.fork());
                let (written, stopped) = (written.clone(), stopped.clone());
                tokio::spawn(async move {
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
        Self { tasks, written: count, over }
    }

    /// Waits for so many writes.
    async fn run(&mut self, writes: usize) {
        self.written.wait_for(|count| *count >= writes).await.unwrap();
    }

    /// Asks them to end; those that are under way go on.
    fn stop(&self) {
        self.over.send_replace(true);
    }

    /// Ends them, and notes what they were told.
    async fn end(self, ledger: &mut Ledger) {
        self.stop();
        for task in self.tasks {
            ledger.merge(task.await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_were_told_holds_whatever_happens() {
    let (end, mut dice) = (end(), Dice::from_env());
    let dir = TempDir::new().unwrap();
    let mut server = Process::start(dir.path()).await;
    for name in &NAMES[2..] {
        User::register(&server.anonymous(), name).await;
    }
    let mut ledger = Ledger::default();
    let mut round = 0;
    while round < 2 || Instant::now() < end {
        let mut writers = Writers::start(&sign_in(&server.anonymous()).await, round, &mut dice);
        writers.run(20 + dice.below(200)).await;
        let what = dice.below(4);
        match what {
            // Under load: reads of many moments, none of which may look damaged.
            0 => assert_eq!(verify(&server).await, Vec::<String>::new(), "beside a server that is written to"),
            1 => {}
            2 => {
                // A stop that is asked for, in the midst of it.
                writers.stop();
                server = server.stop_and_restart().await;
            }
            _ => {
                server.kill();
                server = server.restart().await;
            }
        }
        writers.end(&mut ledger).await;
        let frames = audit(server.address(), &sign_in(&server.anonymous()).await, &ledger).await;
        assert_eq!(verify(&server).await, Vec::<String>::new());
        println!("round {round} ({what}): {} acknowledged, {} events", ledger.acknowledged.len(), frames.len());
        round += 1;
    }
}

/// With backups to a folder and to a store, and with the loss of the whole data folder: the server comes back from either, goes on,
/// and says what it said before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_were_told_holds_over_backups_and_restores() {
    let (end, mut dice) = (end(), Dice::from_env());
    let (world, s3) = (World::new().await, S3::start().await);
    let folder = world.place().display().to_string();
    let more = format!("ship_every = \"200ms\"\ndrill = false\nevery = \"31d\"\n{}", s3_settings(&s3));
    let mut server = world.serve_to(&[&folder, PLACE], &more).await;
    for name in NAMES {
        User::register(&server.anonymous(), name).await;
    }
    let mut ledger = Ledger::default();
    let (mut round, mut restores) = (0, 0);
    while round < 4 || Instant::now() < end {
        let mut writers = Writers::start(&sign_in(&server.anonymous()).await, round, &mut dice);
        writers.run(20 + dice.below(150)).await;
        // Each once, for sure.
        let what = if round < 4 { [0, 3, 2, 1][round] } else { dice.below(4) };
        match what {
            0 => {
                // Whole backups in the midst of writes; one of the server's own may be under way.
                while !server.verb(&["backup", "now"]).await.status.success() {}
                assert_eq!(findings(&server).await, Vec::<String>::new(), "beside a server that is written to");
            }
            1 => {
                writers.stop();
                server.stop().await;
                server = Served::start(world.dir.path(), world.port).await;
            }
            2 => {
                server.kill();
                server = Served::start(world.dir.path(), world.port).await;
            }
            _ => {
                writers.run(20).await;
            }
        }
        writers.end(&mut ledger).await;
        if what == 3 {
            // All that was acknowledged is in both places; then everything burns down.
            shipped(&server).await;
            server.kill();
            fs::remove_dir_all(world.at("data")).unwrap();
            let output =
                if dice.below(2) == 0 { world.restore("data", &[]).await } else { restore(&world, &s3, "data", &[]).await };
            verb_json(&output);
            restores += 1;
            server = Served::start(world.dir.path(), world.port).await;
            announced(&world, restores).await;
        }
        let frames = audit(server.address(), &sign_in(&server.anonymous()).await, &ledger).await;
        assert_eq!(findings(&server).await, Vec::<String>::new());
        println!("round {round} ({what}): {} acknowledged, {} events", ledger.acknowledged.len(), frames.len());
        round += 1;
    }
    // A backup of the server's own may be under way.
    while !server.verb(&["backup", "drill"]).await.status.success() {}
    for status in crate::backup_s3::lines(&server, &["backup", "status"]).await {
        assert!(status["verifiedAt"].is_i64() && status["lastDrill"]["failure"].is_null(), "{status}");
    }
}

/// Waits until the server has told the network of so many restores.
async fn announced(world: &World, restores: usize) {
    let begun = Instant::now();
    loop {
        let log = fs::read_to_string(world.at("log")).unwrap();
        if log.matches("the restored accounts were announced").count() >= restores {
            return;
        }
        assert!(begun.elapsed().as_secs() < 60, "{log}");
        tokio::task::yield_now().await;
    }
}
