//! Backups of the real binary, and the way back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::{Dice, Load, Served, TestPds, User, configure, free_port, run, start_plc, verb_json};

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// A server with a PLC directory, and a folder for backups.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) plc: String,
    pub(crate) port: u16,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let plc = start_plc(&dir.path().join("plc.sqlite"), &std::sync::Arc::default()).await;
        Self { dir, plc: format!("http://localhost:{}", plc.port()), port: free_port() }
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.dir.path().join("place")
    }

    pub(crate) fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Starts the server with these lines in `[backup]`.
    async fn serve(&self, more: &str) -> Served {
        self.serve_to(&[&self.place().display().to_string()], more).await
    }

    /// As [`Self::serve`], with these places.
    pub(crate) async fn serve_to(&self, places: &[&str], more: &str) -> Served {
        let backup = format!("[backup]\nto = {places:?}\npassphrase = \"{PASSPHRASE}\"\n{more}");
        configure(self.dir.path(), self.port, &self.plc, &backup);
        Served::start(self.dir.path(), self.port).await
    }

    pub(crate) async fn restore(&self, into: &str, more: &[&str]) -> Output {
        let passphrase = self.dir.path().join("passphrase");
        fs::write(&passphrase, format!("{PASSPHRASE}\n")).unwrap();
        let (place, into, passphrase) = (self.place(), self.at(into), passphrase.display().to_string());
        let place = place.display().to_string();
        let args = ["restore", &place, "--into", &into, "--passphrase-file", &passphrase, "--json"];
        run(self.dir.path(), &[&args, more].concat()).await
    }
}

/// Waits until all that was committed before this call is in the place for backups.
pub(crate) async fn shipped(server: &Served) -> Value {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    let mut status = Value::Null;
    for _ in 0..1000 {
        status = server.verb_json(&["backup", "status"]).await;
        if status["shipping"]["through"].as_i64().is_some_and(|through| through >= now) {
            return status;
        }
    }
    panic!("changes are not shipped: {status}")
}

/// Waits for a backup that ended after this call.
pub(crate) async fn backed_up(server: &Served) -> Value {
    loop {
        let output = server.verb(&["backup", "now", "--json"]).await;
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
        // One is being made already.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("nother backup"), "{said}");
    }
}

/// All rows of a database but those that tell of backups, and the blobs beside it.
pub(crate) fn contents(data: &Path) -> BTreeMap<String, Vec<Vec<Sql>>> {
    let conn = Connection::open_with_flags(data.join("relay.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let mut contents = BTreeMap::new();
    for table in tables {
        let only = if table == "meta" {
            "WHERE key NOT LIKE 'backup_status%' AND key NOT IN ('restored', 'backup_instance')"
        } else {
            ""
        };
        let mut statement = conn.prepare(&format!("SELECT * FROM {table} {only}")).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| (0..columns).map(|at| row.get(at)).collect()).unwrap();
        contents.insert(table, rows.collect::<Result<_, _>>().unwrap());
    }
    let mut blobs = Vec::new();
    for (path, _) in files(&data.join("blobs")) {
        let hash = Sha256::digest(fs::read(data.join("blobs").join(&path)).unwrap()).to_vec();
        blobs.push(vec![Sql::Text(path), Sql::Blob(hash)]);
    }
    contents.insert("the folder of blobs".to_owned(), blobs);
    contents
}

/// The files below a folder, each with when it was written.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, std::time::SystemTime> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            // What is being written goes away at any time.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, metadata.modified().unwrap());
            }
        }
    }
    found
}

