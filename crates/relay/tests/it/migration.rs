//! Moving an account here: its repo, its blobs, its DID.

use std::collections::BTreeMap;
use std::time::Instant;

use common::{Cid, Tid, Value, cbor};
use crypto::plc::{Operation, UnsignedOperation};
use crypto::{Curve, SigningKey};
use repo_engine::{Builder, Key, UnsignedCommit, car};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Client, Reply, TestPds, User, read_export};

pub(crate) const CAR: &str = "application/vnd.ipld.car";
pub(crate) const POST: &str = "app.bsky.feed.post";

/// What is made wrong in an operation.
type Fault = Box<dyn FnOnce(&mut serde_json::Value)>;

/// A key of the tests' own.
pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(Curve::K256, &[seed; 32]).unwrap()
}

/// Creates an account whose owner has a rotation key above the server's.
pub(crate) async fn account_with_recovery(pds: &TestPds, name: &str, recovery: &SigningKey) -> User {
    let body = json!({
        "handle": format!("{name}.test"), "email": format!("{name}@example.com"), "password": format!("{name}-password"),
        "recoveryKey": recovery.verifying_key().to_did_key(),
    });
    pds.anonymous().post("com.atproto.server.createAccount", &body).await.good();
    User::sign_in(&pds.anonymous(), name).await
}

/// Changes a DID as its owner does who has the key `recovery`.
pub(crate) async fn change_did(pds: &TestPds, did: &str, recovery: &SigningKey, change: impl FnOnce(&mut serde_json::Value)) {
    let operation = did_operation(pds, did, recovery, change).await;
    let plc = Client::new(pds.plc_url(), None);
    plc.send(plc.request("POST", &format!("/{did}")).json(&operation)).await.good();
}

/// Signs an operation that changes what a DID says now.
async fn did_operation(
    pds: &TestPds,
    did: &str,
    recovery: &SigningKey,
    change: impl FnOnce(&mut serde_json::Value),
) -> Operation {
    let plc = Client::new(pds.plc_url(), None);
    let last = plc.send(plc.request("GET", &format!("/{did}/log/last"))).await.good().json();
    let last = Operation::from_json(last).unwrap();
    let mut data = serde_json::to_value(last.data(&did.parse().unwrap()).unwrap()).unwrap();
    data.as_object_mut().unwrap().remove("did");
    change(&mut data);
    data["type"] = json!("plc_operation");
    data["prev"] = json!(last.cid());
    let unsigned: UnsignedOperation = serde_json::from_value(data).unwrap();
    unsigned.sign(recovery)
}

/// Makes a DID say what the server of `user` recommends.
async fn lead_to(pds: &TestPds, user: &User, recovery: &SigningKey) {
    let wanted = user.get("com.atproto.identity.getRecommendedDidCredentials", &[]).await.good().json();
    change_did(pds, &user.did, recovery, |data| {
        for field in ["alsoKnownAs", "verificationMethods", "services"] {
            data[field] = wanted[field].clone();
        }
        data["rotationKeys"] = json!([recovery.verifying_key().to_did_key(), wanted["rotationKeys"][0]]);
    })
    .await;
}

pub(crate) async fn import(user: &User, car: &[u8]) -> Reply {
    user.post_bytes("com.atproto.repo.importRepo", CAR, car.to_vec()).await
}

async fn status(user: &User) -> serde_json::Value {
    user.get("com.atproto.server.checkAccountStatus", &[]).await.good().json()
}

pub(crate) fn record(text: &str) -> Vec<u8> {
    let record = json!({ "$type": POST, "text": text, "createdAt": "2026-01-01T00:00:00.000Z" });
    cbor::encode(&common::json::parse(record.to_string().as_bytes()).unwrap())
}

/// Makes the CAR of a repo: the commit, the tree, the records, each where the order of its kind puts it.
pub(crate) fn repo_car(did: &str, signer: &SigningKey, rev: Tid, records: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut nodes = Vec::new();
    let mut builder = Builder::new(|cid, _, block| {
        nodes.push((cid, block));
        Ok::<_, std::convert::Infallible>(())
    });
    for (path, block) in records {
        assert!(builder.push(&path.parse::<Key>().unwrap(), Cid::dag_cbor(block)).unwrap());
    }
    let data = builder.finish().unwrap();
    let commit = UnsignedCommit { did: did.parse().unwrap(), rev, data }.sign(signer);
    let mut out = car::header(&commit.cid);
    car::write_block(&mut out, &commit.cid, &commit.block);
    for block in records.values() {
        car::write_block(&mut out, &Cid::dag_cbor(block), block);
    }
    for (cid, block) in &nodes {
        car::write_block(&mut out, cid, block);
    }
    out
}

