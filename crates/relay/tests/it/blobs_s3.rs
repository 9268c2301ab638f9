//! Blobs in an S3-compatible store, of the real binary: served, verified, mended, backed up, restored.

use std::fs;
use std::path::PathBuf;

use common::Cid;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::backup::{PASSPHRASE, World, noise, said, upload};
use crate::backup_s3::findings;
use crate::support::{Reply, S3, Served, User, configure, s3_settings, verb_json};

fn blobs_in(s3: &S3) -> String {
    format!("[blobs]\nstore = \"s3://ours/blobs\"\n{}", s3_settings(s3))
}

/// The file that the store keeps a blob in.
fn object(s3: &S3, content: &[u8]) -> PathBuf {
    let hex = HEXLOWER.encode(Cid::raw(content).digest());
    s3.folder().join("blobs").join(&hex[..2]).join(&hex[2..])
}

async fn fetch(user: &User, content: &[u8], range: Option<&str>) -> Reply {
    let path = format!("/xrpc/com.atproto.sync.getBlob?did={}&cid={}", user.did, Cid::raw(content));
    let request = user.request("GET", &path);
    user.send(range.into_iter().fold(request, |request, range| request.header("range", range))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_live_in_a_store() {
    let (world, mut s3) = (World::new().await, S3::start().await);
    configure(world.dir.path(), world.port, &world.plc, &blobs_in(&s3));
    let server = Served::start(world.dir.path(), world.port).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    let (small, large) = (noise(1, 10_000), noise(2, 20_000_000));
    upload(&alice, small.clone()).await;
    upload(&alice, large.clone()).await;
    assert_eq!(fs::read(object(&s3, &small)).unwrap(), small);
    assert!(fs::read(object(&s3, &large)).unwrap() == large);
    assert!(fetch(&alice, &large, None).await.good().bytes == large);
    let part = fetch(&alice, &large, Some("bytes=9000000-9000009")).await;
    assert_eq!((part.status, &part.bytes[..]), (206, &large[9_000_000..9_000_010]));
    assert_eq!(part.headers["content-range"], "bytes 9000000-9000009/20000000");
    assert_eq!(findings(&server).await, Vec::<String>::new());

    s3.suspend().await;
    let away = fetch(&alice, &small, None).await;
    assert_eq!((away.status, away.json()["message"].as_str().unwrap().contains("store of blobs")), (503, true));
    let refused = alice.post_bytes("com.atproto.repo.uploadBlob", "image/png", noise(3, 1000)).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    alice.create_post("posts need no store").await;
    s3.resume().await;
    assert_eq!(fetch(&alice, &small, None).await.good().bytes, small);
    upload(&alice, noise(3, 1000)).await;

    // What can happen to a store is found as in a folder.
    fs::remove_file(object(&s3, &small)).unwrap();
    let mut wrong = large.clone();
    wrong[7] ^= 1;
    fs::write(object(&s3, &large), wrong).unwrap();
    let leftover = object(&s3, b"leftover");
    fs::create_dir_all(leftover.parent().unwrap()).unwrap();
    fs::write(&leftover, b"leftover").unwrap();
    let mut found = findings(&server).await;
    found.sort();
    assert_eq!(found, ["blob-file-damaged", "blob-file-leftover", "blob-file-missing"]);
    let copies = world.dir.path().join("copies");
    fs::create_dir(&copies).unwrap();
    for content in [&small, &large] {
        fs::write(copies.join(Cid::raw(content).to_string()), content).unwrap();
    }
    let from = copies.display().to_string();
    server.verb(&["verify", "--repair", "--blobs-from", &from]).await;
    assert_eq!(findings(&server).await, ["blob-file-leftover"]);
    assert!(fetch(&alice, &large, None).await.good().bytes == large);
    let evidence = fs::read_dir(world.dir.path().join("data/evidence")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(evidence.into_iter().any(|name| name.to_string_lossy().starts_with("blob-")), "what was there is laid aside");
    server.stop().await;
}

/// Files move to a store that is configured later; a backup has them from there, and brings them back to another store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_move_to_a_store_and_come_back_from_a_backup() {
    let (world, s3) = (World::new().await, S3::start().await);
    configure(world.dir.path(), world.port, &world.plc, "");
    let server = Served::start(world.dir.path(), world.port).await;
    let alice = User::register(&server.anonymous(), "alice").await;
    let contents: Vec<Vec<u8>> = (0..4).map(|seed| noise(seed, 100_000 * usize::from(seed + 1))).collect();
    for content in &contents {
        upload(&alice, content.clone()).await;
    }
    server.stop().await;

    let place = world.place().display().to_string();
    let backup = format!("[backup]\nto = {place:?}\npassphrase = \"{PASSPHRASE}\"\ndrill = false\n");
    configure(world.dir.path(), world.port, &world.plc, &format!("{}{backup}", blobs_in(&s3)));
    let server = Served::start(world.dir.path(), world.port).await;
    let alice = User::sign_in(&server.anonymous(), "alice").await;
    let there = |s3: &S3| contents.iter().filter(|content| object(s3, content).exists()).count();
    while there(&s3) < 4 {
        // Whether it was moved or not.
        assert_eq!(fetch(&alice, &contents[0], None).await.good().bytes, contents[0]);
    }
    upload(&alice, noise(9, 9_000_000)).await;
    while !server.verb(&["backup", "now"]).await.status.success() {}
    let drill = server.verb_json(&["backup", "drill"]).await;
    assert_eq!((&drill["failure"], &drill["blobsChecked"].as_u64().is_some_and(|checked| checked >= 5)), (&Value::Null, &true));
    assert_eq!(findings(&server).await, Vec::<String>::new());
    server.stop().await;

    // The store is still there: nothing has to be fetched.
    let restored = verb_json(&world.restore("kept", &["--no-blobs"]).await);
    assert_eq!((&restored["blobs"], &restored["accounts"]), (&json!(0), &json!(1)));
    // It is lost with the rest: the blobs come from the backup, and move to the new one.
    verb_json(&world.restore("new", &[]).await);
    let another = S3::start().await;
    fs::remove_dir_all(world.dir.path().join("data")).unwrap();
    fs::rename(world.at("new"), world.at("data")).unwrap();
    configure(world.dir.path(), world.port, &world.plc, &blobs_in(&another));
    let server = Served::start(world.dir.path(), world.port).await;
    while there(&another) < 4 || !object(&another, &noise(9, 9_000_000)).exists() {
        tokio::task::yield_now().await;
    }
    assert_eq!(findings(&server).await, Vec::<String>::new());
    let health: Value = serde_json::from_slice(&server.verb(&["health", "--deep"]).await.stdout).unwrap();
    assert!(health["checks"].as_array().unwrap().iter().any(|check| check["name"] == "blob_store" && check["ok"] == true));
    server.stop().await;

    configure(world.dir.path(), world.port, &world.plc, "[blobs]\nstore = \"not a bucket\"\n");
    let refused = said(&crate::support::run(world.dir.path(), &["config", "check", "--config", "relay.toml"]).await);
    assert!(refused.contains("s3://bucket"), "{refused}");
}