pub(crate) fn said(output: &Output) -> String {
    assert!(!output.status.success(), "it should have failed");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The same bytes for the same seed; they do not compress.
pub(crate) fn noise(seed: u8, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes + 32);
    let mut block = Sha256::digest([seed]);
    while out.len() < bytes {
        out.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    out.truncate(bytes);
    out
}

pub(crate) async fn upload(user: &User, bytes: Vec<u8>) -> Value {
    let blob = user.post_bytes("com.atproto.repo.uploadBlob", "image/png", bytes).await.good().json()["blob"].clone();
    user.create_record("com.example.file", json!({ "$type": "com.example.file", "file": blob })).await.good();
    blob
}

/// Backups are made while clients write; what is restored is what the server has when they are done, byte for byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_restored_is_what_was_there_though_writes_went_on() {
    let world = World::new().await;
    let server = world.serve("ship_every = \"200ms\"\ndrill = false\n").await;
    let mut writers = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let user = User::register(&server.anonymous(), name).await;
        upload(&user, noise(name.as_bytes()[0], 9_000_000)).await;
        let mut load = Load::new(&user, name, Dice::from_env().fork());
        writers.push(tokio::spawn(async move {
            load.write_many(150).await;
            load
        }));
    }
    for _ in 0..3 {
        backed_up(&server).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let late = User::sign_in(&server.anonymous(), "alice").await;
    upload(&late, noise(1, 100_000)).await;
    shipped(&server).await;
    let drill = server.verb_json(&["backup", "drill"]).await;
    assert_eq!(
        (&drill["failure"], &drill["accounts"], &drill["blobsChecked"]),
        (&Value::Null, &json!(3), &drill["blobsChecked"])
    );
    let status = server.verb_json(&["backup", "status"]).await;
    assert!(status["verifiedAt"].is_i64(), "{status}");
    shipped(&server).await;

    let restored = verb_json(&world.restore("new", &[]).await);
    assert_eq!(restored["missing_blobs"], json!([]));
    server.stop().await;
    let (before, after) = (contents(&world.dir.path().join("data")), contents(&world.dir.path().join("new")));
    for (table, rows) in &before {
        assert_eq!(rows, &after[table], "{table}");
    }
    assert_eq!(fs::read(world.at("data/master.key")).unwrap(), fs::read(world.at("new/master.key")).unwrap());
    assert_eq!(fs::read(world.at("relay.toml")).unwrap(), fs::read(world.at("new/configuration/relay.toml")).unwrap());

    let refused = said(&world.restore("new", &[]).await);
    assert!(refused.contains("is not empty"), "{refused}");
}

/// The machine burns down while clients write: what was acknowledged more than a moment before is in the place for backups.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_data_folder_costs_the_last_moments_only() {
    let world = World::new().await;
    let mut server = world.serve("ship_every = \"500ms\"\ndrill = false\n").await;
    let alice = User::register(&server.anonymous(), "alice").await;
    backed_up(&server).await;
    let begun = Instant::now();
    let mut acknowledged = Vec::new();
    let mut blobs = Vec::new();
    while begun.elapsed() < Duration::from_secs(6) {
        let reply = alice.create_record("app.bsky.feed.post", crate::support::post("hello")).await.good().json();
        acknowledged.push((begun.elapsed(), reply["uri"].as_str().unwrap().to_owned()));
        if acknowledged.len() % 50 == 0 {
            upload(&alice, noise(acknowledged.len() as u8, 20_000)).await;
            blobs.push(begun.elapsed());
        }
    }
    server.kill();
    let killed = begun.elapsed();
    fs::remove_dir_all(world.dir.path().join("data")).unwrap();

    verb_json(&world.restore("data", &[]).await);
    let server = Served::start(world.dir.path(), world.port).await;
    let alice = User::sign_in(&server.anonymous(), "alice").await;
    let lost: Vec<_> = {
        let mut lost = Vec::new();
        for (at, uri) in &acknowledged {
            let rkey = uri.rsplit('/').next().unwrap();
            if alice.get_record("app.bsky.feed.post", rkey).await.status != 200 {
                lost.push(killed.checked_sub(*at).unwrap());
            }
        }
        lost
    };
    println!("{} of {} were lost, the oldest {:?} before the end", lost.len(), acknowledged.len(), lost.first());
    assert!(lost.iter().all(|before| *before < Duration::from_secs(3)), "{lost:?}");
    let missing = alice.get("com.atproto.repo.listMissingBlobs", &[]).await.good().json();
    assert_eq!(missing["blobs"], json!([]));
}

/// A server that is killed in the middle of a backup goes on with it: what was sent is not sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_killed_goes_on_where_it_was() {
    let world = World::new().await;
    // Without a place for backups at first, for the first backup to be a large one.
    configure(world.dir.path(), world.port, &world.plc, "");
    let server = Served::start(world.dir.path(), world.port).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    for seed in 0..4 {
        upload(&alice, noise(seed, 3_000_000)).await;
    }
    server.stop().await;
    let mut server = world.serve("bandwidth = \"2MB\"\ndrill = false\n").await;
    let place = world.place();
    let blobs = || files(&place.join("blobs"));
    while blobs().len() < 2 {
        tokio::task::yield_now().await;
    }
    server.kill();
    let sent = blobs();
    assert!(!place.join("snapshots").exists(), "it was not done");

    let server = world.serve("drill = false\n").await;
    backed_up(&server).await;
    let now = blobs();
    assert!(now.len() >= 4 && sent.len() < 4, "{} of {}", sent.len(), now.len());
    for (name, written) in sent.iter().filter(|(name, _)| !name.contains('#')) {
        assert_eq!(now.get(name), Some(written), "{name} was sent again");
    }
    verb_json(&world.restore("new", &[]).await);
}