fn posts(numbers: impl Iterator<Item = u32>) -> BTreeMap<String, Vec<u8>> {
    numbers.map(|number| (format!("{POST}/3k{number:011}"), record(&format!("post {number}")))).collect()
}

fn rev() -> Tid {
    Tid::from_parts(1_700_000_000_000_000, 3)
}

/// Opens an account at a second server for one whose DID names `signer` as its signing key.
async fn arrival_with_key(from: &TestPds, to: &TestPds, name: &str, recovery: &SigningKey, signer: &SigningKey) -> User {
    let old = account_with_recovery(from, name, recovery).await;
    let arrival = User::arrive(to, &old).await;
    change_did(from, &old.did, recovery, |data| {
        data["verificationMethods"]["atproto"] = json!(signer.verifying_key().to_did_key());
    })
    .await;
    arrival
}

#[tokio::test]
async fn an_account_moves_with_its_records_its_blobs_and_its_did() {
    let from = TestPds::start().await;
    let to = from.start_beside().await;
    let recovery = key(9);
    let old = account_with_recovery(&from, "mover", &recovery).await;
    let blob = old.post_bytes("com.atproto.repo.uploadBlob", "text/plain", b"a text".to_vec()).await.good().json();
    let with_blob = json!({ "$type": "com.example.file", "blob": blob["blob"] });
    old.create_record("com.example.file", with_blob).await.good();
    for number in 0..30 {
        old.create_post(&format!("post {number}")).await;
    }
    let car = old.export().await;
    let (_, before) = read_export(&car);

    let new = User::arrive(&to, &old).await;
    let mut follower = to.follow(None).await;
    assert_eq!(new.post_nothing("com.atproto.server.activateAccount").await.summary(), "400 InvalidRequest");
    import(&new, &car).await.good();
    let missing = new.get("com.atproto.repo.listMissingBlobs", &[]).await.good().json();
    assert_eq!(missing["blobs"][0]["cid"], blob["blob"]["ref"]["$link"]);
    assert!(missing["blobs"][0]["recordUri"].as_str().unwrap().starts_with(&format!("at://{}/com.example.file/", new.did)));
    new.post_bytes("com.atproto.repo.uploadBlob", "text/plain", b"a text".to_vec()).await.good();
    let missing = new.get("com.atproto.repo.listMissingBlobs", &[]).await.good().json();
    assert_eq!(missing["blobs"], json!([]));
    let (there, here) = (status(&old).await, status(&new).await);
    for field in ["repoBlocks", "indexedRecords", "expectedBlobs", "importedBlobs"] {
        assert_eq!(here[field], there[field], "{field}");
    }
    assert_eq!((&here["activated"], &here["validDid"]), (&json!(false), &json!(false)));

    lead_to(&from, &new, &recovery).await;
    assert_eq!(status(&new).await["validDid"], true);
    new.post_nothing("com.atproto.server.activateAccount").await.good();
    old.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    let events = follower.until(|frame| frame.kind == "#sync").await;
    let kinds: Vec<&str> = events.iter().map(|frame| &*frame.kind).collect();
    assert_eq!(kinds, ["#account", "#identity", "#sync"], "and nothing of the import before");
    let (commit, after) = read_export(&new.export().await);
    assert_eq!(after, before);
    let document = to.anonymous().get("com.atproto.identity.resolveDid", &[("did", &new.did)]).await.good().json();
    let multikey = document["didDoc"]["verificationMethod"][0]["publicKeyMultibase"].as_str().unwrap();
    commit.verify(&crypto::VerifyingKey::from_multikey(multikey).unwrap()).unwrap();
    new.create_post("from the new place").await;
    // The tree of the import is a good one to go on with, after a restart too.
    drop(follower);
    let to = to.restart().await;
    let new = to.anonymous().with_token(&new.access);
    let export = new.get("com.atproto.sync.getRepo", &[("did", &old.did)]).await.good().bytes;
    assert_eq!(read_export(&export).1.len(), before.len() + 1);
}

