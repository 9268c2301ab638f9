//! A disk that is full: a small file system of its own under the server's data folder.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Dice, Follower, Ledger, Load, NOTE, Served, UntilFull, User, audit, configure, free_port, own_mounts, start_plc,
};

const REAL: &str = env!("CARGO_BIN_EXE_relay");
const SIZE: &str = "24m";

/// A server on a small disk, which nobody else sees.
struct Small {
    dir: TempDir,
    server: Served,
    is_root: bool,
}

impl Small {
    /// Starts it; `None` where nobody may mount anything.
    async fn start() -> Option<Self> {
        let apart = own_mounts()?;
        let dir = TempDir::new().unwrap();
        let port = free_port();
        let plc = start_plc(&dir.path().join("plc.sqlite"), &std::sync::Arc::default()).await;
        configure(dir.path(), port, &format!("http://localhost:{}", plc.port()), "[notices]\ndisk_free_below = \"1 MiB\"\n");
        let mut command = Command::new(apart[0]);
        command.current_dir(dir.path()).env_remove("RELAY_CONFIG");
        let script = format!("mkdir data && mount -t tmpfs -o size={SIZE},mode=0700 tmpfs data && exec \"$@\"");
        command.args(&apart[1..]).args(["sh", "-c", &script, "sh", REAL, "serve", "--config", "relay.toml"]);
        let server = Served::start_by(command, dir.path(), port).await;
        let is_root = !apart.contains(&"--user");
        Some(Self { dir, server, is_root })
    }

    /// The data folder as the server has it.
    fn data(&self) -> PathBuf {
        let inside = self.dir.path().canonicalize().unwrap().join("data");
        Path::new(&format!("/proc/{}/root", self.server.pid())).join(inside.strip_prefix("/").unwrap())
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.data().join("ballast")).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.data().join("ballast")).unwrap();
    }

    /// Runs a verb where the server is.
    async fn verb(&self, args: &str) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.server.pid().to_string(), "--mount"]);
        if !self.is_root {
            command.args(["--user", "--preserve-credentials"]);
        }
        let dir = self.dir.path().display();
        command.args(["sh", "-c", &format!("cd {dir} && exec {REAL} {args} --config relay.toml")]).env_remove("RELAY_CONFIG");
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn finding(&self, id: &str) -> Value {
        let seen = self.verb("doctor --json").await;
        let seen: Vec<Value> = serde_json::from_slice(&seen.stdout).unwrap();
        seen.into_iter().find(|finding| finding["id"] == id).unwrap()
    }

    async fn status_page(&self) -> String {
        self.server.anonymous().try_get("/status").await.unwrap().text()
    }
}

/// While there is no room, writes are refused, reads and the firehose go on, and whoever asks is told why. Once there is room the
/// server goes on by itself, with all that it acknowledged, also when it is killed right after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_nothing_but_the_time_until_there_is_room() {
    let Some(mut small) = Small::start().await else { return };
    let mut dice = Dice::from_env();
    let mut users = Vec::new();
    for name in ["alice", "bob"] {
        users.push(User::register(&small.server.anonymous(), name).await);
    }
    users[0].put_record(NOTE, "first", serde_json::json!({ "text": "before all" })).await.good();
    let mut loads: Vec<Load> = (0..4).map(|writer| Load::new(&users[writer % 2], format!("w{writer}"), dice.fork())).collect();
    let mut live = Follower::connect(small.server.address(), Some(0)).await;
    for round in 0..2 {
        let mut writers = UntilFull::start(loads, 3);
        writers.stored(60).await;
        small.fill();
        writers.is_full();
        loads = writers.end().await;
        // What there is can be read, and followed from its beginning.
        let first = users[0].get_record(NOTE, "first").await.good().json();
        assert_eq!(first["value"]["text"], "before all");
        users[1].export().await;
        Follower::connect(small.server.address(), Some(0)).await.next().await.unwrap();
        if round == 0 {
            let found = small.finding("disk.space").await;
            assert_eq!(found["outcome"], "error", "{found}");
            assert!(found["sentence"].as_str().unwrap().contains("is full"), "{found}");
            let health = small.verb("health --deep").await;
            let said = format!("{}{}", String::from_utf8_lossy(&health.stdout), String::from_utf8_lossy(&health.stderr));
            assert!(!health.status.success() && said.contains("database_write"), "{said}");
            while !small.status_page().await.contains("takes nothing new") {
                tokio::task::yield_now().await;
            }
            let status = small.verb("status").await;
            let status = String::from_utf8_lossy(&status.stdout).into_owned();
            assert!(status.contains("has only") && status.contains("takes no writes"), "{status}");
        }
        small.make_room();
        for load in &mut loads {
            load.write().await.unwrap().good();
        }
        if round == 0 {
            while small.status_page().await.contains("takes nothing new") {
                tokio::task::yield_now().await;
            }
            assert_eq!(small.finding("disk.perm").await["outcome"], "good");
        }
    }
    let mut ledger = Ledger::default();
    for load in loads {
        ledger.merge(load.ledger);
    }
    let replay = audit(small.server.address(), &users, &ledger).await;
    for frame in &replay {
        let sent = live.next().await.unwrap();
        assert!(sent.bytes == frame.bytes, "seq {} was sent, {} is stored", sent.seq(), frame.seq());
    }
    // The folder outlives the server for as long as somebody has it open.
    let data = File::open(small.data()).unwrap();
    small.server.kill();
    let copied = Command::new("cp")
        .args(["-a", &format!("/proc/{}/fd/{}/.", std::process::id(), data.as_raw_fd())])
        .arg(small.dir.path().join("data"))
        .status();
    assert!(copied.unwrap().success());
    let again = Served::start(small.dir.path(), small.server.address().port()).await;
    audit(again.address(), &users, &ledger).await;
}
