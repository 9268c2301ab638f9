//! Backups to an S3-compatible store that checks signatures, alone and beside a folder.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::backup::{PASSPHRASE, World, contents, files, noise, said, upload};
use crate::support::{ACCESS_KEY, BUCKET, S3, SECRET_KEY, Served, User, configure, post, relay, s3_settings, verb_json};

pub(crate) const PLACE: &str = "s3://ours/pds";

/// Runs a verb that prints a line of JSON for each place.
pub(crate) async fn lines(server: &Served, args: &[&str]) -> Vec<Value> {
    let output = server.verb(&[args, &["--json"]].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json_lines(&output)
}

fn json_lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks how the backups are doing until it is as it should be in each place.
async fn until(server: &Served, is: impl Fn(&Value) -> bool) -> Vec<Value> {
    let begun = std::time::Instant::now();
    loop {
        let status = lines(server, &["backup", "status"]).await;
        if status.iter().all(&is) {
            return status;
        }
        assert!(begun.elapsed().as_secs() < 60, "{status:?}");
    }
}

fn now() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}

pub(crate) async fn shipped(server: &Served) -> Vec<Value> {
    let now = now();
    until(server, |status| status["shipping"]["through"].as_i64().is_some_and(|through| through >= now)).await
}

/// Runs `relay verify`, and returns the ids of its findings.
pub(crate) async fn findings(server: &Served) -> Vec<String> {
    let output = server.verb(&["verify", "--json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

/// Runs a verb that names the store itself, as after the loss of everything else.
async fn with_store(world: &World, s3: &S3, args: &[&str], secret: &str) -> Output {
    let passphrase = world.at("passphrase");
    fs::write(&passphrase, format!("{PASSPHRASE}\n")).unwrap();
    let mut command = relay(world.dir.path());
    command.args(args).args(["--s3-endpoint", &s3.url(), "--passphrase-file", &passphrase, "--json"]);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", secret);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(crate) async fn restore(world: &World, s3: &S3, into: &str, more: &[&str]) -> Output {
    let into = world.at(into);
    with_store(world, s3, &[&["restore", PLACE, "--into", &into], more].concat(), SECRET_KEY).await
}

/// A folder and a store at once: each is whole, and the server comes back from either, and from the store at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_and_a_store_each_have_everything() {
    let (world, s3) = (World::new().await, S3::start().await);
    let folder = world.place().display().to_string();
    let more = format!("ship_every = \"100ms\"\ndrill = false\nevery = \"31d\"\n{}", s3_settings(&s3));
    let server = world.serve_to(&[&folder, PLACE], &more).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    // In two objects.
    upload(&alice, noise(1, 9_000_000)).await;
    let made = loop {
        let output = server.verb(&["backup", "now", "--json"]).await;
        if output.status.success() {
            break json_lines(&output);
        }
        assert!(said(&output).contains("nother backup"), "{output:?}");
    };
    let places: Vec<&str> = made.iter().map(|report| report["place"].as_str().unwrap()).collect();
    assert_eq!(places, [&*folder, PLACE]);
    let mut moments = Vec::new();
    for text in ["one", "two"] {
        alice.create_record("app.bsky.feed.post", post(text)).await.good();
        moments.push(shipped(&server).await[1]["shipping"]["through"].as_i64().unwrap());
    }
    upload(&alice, noise(2, 50_000)).await;
    shipped(&server).await;
    for drill in lines(&server, &["backup", "drill"]).await {
        assert_eq!((&drill["failure"], &drill["accounts"]), (&Value::Null, &json!(1)), "{drill}");
        assert!(drill["blobsChecked"].as_u64() > Some(0), "{drill}");
    }
    assert!(lines(&server, &["backup", "status"]).await.iter().all(|status| status["verifiedAt"].is_i64()));
    shipped(&server).await;

    let at = common::Datetime::from_millis(moments[0]);
    verb_json(&restore(&world, &s3, "first", &["--at", at.as_str()]).await);
    assert_eq!(contents(&world.dir.path().join("first"))["record"].len(), 2, "the blob's record and the first post");
    verb_json(&restore(&world, &s3, "from-store", &[]).await);
    verb_json(&world.restore("from-folder", &[]).await);
    server.stop().await;
    let before = contents(&world.dir.path().join("data"));
    for restored in ["from-store", "from-folder"] {
        let after = contents(&world.dir.path().join(restored));
        for (table, rows) in &before {
            assert_eq!(rows, &after[table], "{table} {restored}");
        }
    }

    let listed = with_store(&world, &s3, &["backup", "list", PLACE], SECRET_KEY).await;
    assert!(!json_lines(&listed).is_empty());
    let refused = said(&with_store(&world, &s3, &["backup", "list", PLACE], "another secret").await);
    assert!(refused.contains("Check that the place can be reached") && refused.contains("credentials"), "{refused}");
    assert!(!refused.contains("another secret"), "{refused}");
}

/// What a backup keeps of older ones is removed from the store as from a folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_backup_needs_is_removed_from_the_store() {
    let (world, s3) = (World::new().await, S3::start().await);
    let none = "keep_daily = 0\nkeep_weekly = 0\nkeep_monthly = 0\nkeep_every_moment = \"0s\"\ndrill = false\n";
    let server = world.serve_to(&[PLACE], &format!("{none}{}", s3_settings(&s3))).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    for text in ["one", "two", "three"] {
        alice.create_record("app.bsky.feed.post", post(text)).await.good();
        while !server.verb(&["backup", "now"]).await.status.success() {}
    }
    let manifests = files(&s3.folder().join("pds/snapshots")).into_keys().filter(|name| name.ends_with(".manifest"));
    assert_eq!(manifests.count(), 1, "the newest alone");
    verb_json(&restore(&world, &s3, "new", &[]).await);
}

/// The store is out of reach: the folder is served on, changes wait, the operator is told, also after a restart; and when it
/// is back, all is sent and well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_out_of_reach_holds_nothing_up_and_is_made_up_for() {
    let (world, mut s3) = (World::new().await, S3::start().await);
    let folder = world.place().display().to_string();
    let more = format!("ship_every = \"100ms\"\ndrill = false\nevery = \"31d\"\n{}", s3_settings(&s3));
    let server = world.serve_to(&[&folder, PLACE], &more).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    until(&server, |status| status["lastBackup"].is_object()).await;
    shipped(&server).await;

    s3.suspend().await;
    let rkey = alice.create_post("while it is away").await;
    let before = now();
    let status = until(&server, |status| match status["place"].as_str() {
        Some(PLACE) => status["shipping"]["failure"].is_string(),
        _ => status["shipping"]["through"].as_i64() >= Some(before),
    });
    assert!(status.await[1]["shipping"]["waitingBytes"].as_u64() > Some(0));
    let output = server.verb(&["backup", "now", "--json"]).await;
    assert_eq!(json_lines(&output).len(), 1, "one is made in the folder");
    let failed = said(&output);
    assert!(failed.contains(PLACE) && failed.contains("Check that the place can be reached"), "{failed}");
    server.stop().await;

    // Whoever restarts a server does not mend its backups by that.
    let server = Served::start(world.dir.path(), world.port).await;
    loop {
        let status = server.verb_json(&["status"]).await;
        let problem = status["problems"].as_array().unwrap().iter().find(|problem| problem["topic"] == "backup").cloned();
        if let Some(problem) = problem {
            assert!(problem["problem"].as_str().unwrap().contains(PLACE), "{status}");
            break;
        }
    }
    s3.resume().await;
    lines(&server, &["backup", "now"]).await;
    shipped(&server).await;
    let status = server.verb_json(&["status"]).await;
    assert!(status["problems"].as_array().unwrap().iter().all(|problem| problem["topic"] != "backup"), "{status}");
    server.stop().await;
    verb_json(&restore(&world, &s3, "data2", &[]).await);
    let posts = contents(&world.dir.path().join("data2"));
    assert!(format!("{:?}", posts["record"]).contains(&rkey));
}