/// The official PDS took another account's CAR with a 200, and served its commit, with its signature, as the account's own.
#[tokio::test]
async fn the_repo_of_another_account_is_refused() {
    let (from, recovery) = (TestPds::start().await, key(9));
    let to = from.start_beside().await;
    let holder = from.create_account("holder").await;
    holder.create_post("mine").await;
    let thief = account_with_recovery(&from, "thief", &recovery).await;
    let arrival = User::arrive(&to, &thief).await;
    let before = arrival.get("com.atproto.sync.getLatestCommit", &[("did", &arrival.did)]).await.good().json();
    let reply = import(&arrival, &holder.export().await).await;
    assert_eq!(reply.summary(), "400 InvalidRequest");
    assert!(reply.text().contains(&holder.did), "{}", reply.text());
    // The same records under the thief's DID, but not signed by its key.
    let forged = repo_car(&thief.did, &key(3), rev(), &posts(0..3));
    let reply = import(&arrival, &forged).await;
    assert_eq!(reply.summary(), "400 InvalidRequest");
    assert!(reply.text().contains("not signed"), "{}", reply.text());
    let after = arrival.get("com.atproto.sync.getLatestCommit", &[("did", &arrival.did)]).await.good().json();
    assert_eq!(after, before);
    assert_eq!(to.anonymous().post_bytes("com.atproto.repo.importRepo", CAR, forged).await.summary(), "401 AuthMissing");
}

#[tokio::test]
async fn a_car_that_is_damaged_or_not_whole_is_refused() {
    let from = TestPds::start().await;
    let to = from.start_beside().await;
    let (recovery, signer) = (key(9), key(5));
    let user = arrival_with_key(&from, &to, "alice", &recovery, &signer).await;
    let records = posts(0..50);
    let good = repo_car(&user.did, &signer, rev(), &records);
    let refused = async |what: &str, car: &[u8]| {
        let reply = import(&user, car).await;
        assert_eq!(reply.summary(), "400 InvalidRequest", "{what}: {}", reply.text());
        assert_eq!(status(&user).await["indexedRecords"], 0, "{what}");
    };
    for end in [0, 10, good.len() / 2, good.len() - 1] {
        refused("cut off", &good[..end]).await;
    }
    refused("zeros", &[0; 100]).await;
    for at in [70, good.len() / 3, good.len() - 20] {
        let mut tampered = good.clone();
        tampered[at] ^= 1;
        refused("tampered", &tampered).await;
    }
    // Whole sections that are not there: the last node, which is the root, and a record.
    let (roots, blocks) = car::read_all(&good).unwrap();
    for leave_out in [0, 1, blocks.len() - 1] {
        let mut out = car::header(&roots[0]);
        for (index, block) in blocks.iter().enumerate().filter(|(index, _)| *index != leave_out) {
            assert_ne!(index, leave_out);
            car::write_block(&mut out, &block.cid, &block.bytes);
        }
        refused("a block is missing", &out).await;
    }
    let mut two_roots = car::header_of(&[roots[0], roots[0]]);
    two_roots.extend_from_slice(&good[car::header(&roots[0]).len()..]);
    refused("two roots", &two_roots).await;
    let no_map = BTreeMap::from([("com.example.any/a".to_owned(), cbor::encode(&Value::from("text")))]);
    refused("a record is text", &repo_car(&user.did, &signer, rev(), &no_map)).await;
    let wrong_type = user.post_bytes("com.atproto.repo.importRepo", "application/json", good.clone()).await;
    assert_eq!(wrong_type.summary(), "400 InvalidRequest");
    import(&user, &good).await.good();
    assert_eq!(status(&user).await["indexedRecords"], 50);
}

