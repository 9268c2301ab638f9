//! New DIDs, which are in the PLC directory before their accounts are in the database: whatever comes between, none is left
//! without an account, and none without its key.

use std::sync::Arc;

use relay::clock::SystemClock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, PlcFault, PlcFaults, Process, Reply, TestPds, User, start_plc_with};

async fn create_alice(client: &Client) -> Reply {
    let body = json!({ "handle": "alice.test", "email": "alice@example.com", "password": "a password" });
    client.post("com.atproto.server.createAccount", &body).await
}

/// Asserts that a DID has ended, and that its handle is free.
async fn assert_ended(plc: &Client, did: &str) {
    let reply = plc.send(plc.request("GET", &format!("/{did}"))).await;
    assert_eq!((reply.status, reply.json()["message"].clone()), (404, json!(format!("DID not available: {did}"))));
}

fn plc_of(pds: &TestPds) -> Client {
    Client::new(pds.plc_url(), None)
}

/// The directory took the DID, its answer was lost on the way: it is asked what it holds, and the account is made.
#[tokio::test]
async fn a_lost_answer_of_the_directory_costs_nothing() {
    let pds = TestPds::start().await;
    pds.plc_faults().set(PlcFault::LoseAnswers);
    let made = create_alice(&pds.anonymous()).await.good().json();
    let did = made["did"].as_str().unwrap();
    let log = plc_of(&pds).send(plc_of(&pds).request("GET", &format!("/{did}/log"))).await.good().json();
    assert_eq!(log.as_array().unwrap().len(), 1);

    let alice = User::sign_in_with(&pds.anonymous(), "alice.test", "a password").await;
    assert_eq!(alice.did, did);
    // The same for a change of a DID that exists.
    alice.post("com.atproto.identity.updateHandle", &json!({ "handle": "alicia.test" })).await.good();
    let data = plc_of(&pds).send(plc_of(&pds).request("GET", &format!("/{did}/data"))).await.good().json();
    assert_eq!(data["alsoKnownAs"], json!(["at://alicia.test"]));
}

/// The directory took the DID and was gone before anyone could ask. The client was told that there is no account; when the
/// directory is back, the DID is ended, so that nothing in the network leads to an account that is not there.
#[tokio::test]
async fn a_did_that_was_taken_in_silence_is_ended() {
    let pds = TestPds::start().await;
    pds.plc_faults().set(PlcFault::GoAway);
    assert_eq!(create_alice(&pds.anonymous()).await.summary(), "502 UpstreamFailure");
    let lost = pds.plc_faults().wait_for("plc_operation").await;

    pds.plc_faults().set(PlcFault::None);
    let made = create_alice(&pds.anonymous()).await.good().json();
    assert_ne!(made["did"], json!(lost));
    let pds = pds.restart().await;
    assert_eq!(pds.plc_faults().wait_for("plc_tombstone").await, lost);
    assert_ended(&plc_of(&pds), &lost).await;
    User::sign_in_with(&pds.anonymous(), "alice.test", "a password").await;
}

/// The client went away and the server was stopped while the directory had the change and had not answered: the server waits
/// for it, so that handle and DID agree.
#[tokio::test]
async fn a_change_that_is_under_way_is_finished_before_the_server_stops() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    pds.plc_faults().set(PlcFault::Hang);
    let so_far = pds.plc_faults().submitted().len();
    let asked = tokio::spawn({
        let alice = alice.clone();
        async move { alice.try_post("com.atproto.identity.updateHandle", &json!({ "handle": "alicia.test" })).await }
    });
    pds.plc_faults().submitted_after(so_far).await;
    asked.abort();
    let faults = pds.share_plc_faults();
    let (pds, ()) = tokio::join!(pds.restart(), async { faults.set(PlcFault::None) });
    let session = User::sign_in_with(&pds.anonymous(), &alice.did, "alice-password").await;
    assert_eq!(session.handle, "alicia.test");
}

/// The request was still on its way when the server gave up on it, and arrived when the server was being restarted.
#[tokio::test]
async fn a_did_that_arrives_late_is_ended() {
    let pds = TestPds::start().await;
    pds.plc_faults().set(PlcFault::Delay);
    assert_eq!(create_alice(&pds.anonymous()).await.summary(), "502 UpstreamFailure");
    pds.plc_faults().set(PlcFault::None);
    // Looked for at this start, and not there yet.
    let pds = pds.restart().await;
    create_alice(&pds.anonymous()).await.good();
    pds.plc_faults().deliver(&plc_of(&pds)).await;
    let pds = pds.restart().await;
    let lost = pds.plc_faults().wait_for("plc_tombstone").await;
    assert_ended(&plc_of(&pds), &lost).await;
}

/// A tombstone whose own answer is lost, too, is not handed in for ever.
#[tokio::test]
async fn a_tombstone_is_handed_in_once() {
    let pds = TestPds::start().await;
    pds.plc_faults().set(PlcFault::GoAway);
    assert_eq!(create_alice(&pds.anonymous()).await.summary(), "502 UpstreamFailure");
    pds.plc_faults().set(PlcFault::LoseAnswers);
    let pds = pds.restart().await;
    pds.plc_faults().wait_for("plc_tombstone").await;
    let pds = pds.restart().await.restart().await;
    pds.create_account("bob").await;
    let kinds: Vec<Value> = pds.plc_faults().submitted().into_iter().map(|(_, operation)| operation["type"].clone()).collect();
    assert_eq!(kinds, [json!("plc_operation"), json!("plc_tombstone"), json!("plc_operation")]);
}

/// What the directory refused is not looked for again.
#[tokio::test]
async fn a_did_that_was_refused_is_forgotten() {
    let pds = TestPds::start().await;
    pds.plc_faults().set(PlcFault::Refuse);
    assert_eq!(create_alice(&pds.anonymous()).await.summary(), "502 UpstreamFailure");
    pds.plc_faults().set(PlcFault::None);
    create_alice(&pds.anonymous()).await.good();
    let pds = pds.restart().await;
    pds.create_account("bob").await;
    assert_eq!(pds.plc_faults().submitted().len(), 2);
}

/// `kill -9` when the directory has the DID and the database has no account: the next start ends the DID, and who tries again
/// gets the handle with another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_between_directory_and_database_leaves_no_did_behind() {
    let dir = TempDir::new().unwrap();
    let faults = Arc::new(PlcFaults::default());
    let plc = start_plc_with(&dir.path().join("plc.sqlite"), &Arc::new(SystemClock::default()), &faults).await;
    let plc_url = format!("http://localhost:{}", plc.port());
    let mut server = Process::start_with_plc(dir.path(), &plc_url).await;
    let before = faults.submitted().len();
    faults.set(PlcFault::Hang);
    let client = server.anonymous();
    let body = json!({ "handle": "dora.test", "email": "dora@example.com", "password": "a password" });
    let asked = tokio::spawn({
        let (client, body) = (client.clone(), body.clone());
        async move { client.try_post("com.atproto.server.createAccount", &body).await }
    });
    let lost = faults.submitted_after(before).await;
    server.kill();
    asked.await.unwrap().unwrap_err();

    faults.set(PlcFault::None);
    let server = server.restart().await;
    assert_eq!(faults.wait_for("plc_tombstone").await, lost);
    assert_ended(&Client::new(plc_url, None), &lost).await;
    let made = server.anonymous().post("com.atproto.server.createAccount", &body).await.good().json();
    assert_ne!(made["did"], json!(lost));
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("its DID is tombstoned"), "{log}");
}