/// A server that is killed in the middle of its first backup to a store goes on with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_to_a_store_that_was_killed_goes_on_where_it_was() {
    let (world, s3) = (World::new().await, S3::start().await);
    configure(world.dir.path(), world.port, &world.plc, "");
    let server = Served::start(world.dir.path(), world.port).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    for seed in 0..4 {
        upload(&alice, noise(seed, 3_000_000)).await;
    }
    server.stop().await;
    let slow = format!("bandwidth = \"2MB\"\ndrill = false\n{}", s3_settings(&s3));
    let mut server = world.serve_to(&[PLACE], &slow).await;
    // The store's own files have names of their own; objects are written elsewhere and moved.
    let blobs = || {
        let all = files(&s3.folder().join("pds/blobs"));
        all.into_iter().filter(|(name, _)| !name.contains("internal")).collect::<Vec<_>>()
    };
    while blobs().len() < 2 {
        tokio::task::yield_now().await;
    }
    server.kill();
    let sent = blobs();
    assert!(sent.len() < 4 && !s3.folder().join("pds/snapshots").exists(), "it was not done");

    let server = world.serve_to(&[PLACE], &format!("drill = false\n{}", s3_settings(&s3))).await;
    until(&server, |status| status["lastBackup"].is_object()).await;
    let all = blobs();
    assert_eq!(all.len(), 4);
    assert!(sent.iter().all(|object| all.contains(object)), "what was sent is not sent again");
    verb_json(&restore(&world, &s3, "new", &[]).await);
}

/// Wrong credentials: the server serves on, says what is wrong, and nothing of the secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_refuses_is_told_of() {
    let (world, s3) = (World::new().await, S3::start().await);
    let settings = s3_settings(&s3).replace(SECRET_KEY, "not-the-secret-key");
    let server = world.serve_to(&[PLACE], &settings).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    let failed = loop {
        let said = said(&server.verb(&["backup", "now"]).await);
        if !said.contains("nother backup") {
            break said;
        }
    };
    assert!(failed.contains("SignatureDoesNotMatch") || failed.contains("403"), "{failed}");
    assert!(failed.contains("credentials are right"), "{failed}");
    alice.create_post("hello").await;
    assert!(files(&s3.folder()).is_empty(), "nothing is in {BUCKET}");
    assert!(!fs::read_to_string(world.at("log")).unwrap().contains("not-the-secret-key"));
    server.stop().await;
}