#[tokio::test]
async fn an_import_replaces_what_differs_and_sending_it_again_changes_nothing() {
    let from = TestPds::start().await;
    let to = from.start_beside().await;
    let (recovery, signer) = (key(9), key(5));
    let user = arrival_with_key(&from, &to, "alice", &recovery, &signer).await;
    let first = repo_car(&user.did, &signer, rev(), &posts(0..40));
    import(&user, &first).await.good();
    let head = user.latest_commit().await;
    import(&user, &first).await.good();
    assert_eq!(user.latest_commit().await, head);

    let mut records = posts(20..60);
    let changed = format!("{POST}/3k{:011}", 30);
    records.insert(changed.clone(), record("changed"));
    // A rev that is far ahead: the next one is still greater.
    let ahead = Tid::from_parts(2_000_000_000_000_000, 1);
    import(&user, &repo_car(&user.did, &signer, ahead, &records)).await.good();
    let (commit, stored) = read_export(&user.export().await);
    let expected: BTreeMap<_, _> = records.iter().map(|(path, block)| (path.clone(), Cid::dag_cbor(block))).collect();
    assert_eq!(stored, expected);
    assert!(commit.rev > ahead);
    assert!(commit.rev.to_string() > head.1);
    // An older CAR is as good as any: its owner may go back.
    import(&user, &first).await.good();
    assert_eq!(read_export(&user.export().await).1.len(), 40);
}

/// Blobs of 2022 are named without `$type`; a migration that does not list them as missing loses old pictures.
#[tokio::test]
async fn blobs_in_the_old_form_are_listed_as_missing() {
    let from = TestPds::start().await;
    let to = from.start_beside().await;
    let (recovery, signer) = (key(9), key(5));
    let user = arrival_with_key(&from, &to, "alice", &recovery, &signer).await;
    let (old, new) = (Cid::raw(b"old"), Cid::raw(b"new"));
    let json = json!({
        "$type": "com.example.any", "old": { "cid": old, "mimeType": "image/png" },
        "new": [{ "$type": "blob", "ref": { "$link": new }, "mimeType": "text/plain", "size": 3 }],
    });
    let block = cbor::encode(&common::json::parse(json.to_string().as_bytes()).unwrap());
    let records = BTreeMap::from([("com.example.any/a".to_owned(), block.clone()), ("com.example.any/b".to_owned(), block)]);
    import(&user, &repo_car(&user.did, &signer, rev(), &records)).await.good();
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let mut params = vec![("limit", "1")];
        params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = user.get("com.atproto.repo.listMissingBlobs", &params).await.good().json();
        let Some(next) = page["cursor"].as_str() else { break };
        listed.push(page["blobs"][0]["cid"].as_str().unwrap().to_owned());
        cursor = Some(next.to_owned());
    }
    let mut expected = [old.to_string(), new.to_string()];
    expected.sort_by_key(|cid| *cid.parse::<Cid>().unwrap().digest());
    assert_eq!(listed, expected);
    user.post_bytes("com.atproto.repo.uploadBlob", "image/png", b"old".to_vec()).await.good();
    let missing = user.get("com.atproto.repo.listMissingBlobs", &[]).await.good().json();
    assert_eq!(missing["blobs"].as_array().unwrap().len(), 1);
    // Uploaded, it is permanent: records refer to it.
    let blob = user.get("com.atproto.sync.getBlob", &[("did", &user.did), ("cid", &old.to_string())]).await.good();
    assert_eq!(blob.bytes, b"old");
}

/// Tools that change the DID first leave the old host's signature without a key in the document.
#[tokio::test]
async fn a_repo_may_follow_its_did() {
    let (from, recovery) = (TestPds::start().await, key(9));
    let to = from.start_beside().await;
    let old = account_with_recovery(&from, "alice", &recovery).await;
    old.create_post("before").await;
    let car = old.export().await;
    let new = User::arrive(&to, &old).await;
    lead_to(&from, &new, &recovery).await;
    import(&new, &car).await.good();
    assert_eq!(status(&new).await["indexedRecords"], 1);
    let never = repo_car(&new.did, &key(3), rev(), &posts(0..1));
    assert_eq!(import(&new, &never).await.summary(), "400 InvalidRequest");
    // What this server exported comes back.
    import(&new, &new.export().await).await.good();
}

