//! `relay rotate`: other keys, and nothing lost on the way.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Dice, PlcFault, TestPds, User};
use crate::verify::{findings, furnished, operate};

async fn rotate(pds: &TestPds, args: &[&str]) -> (Option<i32>, String) {
    let args: Vec<&str> = ["rotate"].into_iter().chain(args.iter().copied()).collect();
    let mut command = operate(pds, &args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

/// What the directory says about a DID.
async fn data(pds: &TestPds, did: &str) -> Value {
    let reply = crate::support::Client::new(pds.plc_url(), None);
    reply.send(reply.request("GET", &format!("/{did}/data"))).await.good().json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signing_key_is_changed_in_the_did_and_under_the_repo() {
    let (mut pds, alice, bob) = furnished().await;
    for running in [true, false] {
        let live = if running { Some(pds.follow(None).await) } else { None };
        let (before, head) = (data(&pds, &alice.did).await, alice.latest_commit().await);
        if !running {
            pds.suspend().await;
        }
        let (code, said) = rotate(&pds, &["signing-key", "alice.test"]).await;
        assert_eq!(code, Some(0), "{said}");
        let after = data(&pds, &alice.did).await;
        assert_ne!(before["verificationMethods"]["atproto"], after["verificationMethods"]["atproto"]);
        assert_eq!(before["rotationKeys"], after["rotationKeys"]);
        if let Some(mut live) = live {
            let frames = live.until(|frame| frame.kind == "#sync").await;
            let told: Vec<&str> = frames.iter().map(|frame| &*frame.kind).collect();
            assert_eq!(told, ["#identity", "#sync"]);
            assert_eq!(frames[1].text("rev"), alice.latest_commit().await.1);
        } else {
            pds.resume().await;
        }
        assert_ne!(alice.latest_commit().await, head);
        alice.create_post("with the new key").await;
        bob.create_post("with the old one").await;
        assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()));
    }
    assert_ne!(rotate(&pds, &["signing-key", "nobody.test"]).await.0, Some(0));
}

/// The process died after the DID got the new key and before the repo did: the network refused all commits, until it was done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_change_of_a_signing_key_is_finished() {
    let (mut pds, alice, _) = furnished().await;
    let key = alice.post("com.atproto.server.reserveSigningKey", &serde_json::json!({ "did": alice.did })).await.good().json();
    let key = key["signingKey"].as_str().unwrap().to_owned();
    pds.suspend().await;
    // As if: the state of the account before the last step, with the DID after it.
    let (dir, whole) = (pds.data_dir(), tempfile::TempDir::new().unwrap());
    crate::verify::copy(&dir, whole.path());
    assert_eq!(rotate(&pds, &["signing-key", "alice.test"]).await.0, Some(0));
    crate::verify::copy(whole.path(), &dir);
    pds.resume().await;
    assert_eq!(data(&pds, &alice.did).await["verificationMethods"]["atproto"], key);
    assert_eq!(findings(&pds, &[]).await, (Some(4), vec!["did-signing-key".to_owned()]));
    let (code, said) = rotate(&pds, &["signing-key", "alice.test"]).await;
    assert!(code == Some(0) && said.contains(&key), "{said}");
    assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()));
    alice.create_post("goes on").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rotation_key_is_changed_in_all_dids() {
    let (mut pds, alice, bob) = furnished().await;
    let before = data(&pds, &alice.did).await["rotationKeys"].clone();
    assert_eq!(rotate(&pds, &["rotation-key"]).await.0, Some(1), "not under a server that runs");
    pds.suspend().await;
    let (code, said) = rotate(&pds, &["rotation-key"]).await;
    assert!(code == Some(0) && said.contains("2 DIDs name it"), "{said}");
    let after = data(&pds, &alice.did).await["rotationKeys"].clone();
    assert_eq!(after.as_array().unwrap().len(), before.as_array().unwrap().len());
    assert_ne!(after, before);
    assert_eq!(after, data(&pds, &bob.did).await["rotationKeys"]);
    pds.resume().await;
    assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()));
    // The server changes DIDs with it.
    let input = serde_json::json!({ "handle": "alicia.test" });
    alice.post("com.atproto.identity.updateHandle", &input).await.good();
    let aka = data(&pds, &alice.did).await["alsoKnownAs"][0].clone();
    assert_eq!(aka, "at://alicia.test");
    pds.create_account("carol").await;
}

