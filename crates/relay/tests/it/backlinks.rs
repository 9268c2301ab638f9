//! A second follow, block, like or repost of the same takes the place of the first.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::{Reply, TestPds, User};

const FOLLOW: &str = "app.bsky.graph.follow";
const LIKE: &str = "app.bsky.feed.like";
const NOW: &str = "2026-01-01T00:00:00.000Z";
const CID: &str = "bafyreihffx5a2e7k5uwrmmgofbvzujc5cmw5h4espouwuxt3liqoflx3ee";

fn follow(did: &str) -> Value {
    json!({ "$type": FOLLOW, "subject": did, "createdAt": NOW })
}

fn like(uri: &str) -> Value {
    json!({ "$type": LIKE, "subject": { "uri": uri, "cid": CID }, "createdAt": NOW })
}

fn post_of(user: &User, rkey: &str) -> String {
    format!("at://{}/app.bsky.feed.post/{rkey}", user.did)
}

fn rkey(reply: &Reply) -> String {
    reply.json()["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// The keys of a collection's records, oldest first.
async fn keys(user: &User, collection: &str) -> Vec<String> {
    let params = [("repo", user.did.as_str()), ("collection", collection), ("limit", "100"), ("reverse", "true")];
    let reply = user.get("com.atproto.repo.listRecords", &params).await.good().json();
    let uris = reply["records"].as_array().unwrap().iter().map(|record| record["uri"].as_str().unwrap().to_owned());
    uris.map(|uri| uri.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_second_replaces_the_first_in_one_commit() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let mut follower = pds.follow(Some(0)).await;
    let target = post_of(&bob, &bob.create_post("like me").await);
    let subject = json!({ "uri": target, "cid": CID });
    let records = [
        (FOLLOW, follow(&bob.did)),
        ("app.bsky.graph.block", json!({ "subject": bob.did, "createdAt": NOW })),
        (LIKE, like(&target)),
        ("app.bsky.feed.repost", json!({ "subject": subject, "createdAt": NOW })),
    ];
    // All of the first before all of the second: what is alike in another collection stays.
    let mut first = Vec::new();
    for (collection, record) in &records {
        first.push(rkey(&alice.create_record(collection, record.clone()).await.good()));
    }
    for ((collection, record), first) in records.into_iter().zip(first) {
        let reply = alice.create_record(collection, record).await.good();
        let second = rkey(&reply);
        let rev = reply.json()["commit"]["rev"].as_str().unwrap().to_owned();
        let frames = follower.until(|frame| frame.kind == "#commit" && frame.text("rev") == rev).await;
        let mut ops = frames.last().unwrap().ops();
        ops.sort_unstable();
        assert_eq!(ops, [format!("create {collection}/{second}"), format!("delete {collection}/{first}")]);
        assert_eq!(keys(&alice, collection).await, [second]);
    }
}

/// An impatient thumb: likes that overtake each other leave one, also when the first ones are not durable yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_leave_one_of_each() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut follower = pds.follow(Some(0)).await;
    let likes = (0..60).map(|n| {
        let (alice, uri) = (alice.clone(), format!("at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/p{}", n % 3));
        async move { rkey(&alice.create_record(LIKE, like(&uri)).await.good()) }
    });
    let made: HashSet<String> = futures_util::future::join_all(likes).await.into_iter().collect();
    let left = keys(&alice, LIKE).await;
    assert_eq!((made.len(), left.len()), (60, 3), "{left:?}");
    assert!(left.iter().all(|rkey| made.contains(rkey)));
    // The follower inverts each commit on its way.
    let (head, _) = alice.latest_commit().await;
    let is_head = |cid: common::Cid| cid.to_string() == head;
    follower.until(|frame| frame.body.get("commit").and_then(common::Value::as_link).is_some_and(is_head)).await;
}

#[tokio::test]
async fn what_is_of_another_subject_stays() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let of_bob = rkey(&alice.create_record(FOLLOW, follow(&bob.did)).await.good());
    let of_alice = rkey(&alice.create_record(FOLLOW, follow(&alice.did)).await.good());
    rkey(&bob.create_record(FOLLOW, follow(&alice.did)).await.good());
    assert_eq!(keys(&alice, FOLLOW).await, [of_bob.clone(), of_alice.clone()], "repos are apart");

    // A record that was changed is of its new subject.
    alice.put_record(FOLLOW, &of_bob, follow("did:plc:ewvi7nxzyoun6zhxrhs64oiz")).await.good();
    let again = rkey(&alice.create_record(FOLLOW, follow(&bob.did)).await.good());
    assert_eq!(keys(&alice, FOLLOW).await, [of_bob.clone(), of_alice.clone(), again.clone()]);
    let other = rkey(&alice.create_record(FOLLOW, follow("did:plc:ewvi7nxzyoun6zhxrhs64oiz")).await.good());
    assert_eq!(keys(&alice, FOLLOW).await, [of_alice, again, other]);
}

#[tokio::test]
async fn all_older_ones_go_also_after_a_restart() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let uri = post_of(&alice, "p");
    let create = |rkey: &str| json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": LIKE, "rkey": rkey, "value": like(&uri) });
    // Batches, and those who want no validation, may have doubles.
    alice.apply_writes(json!([create("2222222222222"), create("2222222222223")])).await.good();
    let unchecked =
        json!({ "repo": alice.did, "collection": LIKE, "rkey": "2222222222224", "record": like(&uri), "validate": false });
    alice.post("com.atproto.repo.createRecord", &unchecked).await.good();
    assert_eq!(keys(&alice, LIKE).await.len(), 3);
    alice.delete_record(LIKE, "2222222222223").await.good();

    let pds = pds.restart().await;
    let taken = json!({ "repo": alice.did, "collection": LIKE, "rkey": "2222222222224", "record": like(&uri) });
    assert_eq!(alice.post("com.atproto.repo.createRecord", &taken).await.summary(), "400 InvalidRequest", "the key is taken");
    assert_eq!(keys(&alice, LIKE).await.len(), 2, "what is refused deletes nothing");
    let last = rkey(&alice.create_record(LIKE, like(&uri)).await.good());
    assert_eq!(keys(&alice, LIKE).await, std::slice::from_ref(&last));
    alice.delete_record(LIKE, &last).await.good();
    alice.create_record(LIKE, like(&uri)).await.good();
    pds.stop().await;
}