#[tokio::test]
async fn an_active_account_may_import_and_the_network_is_told() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.create_post("one").await;
    let car = alice.export().await;
    let rkey = alice.create_post("two").await;
    let mut follower = pds.follow(None).await;
    import(&alice, &car).await.good();
    let events = follower.until(|_| true).await;
    assert_eq!((&*events[0].kind, events[0].text("rev")), ("#sync", &*alice.latest_commit().await.1));
    assert_eq!(alice.get_record(POST, &rkey).await.summary(), "400 RecordNotFound");
    alice.create_post("three").await;
}

#[tokio::test]
async fn an_import_that_is_cut_off_leaves_the_repo_as_it_was() {
    let from = TestPds::start().await;
    let to = from.start_beside().await;
    let (recovery, signer) = (key(9), key(5));
    let user = arrival_with_key(&from, &to, "alice", &recovery, &signer).await;
    let car = repo_car(&user.did, &signer, rev(), &posts(0..2000));
    let head = user.latest_commit().await;
    for share in [1, 2, 3] {
        let mut socket = tokio::net::TcpStream::connect(to.address()).await.unwrap();
        let head = format!(
            "POST /xrpc/com.atproto.repo.importRepo HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             content-type: {CAR}\r\ncontent-length: {}\r\n\r\n",
            user.access,
            car.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&car[..car.len() * share / 4]).await.unwrap();
        drop(socket);
    }
    assert_eq!(user.latest_commit().await, head);
    let to = to.restart().await;
    assert_eq!(status_at(&to, &user).await["repoCommit"], head.0);
    let again = to.anonymous().with_token(&user.access);
    again.post_bytes("com.atproto.repo.importRepo", CAR, car).await.good();
    assert_eq!(status_at(&to, &user).await["indexedRecords"], 2000);
}

async fn status_at(pds: &TestPds, user: &User) -> serde_json::Value {
    pds.anonymous().with_token(&user.access).get("com.atproto.server.checkAccountStatus", &[]).await.good().json()
}

#[tokio::test]
async fn fifty_thousand_records_are_imported_at_once() {
    let from = TestPds::start().await;
    let to = from.start_beside().await;
    let (recovery, signer) = (key(9), key(5));
    let user = arrival_with_key(&from, &to, "alice", &recovery, &signer).await;
    let car = repo_car(&user.did, &signer, rev(), &posts(0..50_000));
    let (bytes, begun) = (car.len(), Instant::now());
    import(&user, &car).await.good();
    let seconds = begun.elapsed().as_secs_f64();
    println!("50,000 records in a CAR of {bytes} bytes: {seconds:.2} s, {:.0} records/s", 50_000.0 / seconds);
    assert_eq!(status(&user).await["indexedRecords"], 50_000);
    let again = Instant::now();
    import(&user, &car).await.good();
    println!("and again: {:.2} s", again.elapsed().as_secs_f64());
}

#[tokio::test]
async fn a_handle_changes_in_the_directory_here_and_in_the_network() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let mut follower = pds.follow(None).await;
    let change =
        async |user: &User, handle: &str| user.post("com.atproto.identity.updateHandle", &json!({ "handle": handle })).await;
    change(&alice, "Anna.test").await.good();
    let event = follower.until(|frame| frame.kind == "#identity").await.pop().unwrap();
    assert_eq!((event.did(), event.text("handle")), (&*alice.did, "anna.test"));
    let plc = Client::new(pds.plc_url(), None);
    let data = async || plc.send(plc.request("GET", &format!("/{}/log", alice.did))).await.good().json();
    let log = data().await;
    assert_eq!(log.as_array().unwrap().len(), 2);
    assert_eq!(log[1]["alsoKnownAs"], json!(["at://anna.test"]));
    // The same again says so again, and leaves the directory alone.
    change(&alice, "anna.test").await.good();
    follower.until(|frame| frame.kind == "#identity").await;
    assert_eq!(data().await.as_array().unwrap().len(), 2);
    for (handle, refusal) in [
        ("anna.test", "400 HandleNotAvailable"),
        ("admin.test", "400 HandleNotAvailable"),
        ("an.test", "400 InvalidHandle"),
        ("a.b.test", "400 InvalidHandle"),
        ("not a handle", "400 InvalidHandle"),
        ("bob.local", "400 InvalidHandle"),
    ] {
        assert_eq!(change(&bob, handle).await.summary(), refusal, "{handle}");
    }
    let external = change(&bob, "bob.ezpds-nowhere.test.localdomain").await;
    assert_eq!(external.summary(), "400 InvalidRequest");
    assert!(external.text().contains("DNS: ") && external.text().contains("HTTPS: "), "{}", external.text());
    // The old handle is free.
    change(&bob, "alice.test").await.good();
}