/// Killed after each DID that it changes, and begun again: in the end all DIDs have the new key and none the old one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_change_of_the_rotation_key_is_finished() {
    let (mut pds, alice, bob) = furnished().await;
    let before = data(&pds, &alice.did).await["rotationKeys"][0].clone();
    pds.suspend().await;
    let faults = pds.share_plc_faults();
    let mut killed = Vec::new();
    let changed = loop {
        // The directory takes an operation and says nothing, so that the end comes between two DIDs.
        faults.set(PlcFault::Hang);
        let sent = faults.submitted().len();
        let mut command = operate(&pds, &["rotate", "rotation-key"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ended = loop {
            if faults.submitted().len() > sent {
                child.kill().unwrap();
                child.wait().unwrap();
                killed.push(faults.submitted()[sent].0.clone());
                break None;
            }
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            // Not a wait for anything but the other process.
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        faults.set(PlcFault::None);
        if let Some(status) = ended {
            assert!(status.success());
            break killed;
        }
        // In between, the server serves, and its DIDs answer to it.
        pds.resume().await;
        User::sign_in(&pds.anonymous(), "alice").await.create_post("in the midst of it").await;
        pds.suspend().await;
    };
    // Each DID once to get the new key and once to lose the old one.
    for did in [&alice.did, &bob.did] {
        assert_eq!(changed.iter().filter(|changed| *changed == did).count(), 2, "{changed:?}");
        let keys = data(&pds, did).await["rotationKeys"].clone();
        assert!(keys.as_array().unwrap().len() == 1 && keys[0] != before, "{keys}");
    }
    pds.resume().await;
    assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()));
    let input = serde_json::json!({ "handle": "alicia.test" });
    alice.post("com.atproto.identity.updateHandle", &input).await.good();
    pds.create_account("carol").await;
}

/// Whatever moment it is killed at, everything opens, and it can be done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_change_of_the_master_key_leaves_what_opens() {
    let (mut pds, _, _) = furnished().await;
    assert_eq!(rotate(&pds, &["master-key"]).await.0, Some(1), "not under a server that runs");
    pds.suspend().await;
    let mut dice = Dice::from_env();
    let key = pds.data_dir().join("master.key");
    let (mut last, mut changes) = (std::fs::read(&key).unwrap(), 0);
    for _ in 0..12 {
        let mut child = operate(&pds, &["rotate", "master-key"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Not a wait for anything: it picks the place where the end comes.
        tokio::time::sleep(Duration::from_millis(dice.next() % 120)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(findings(&pds, &["--no-identities"]).await, (Some(0), Vec::new()));
        pds.resume().await;
        let now = std::fs::read(&key).unwrap();
        changes += usize::from(now != last);
        last = now;
        assert!(!pds.data_dir().join("master.key.next").exists());
        User::sign_in(&pds.anonymous(), "alice").await.create_post("after a change").await;
        pds.suspend().await;
    }
    // A DID whose account was not finished has a key as well.
    let conn = rusqlite::Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    let pending = "INSERT INTO pending_did SELECT did, handle, '{}', signing_key, created_at FROM account LIMIT 1";
    assert_eq!(conn.execute(pending, []).unwrap(), 1);
    drop(conn);
    let (code, said) = rotate(&pds, &["master-key"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(findings(&pds, &["--no-identities"]).await, (Some(0), Vec::new()));
    assert_ne!(std::fs::read(&key).unwrap(), last);
    println!("{changes} of 12 came about");
    // Each key that was, is kept.
    let kept = std::fs::read_dir(pds.data_dir()).unwrap();
    let kept = kept.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("master.key.")).count();
    assert_eq!(kept, changes + 1);
    pds.resume().await;
    assert_eq!(findings(&pds, &[]).await, (Some(0), Vec::new()));
}