/// A byte in the place for backups changes: the drill says so, a restore refuses, and the next backup mends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_is_noticed_by_the_drill_and_by_a_restore() {
    let world = World::new().await;
    let server = world.serve("drill = false\n").await;
    let alice = User::register(&server.anonymous(), "alice").await;
    upload(&alice, noise(7, 100_000)).await;
    backed_up(&server).await;
    let chunk = files(&world.place().join("chunks")).into_keys().next().unwrap();
    let chunk = world.place().join("chunks").join(chunk);
    let mut bytes = fs::read(&chunk).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&chunk, bytes).unwrap();

    let refused = said(&world.restore("new", &[]).await);
    assert!(refused.contains("is damaged"), "{refused}");
    assert!(!world.dir.path().join("new/relay.sqlite").exists());
    let drill = said(&server.verb(&["backup", "drill"]).await);
    assert!(drill.contains("cannot be restored"), "{drill}");
    let status = server.verb_json(&["backup", "status"]).await;
    assert!(status["lastDrill"]["failure"].is_string() && status["verifiedAt"].is_null(), "{status}");
    assert!(fs::read_to_string(world.at("log")).unwrap().contains("CANNOT BE RESTORED"));

    backed_up(&server).await;
    server.verb_json(&["backup", "drill"]).await;
    // The folder that the failed attempt left is used again.
    verb_json(&world.restore("new", &[]).await);
}