#[tokio::test]
async fn an_operation_that_would_break_the_account_is_not_submitted() {
    let (pds, recovery) = (TestPds::start().await, key(9));
    let alice = account_with_recovery(&pds, "alice", &recovery).await;
    let did = alice.did.clone();
    let submit = async |operation: &Operation| {
        alice.post("com.atproto.identity.submitPlcOperation", &json!({ "operation": operation })).await
    };
    let own_key = recovery.verifying_key().to_did_key();
    let faults: [(&str, Fault); 5] = [
        ("rotation key", Box::new(move |data| data["rotationKeys"] = json!([own_key]))),
        ("type", Box::new(|data| data["services"]["atproto_pds"]["type"] = json!("Other"))),
        ("endpoint", Box::new(|data| data["services"]["atproto_pds"]["endpoint"] = json!("https://elsewhere.example.com"))),
        ("signing key", Box::new(|data| data["verificationMethods"]["atproto"] = json!(key(4).verifying_key().to_did_key()))),
        ("handle", Box::new(|data| data["alsoKnownAs"] = json!(["at://other.test"]))),
    ];
    for (what, fault) in faults {
        let operation = did_operation(&pds, &did, &recovery, fault).await;
        let reply = submit(&operation).await;
        assert_eq!(reply.summary(), "400 InvalidRequest");
        assert!(reply.text().contains(what), "{what}: {}", reply.text());
    }
    let nonsense =
        alice.post("com.atproto.identity.submitPlcOperation", &json!({ "operation": { "type": "plc_operation" } })).await;
    assert_eq!(nonsense.summary(), "400 InvalidRequest");
    let mut forged =
        did_operation(&pds, &did, &key(3), |data| data["alsoKnownAs"] = json!(["at://alice.test", "https://a.test"])).await;
    assert_eq!(submit(&forged).await.summary(), "400 InvalidRequest", "the directory refuses it");
    forged =
        did_operation(&pds, &did, &recovery, |data| data["alsoKnownAs"] = json!(["at://alice.test", "https://a.test"])).await;
    let mut follower = pds.follow(None).await;
    submit(&forged).await.good();
    let event = follower.until(|frame| frame.kind == "#identity").await.pop().unwrap();
    assert_eq!(event.did(), did);
    assert!(event.body.get("handle").is_none());
}

#[tokio::test]
async fn an_operation_is_signed_for_who_has_the_mailed_code() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let sign = async |body: serde_json::Value| alice.post("com.atproto.identity.signPlcOperation", &body).await;
    assert_eq!(sign(json!({})).await.summary(), "400 InvalidRequest");
    assert_eq!(sign(json!({ "token": "ABCDE-FGHIJ" })).await.summary(), "400 InvalidToken");
    alice.post_nothing("com.atproto.identity.requestPlcOperationSignature").await.good();
    let anyone = pds.anonymous();
    let mails = anyone.send(anyone.request("GET", "/_dev/mail?format=json&to=alice@example.com")).await.good().json();
    let code = &mails["mails"][0]["code"];
    // What cannot be signed does not use the code up.
    assert_eq!(sign(json!({ "token": code, "rotationKeys": [] })).await.summary(), "400 InvalidRequest");
    let aliases = json!(["at://alice.test", "https://alice.example.com"]);
    let signed = sign(json!({ "token": code, "alsoKnownAs": aliases })).await.good().json();
    assert_eq!(signed["operation"]["alsoKnownAs"], aliases);
    assert_eq!(sign(json!({ "token": code })).await.summary(), "400 InvalidToken", "a code is good once");
    alice.post("com.atproto.identity.submitPlcOperation", &signed).await.good();
    let plc = Client::new(pds.plc_url(), None);
    let data = plc.send(plc.request("GET", &format!("/{}/data", alice.did))).await.good().json();
    assert_eq!(data["alsoKnownAs"], aliases);
}