/// Changes that come after the backup are damaged: a restore names the moment until which all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_changes_cost_what_came_after_them() {
    let world = World::new().await;
    let server = world.serve("ship_every = \"100ms\"\ndrill = false\nevery = \"31d\"\n").await;
    let alice = User::register(&server.anonymous(), "alice").await;
    backed_up(&server).await;
    shipped(&server).await;
    let segments = || files(&world.place().join("segments"));
    let before: BTreeSet<String> = segments().into_keys().collect();
    for text in ["one", "two", "three"] {
        alice.create_record("app.bsky.feed.post", crate::support::post(text)).await.good();
        shipped(&server).await;
    }
    let new: Vec<String> = segments().into_keys().filter(|name| !before.contains(name)).collect();
    assert!(new.len() >= 3, "{new:?}");
    fs::remove_file(world.place().join("segments").join(&new[1])).unwrap();
    let refused = said(&world.restore("new", &[]).await);
    let at = refused.split("--at ").nth(1).unwrap().split_whitespace().next().unwrap();
    let at = at.trim_end_matches('.').trim_end_matches(')');
    verb_json(&world.restore("new", &["--at", at]).await);
    let posts = contents(&world.dir.path().join("new"))["record"].len();
    assert_eq!(posts, 1, "the first came before the damage");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_goes_back_to_a_moment() {
    let world = World::new().await;
    let server = world.serve("ship_every = \"100ms\"\ndrill = false\nevery = \"31d\"\n").await;
    let alice = User::register(&server.anonymous(), "alice").await;
    backed_up(&server).await;
    let mut moments = Vec::new();
    for text in ["one", "two", "three"] {
        alice.create_record("app.bsky.feed.post", crate::support::post(text)).await.good();
        let status = shipped(&server).await;
        moments.push(status["shipping"]["through"].as_i64().unwrap());
    }
    for (count, moment) in moments.iter().enumerate() {
        let (into, at) = (format!("at{count}"), common::Datetime::from_millis(*moment));
        let restored = verb_json(&world.restore(&into, &["--at", at.as_str()]).await);
        assert!(restored["through"].as_i64().unwrap() <= *moment);
        assert_eq!(contents(&world.dir.path().join(into))["record"].len(), count + 1);
    }
    let refused = said(&world.restore("before", &["--at", "2020-01-01T00:00:00Z"]).await);
    assert!(refused.contains("no backup from before that time"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_passphrase_opens_nothing() {
    let world = World::new().await;
    let server = world.serve("drill = false\n").await;
    backed_up(&server).await;
    let wrong = world.dir.path().join("wrong");
    fs::write(&wrong, "wrong").unwrap();
    let refused = said(&world.restore("new", &["--passphrase-file", &wrong.display().to_string()]).await);
    assert!(refused.contains("cannot be used multiple times") || refused.contains("passphrase"), "{refused}");
    let (place, into, wrong) = (world.place().display().to_string(), world.at("new"), wrong.display().to_string());
    let args = ["restore", &place, "--into", &into, "--passphrase-file", &wrong];
    let refused = said(&run(world.dir.path(), &args).await);
    assert!(refused.contains("not the one that these backups were made with"), "{refused}");
    // Nothing in the place is readable as it is, but whose it is, for other servers.
    for (name, _) in files(&world.place()) {
        let bytes = fs::read(world.place().join(&name)).unwrap();
        if name == "owner.json" {
            let owner: BTreeMap<String, Value> = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(owner.keys().collect::<Vec<_>>(), ["instance", "publicUrl", "since"]);
        } else {
            assert!(bytes.starts_with(b"age-encryption.org/v1"), "{name}");
        }
    }
}

/// A server that stops and starts goes on with its changes; nothing is sent twice, and no backup is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_go_on_over_restarts_and_crashes() {
    let world = World::new().await;
    let backup = "ship_every = \"100ms\"\ndrill = false\nevery = \"31d\"\n";
    let mut server = world.serve(backup).await;
    User::register(&server.anonymous(), "alice").await;
    let first = backed_up(&server).await;
    for round in 0..4 {
        let alice = User::sign_in(&server.anonymous(), "alice").await;
        for _ in 0..20 {
            alice.create_record("app.bsky.feed.post", crate::support::post("hello")).await.good();
        }
        if round % 2 == 0 {
            server.stop().await;
        } else {
            shipped(&server).await;
            server.kill();
        }
        server = world.serve(backup).await;
    }
    let status = shipped(&server).await;
    assert_eq!(status["lastBackup"]["id"], first["id"], "the chain did not break");
    verb_json(&world.restore("new", &[]).await);
    server.stop().await;
    let (before, after) = (contents(&world.dir.path().join("data")), contents(&world.dir.path().join("new")));
    assert_eq!(before["record"].len(), 80);
    assert_eq!(before["record"], after["record"]);
    assert_eq!(before["event"], after["event"]);
}

/// The server comes back at another address: DIDs lead there, crawlers hear of every repo, and nothing is numbered twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_restored_at_another_address() {
    let world = World::new().await;
    let mut server = world.serve("ship_every = \"100ms\"\ndrill = false\n").await;
    let alice = User::register(&server.anonymous(), "alice").await;
    User::register(&server.anonymous(), "bob").await;
    backed_up(&server).await;
    shipped(&server).await;
    // What the backup does not have, but consumers saw.
    fs::rename(world.place(), world.at("gone")).unwrap();
    fs::write(world.place(), "in the way").unwrap();
    alice.create_record("app.bsky.feed.post", crate::support::post("lost")).await.good();
    let (_, last_rev) = alice.latest_commit().await;
    let body = crate::support::post("the last");
    let commit = alice.create_record("app.bsky.feed.post", body).await.good().json()["commit"]["cid"].clone();
    let mut follower = crate::support::Follower::connect(server.address(), Some(0)).await;
    let seen = follower.until(|frame| frame.kind == "#commit" && frame.commit() == commit.as_str().unwrap()).await;
    let last_seq = seen.last().unwrap().seq();
    server.kill();
    fs::remove_file(world.place()).unwrap();
    fs::rename(world.at("gone"), world.place()).unwrap();

    let port = free_port();
    let elsewhere = TempDir::new().unwrap();
    let (into, url) = (elsewhere.path().join("data").display().to_string(), format!("http://localhost:{port}"));
    let passphrase = world.dir.path().join("passphrase");
    fs::write(&passphrase, PASSPHRASE).unwrap();
    let (place, passphrase) = (world.place().display().to_string(), passphrase.display().to_string());
    let args = ["restore", &place, "--into", &into, "--passphrase-file", &passphrase, "--move-to", &url, "--json"];
    verb_json(&run(elsewhere.path(), &args).await);
    configure(elsewhere.path(), port, &world.plc, "");
    let server = Served::start(elsewhere.path(), port).await;

    let mut synced = BTreeMap::new();
    let mut follower = crate::support::Follower::connect(server.address(), Some(last_seq)).await;
    while synced.len() < 2 {
        let frame = follower.next().await.unwrap();
        assert!(frame.seq() > last_seq);
        if frame.kind == "#sync" {
            synced.insert(frame.did().to_owned(), frame.text("rev").to_owned());
        }
    }
    assert!(synced[&alice.did] > last_rev, "consumers saw {last_rev}");
    let document = reqwest_json(&format!("{}/{}", world.plc, alice.did)).await;
    assert_eq!(document["service"][0]["serviceEndpoint"], json!(url));
    let again = User::sign_in(&server.anonymous(), "alice").await;
    assert_eq!(again.latest_commit().await.1, synced[&alice.did]);
    again.create_record("app.bsky.feed.post", crate::support::post("after")).await.good();
}

async fn reqwest_json(url: &str) -> Value {
    let (base, path) = url.split_at(url.find("/did:").unwrap());
    let client = crate::support::Client::new(base.to_owned(), None);
    client.send(client.request("GET", path)).await.good().json()
}

/// A copy that someone starts at another address to look at it says nothing in the name of the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_to_look_at_does_not_speak_for_the_server() {
    let world = World::new().await;
    let server = world.serve("drill = false\n").await;
    let alice = User::register(&server.anonymous(), "alice").await;
    backed_up(&server).await;
    let elsewhere = TempDir::new().unwrap();
    let port = free_port();
    let into = elsewhere.path().join("data").display().to_string();
    fs::write(world.dir.path().join("p"), PASSPHRASE).unwrap();
    let (place, passphrase) = (world.place().display().to_string(), world.at("p"));
    let args = ["restore", &place, "--into", &into, "--passphrase-file", &passphrase, "--json"];
    verb_json(&run(elsewhere.path(), &args).await);
    configure(elsewhere.path(), port, &world.plc, "");
    let copy = Served::start(elsewhere.path(), port).await;
    let there = User::sign_in(&copy.anonymous(), "alice").await;
    assert_eq!(there.latest_commit().await, alice.latest_commit().await);
    let document = reqwest_json(&format!("{}/{}", world.plc, alice.did)).await;
    assert_eq!(document["service"][0]["serviceEndpoint"], json!(format!("http://localhost:{}", world.port)));
    drop((server, copy));
    // Which is what keeps `TestPds` in use here: a server without a place for backups says so.
    let pds = TestPds::start().await;
    let data = pds.data_dir().display().to_string();
    let public_url = pds.url();
    let set = format!("server.public_url={public_url}");
    let refused = said(&run(world.dir.path(), &["backup", "now", "--data-dir", &data, "--set", &set]).await);
    assert!(refused.contains("no place for backups"), "{refused}");
    pds.stop().await;
}

/// Two servers in one place removed what the other needed, and nobody was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_belongs_to_one_server() {
    let (ours, other) = (World::new().await, World::new().await);
    let server = ours.serve("drill = false\n").await;
    User::register(&server.anonymous(), "alice").await;
    backed_up(&server).await;
    let before = fs::read(ours.place().join("owner.json")).unwrap();

    // Another server gets the same place.
    let stranger = other.serve_to(&[&ours.place().display().to_string()], "drill = false\n").await;
    let refused = refused(&stranger).await;
    let words = format!("has the backups of another server, http://localhost:{}", ours.port);
    assert!(refused.contains(&words) && refused.contains("`relay backup take-over`"), "{refused}");
    let seen = stranger.verb(&["doctor", "--json"]).await;
    let seen: Vec<Value> = serde_json::from_slice(&seen.stdout).unwrap();
    let age = seen.iter().find(|finding| finding["id"] == "backup.age").unwrap();
    assert!(age["outcome"] == "error" && age["sentence"].as_str().unwrap().contains(&words), "{age}");
    stranger.stop().await;
    assert_eq!(fs::read(ours.place().join("owner.json")).unwrap(), before);
    backed_up(&server).await;

    // A server that was restored from there goes on there, and the one before does not any more.
    server.stop().await;
    fs::rename(ours.at("data"), ours.at("old")).unwrap();
    verb_json(&ours.restore("data", &[]).await);
    let restored = Served::start(ours.dir.path(), ours.port).await;
    backed_up(&restored).await;
    restored.stop().await;
    fs::rename(ours.at("data"), ours.at("restored")).unwrap();
    fs::rename(ours.at("old"), ours.at("data")).unwrap();
    let old = Served::start(ours.dir.path(), ours.port).await;
    assert!(self::refused(&old).await.contains(&words));

    // The operator may know better.
    let taken = old.verb(&["backup", "take-over"]).await;
    assert!(String::from_utf8_lossy(&taken.stdout).contains("is this server's now"), "{taken:?}");
    backed_up(&old).await;
}

/// Returns why no backup can be made.
async fn refused(server: &Served) -> String {
    loop {
        let refused = said(&server.verb(&["backup", "now"]).await);
        if !refused.contains("nother backup") {
            return refused;
        }
    }
}
