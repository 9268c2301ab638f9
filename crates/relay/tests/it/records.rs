//! Records: one at a time and in batches, written and read.

use std::collections::BTreeSet;

use common::{Cid, Tid, cbor};
use insta::assert_snapshot;
use repo_engine::car;
use serde_json::{Value, json};

use crate::support::{Follower, Reply, TestPds, User};

const POST: &str = "app.bsky.feed.post";
const CREATE: &str = "com.atproto.repo.createRecord";
const PUT: &str = "com.atproto.repo.putRecord";
const DELETE: &str = "com.atproto.repo.deleteRecord";
const APPLY: &str = "com.atproto.repo.applyWrites";
/// A CID of nothing here.
const OTHER_CID: &str = "bafyreihffx5a2e7k5uwrmmgofbvzujc5cmw5h4espouwuxt3liqoflx3ee";

fn post(text: &str) -> Value {
    json!({ "$type": POST, "text": text, "createdAt": "2026-01-01T00:00:00.000Z" })
}

fn create(collection: &str, rkey: &str, value: impl Into<Value>) -> Value {
    json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": collection, "rkey": rkey, "value": value.into() })
}

fn update(collection: &str, rkey: &str, value: impl Into<Value>) -> Value {
    json!({ "$type": "com.atproto.repo.applyWrites#update", "collection": collection, "rkey": rkey, "value": value.into() })
}

fn delete(collection: &str, rkey: &str) -> Value {
    json!({ "$type": "com.atproto.repo.applyWrites#delete", "collection": collection, "rkey": rkey })
}

fn message(reply: &Reply) -> String {
    format!("{}: {}", reply.summary(), reply.json()["message"].as_str().unwrap())
}

/// Returns an answer with CIDs, TIDs, DIDs and times replaced, for they differ from run to run.
fn redacted(user: &User, reply: &Reply) -> String {
    let json = reply.json();
    let mut text = json.to_string().replace(&user.did, "<did>");
    let mut volatile = Vec::new();
    collect_volatile(&json, &mut volatile);
    for (found, name) in volatile {
        text = text.replace(&found, name);
    }
    text
}

fn collect_volatile(value: &Value, out: &mut Vec<(String, &'static str)>) {
    match value {
        Value::String(text) if text.parse::<Cid>().is_ok() => out.push((text.clone(), "<cid>")),
        Value::String(text) => {
            let last = text.rsplit('/').next().unwrap();
            if last.parse::<Tid>().is_ok() {
                out.push((last.to_owned(), "<tid>"));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_volatile(value, out)),
        Value::Object(map) => map.values().for_each(|value| collect_volatile(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl User {
    async fn head(&self) -> String {
        self.latest_commit().await.0
    }

    async fn rkeys(&self, collection: &str) -> Vec<String> {
        let params = [("repo", self.did.as_str()), ("collection", collection), ("limit", "100")];
        let reply = self.get("com.atproto.repo.listRecords", &params).await.good().json();
        let uris = reply["records"].as_array().unwrap().iter().map(|record| record["uri"].as_str().unwrap());
        uris.map(|uri| uri.rsplit('/').next().unwrap().to_owned()).collect()
    }
}

/// Waits for the commit after which nothing else has happened, and returns its operations.
async fn ops_until(follower: &mut Follower, rev: &str) -> Vec<Vec<String>> {
    let frames = follower.until(|frame| frame.kind == "#commit" && frame.text("rev") == rev).await;
    frames.iter().filter(|frame| frame.kind == "#commit").map(super::support::Frame::ops).collect()
}

#[tokio::test]
async fn the_answers_have_the_shapes_of_the_lexicons() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let created = alice.create_record(POST, post("one")).await.good();
    assert_snapshot!(
        redacted(&alice, &created),
        @r#"{"cid":"<cid>","commit":{"cid":"<cid>","rev":"<tid>"},"uri":"at://<did>/app.bsky.feed.post/<tid>","validationStatus":"valid"}"#
    );
    let put = alice.put_record("app.bsky.actor.profile", "self", json!({ "displayName": "Alice" })).await.good();
    assert_snapshot!(
        redacted(&alice, &put),
        @r#"{"cid":"<cid>","commit":{"cid":"<cid>","rev":"<tid>"},"uri":"at://<did>/app.bsky.actor.profile/self","validationStatus":"valid"}"#
    );
    let got = alice.get_record("app.bsky.actor.profile", "self").await.good();
    assert_snapshot!(
        redacted(&alice, &got),
        @r#"{"cid":"<cid>","uri":"at://<did>/app.bsky.actor.profile/self","value":{"$type":"app.bsky.actor.profile","displayName":"Alice"}}"#
    );
    let batch = json!([
        create("a.b.c", "key", json!({ "n": 1 })),
        update("a.b.c", "key", json!({ "n": 2 })),
        delete("app.bsky.actor.profile", "self"),
        { "$type": "com.atproto.repo.applyWrites#create", "collection": POST, "value": post("two") },
    ]);
    let applied = alice.apply_writes(batch).await.good();
    assert_snapshot!(
        redacted(&alice, &applied),
        @r#"{"commit":{"cid":"<cid>","rev":"<tid>"},"results":[{"$type":"com.atproto.repo.applyWrites#createResult","cid":"<cid>","uri":"at://<did>/a.b.c/key","validationStatus":"unknown"},{"$type":"com.atproto.repo.applyWrites#updateResult","cid":"<cid>","uri":"at://<did>/a.b.c/key","validationStatus":"unknown"},{"$type":"com.atproto.repo.applyWrites#deleteResult"},{"$type":"com.atproto.repo.applyWrites#createResult","cid":"<cid>","uri":"at://<did>/app.bsky.feed.post/<tid>","validationStatus":"valid"}]}"#
    );
    let listed = alice.get("com.atproto.repo.listRecords", &[("repo", "alice.test"), ("collection", "a.b.c")]).await.good();
    assert_snapshot!(
        redacted(&alice, &listed),
        @r#"{"cursor":"key","records":[{"cid":"<cid>","uri":"at://<did>/a.b.c/key","value":{"$type":"a.b.c","n":2}}]}"#
    );
    let deleted = alice.delete_record("a.b.c", "key").await.good();
    assert_snapshot!(
        redacted(&alice, &deleted),
        @r#"{"commit":{"cid":"<cid>","rev":"<tid>"}}"#
    );
}

#[tokio::test]
async fn what_is_stored_is_what_its_cid_says() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let record = json!({
        "b": 1, "aa": [null, true, false, "text", -1, 9_007_199_254_740_991_i64, -9_007_199_254_740_991_i64],
        "link": { "$link": OTHER_CID }, "bytes": { "$bytes": "AAEC/w" }, "empty": {}, "": [[]],
        "$type": "a.b.c", "é": "é", "e\u{301}": "e\u{301}", "emoji": "👩‍👩‍👧‍👦🏳️‍🌈", "nul": "a\u{0}b", "astral": "\u{10ffff}",
    });
    let created = alice.create_record("a.b.c", record.clone()).await.good().json();
    let (uri, cid) = (created["uri"].as_str().unwrap(), created["cid"].as_str().unwrap());
    let got = alice.get_record("a.b.c", uri.rsplit('/').next().unwrap()).await.good().json();
    assert_eq!((&got["value"], &got["uri"], &got["cid"]), (&record, &created["uri"], &created["cid"]));

    let blocks = alice.get("com.atproto.sync.getBlocks", &[("did", &alice.did), ("cids", cid)]).await.good().bytes;
    let (_, blocks) = car::read_all(&blocks).unwrap();
    assert_eq!(Cid::dag_cbor(&blocks[0].bytes).to_string(), cid);
    let value = cbor::decode(&blocks[0].bytes).unwrap();
    assert_eq!(cbor::encode(&value), blocks[0].bytes, "the block is canonical");
    assert_eq!(value.get("link").unwrap().as_link().unwrap().to_string(), OTHER_CID, "links are links, not maps");
    assert!(matches!(value.get("bytes"), Some(common::Value::Bytes(bytes)) if bytes[..] == [0, 1, 2, 255]));
}

#[tokio::test]
async fn new_keys_are_tids_that_grow() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut last = String::new();
    for n in 0..20 {
        // A clock that steps back must not make keys that are older, or the same.
        pds.clock().shift_micros(if n % 3 == 0 { -10_000_000 } else { 0 });
        let rkey = alice.create_post("text").await;
        rkey.parse::<Tid>().unwrap();
        assert!(rkey > last, "{rkey} after {last}");
        last = rkey;
    }
}

#[tokio::test]
async fn only_the_owner_of_a_repo_writes_to_it() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let write = async |user: &crate::support::Client, repo: &str| {
        let one = json!({ "repo": repo, "collection": "a.b.c", "rkey": "key", "record": {} });
        let batch = json!({ "repo": repo, "writes": [create("a.b.c", "other", json!({}))] });
        let mut told = BTreeSet::new();
        for (nsid, body) in [(CREATE, &one), (PUT, &one), (DELETE, &one), (APPLY, &batch)] {
            told.insert(user.post(nsid, body).await.summary());
        }
        told.into_iter().collect::<Vec<_>>().join(", ")
    };
    assert_eq!(write(&pds.anonymous(), &alice.did).await, "401 AuthMissing");
    assert_eq!(write(&bob, &alice.did).await, "401 AuthenticationRequired");
    assert_eq!(write(&bob, &alice.handle).await, "401 AuthenticationRequired");
    assert_eq!(write(&bob, "did:plc:ewvi7nxzyoun6zhxrhs64oiz").await, "403 AccountNotFound");
    assert_eq!(write(&bob, "nobody.test").await, "403 AccountNotFound");
    assert_eq!(write(&bob, "not a repo").await, "400 InvalidRequest");
    assert_eq!(write(&bob.with_token(&bob.refresh), &bob.did).await, "400 InvalidToken");
    assert_eq!(write(&bob, "BOB.test").await, "200 -", "a handle will do, and its case does not matter");

    bob.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    assert_eq!(write(&bob, &bob.did).await, "401 AccountDeactivated");
    assert!(alice.rkeys("a.b.c").await.is_empty());
}

#[tokio::test]
async fn a_record_is_created_once() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let body = json!({ "repo": alice.did, "collection": "a.b.c", "rkey": "key", "record": { "n": 1 } });
    alice.post(CREATE, &body).await.good();
    let head = alice.head().await;
    assert_eq!(alice.post(CREATE, &body).await.summary(), "400 InvalidRequest");
    assert_eq!(alice.apply_writes(json!([create("a.b.c", "key", json!({}))])).await.summary(), "400 InvalidRequest");
    assert_eq!(alice.head().await, head);
}

#[tokio::test]
async fn deleting_a_record_twice_makes_one_commit() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let rkey = alice.create_post("hello").await;
    assert!(alice.delete_record(POST, &rkey).await.good().json()["commit"]["rev"].is_string());
    let head = alice.head().await;
    assert_eq!(alice.delete_record(POST, &rkey).await.good().json(), json!({}));
    assert_eq!(alice.head().await, head);

    let pds = pds.restart().await;
    assert_eq!(alice.head().await, head);
    let params = [("repo", alice.did.as_str()), ("collection", POST), ("rkey", rkey.as_str())];
    assert_eq!(pds.anonymous().get("com.atproto.repo.getRecord", &params).await.summary(), "400 RecordNotFound");
}

#[tokio::test]
async fn putting_what_is_there_makes_no_commit_and_no_event() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut follower = pds.follow(None).await;
    let first = alice.put_record("a.b.c", "key", json!({ "n": 1 })).await.good().json();
    let again = alice.put_record("a.b.c", "key", json!({ "n": 1 })).await.good().json();
    assert!(again.get("commit").is_none());
    assert_eq!((&again["uri"], &again["cid"]), (&first["uri"], &first["cid"]));
    // Swaps are not checked when nothing is swapped.
    let body =
        json!({ "repo": alice.did, "collection": "a.b.c", "rkey": "key", "record": { "n": 1 }, "swapRecord": OTHER_CID });
    assert!(alice.post(PUT, &body).await.good().json().get("commit").is_none());
    let changed = alice.put_record("a.b.c", "key", json!({ "n": 2 })).await.good().json();
    let rev = changed["commit"]["rev"].as_str().unwrap();
    assert_eq!(ops_until(&mut follower, rev).await, [["create a.b.c/key"], ["update a.b.c/key"]]);
}

#[tokio::test]
async fn swaps_hold_or_nothing_is_written() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let first = alice.put_record("a.b.c", "key", json!({ "n": 1 })).await.good().json();
    let (cid, commit) = (first["cid"].as_str().unwrap(), first["commit"]["cid"].as_str().unwrap());
    let call = async |nsid: &str, rkey: &str, extra: Value| {
        let mut body = json!({ "repo": alice.did, "collection": "a.b.c", "rkey": rkey });
        if nsid != DELETE {
            body["record"] = json!({ "extra": extra.to_string() });
        }
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        message(&alice.post(nsid, &body).await).replace(commit, "<commit>").replace(cid, "<record>")
    };
    for (nsid, rkey) in [(CREATE, "new"), (PUT, "new"), (PUT, "key"), (DELETE, "key")] {
        let told = call(nsid, rkey, json!({ "swapCommit": OTHER_CID })).await;
        assert_eq!(told, "400 InvalidSwap: Commit was at <commit>", "{nsid}");
    }
    assert_eq!(call(PUT, "key", json!({ "swapRecord": OTHER_CID })).await, "400 InvalidSwap: Record was at <record>");
    assert_eq!(call(PUT, "key", json!({ "swapRecord": null })).await, "400 InvalidSwap: Record was at <record>");
    assert_eq!(call(PUT, "new", json!({ "swapRecord": OTHER_CID })).await, "400 InvalidSwap: Record was at null");
    assert_eq!(call(DELETE, "key", json!({ "swapRecord": OTHER_CID })).await, "400 InvalidSwap: Record was at <record>");
    for (nsid, field) in [(CREATE, "swapCommit"), (PUT, "swapRecord"), (PUT, "swapCommit"), (DELETE, "swapRecord")] {
        let told = call(nsid, "new", json!({ field: "nonsense" })).await;
        assert!(told.starts_with("400 InvalidRequest: "), "{nsid} {field}: {told}");
    }
    let batch = json!({ "repo": alice.did, "writes": [delete("a.b.c", "key")], "swapCommit": OTHER_CID });
    assert_eq!(alice.post(APPLY, &batch).await.summary(), "400 InvalidSwap");
    assert_eq!(alice.head().await, commit, "none of these wrote");

    let body = json!({ "repo": alice.did, "collection": "a.b.c", "rkey": "key", "record": {}, "swapRecord": cid, "swapCommit": commit });
    let put = alice.post(PUT, &body).await.good().json();
    let body = json!({ "repo": alice.did, "collection": "a.b.c", "rkey": "new", "record": {}, "swapRecord": null });
    alice.post(PUT, &body).await.good();
    let body = json!({ "repo": alice.did, "collection": "a.b.c", "rkey": "key", "swapRecord": put["cid"] });
    alice.post(DELETE, &body).await.good();
    assert_eq!(alice.rkeys("a.b.c").await, ["new"]);
}

#[tokio::test]
async fn of_two_writers_with_one_swap_one_wins() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let head = alice.head().await;
    let write = |n: usize| {
        let body = json!({ "repo": alice.did, "collection": "a.b.c", "record": { "n": n }, "swapCommit": head });
        let alice = alice.clone();
        async move { alice.post(CREATE, &body).await.summary() }
    };
    let mut told = futures_util::future::join_all((0..8).map(write)).await;
    told.sort();
    assert_eq!((told[0].as_str(), &told[1..]), ("200 -", &vec!["400 InvalidSwap".to_owned(); 7][..]));
    assert_eq!(alice.rkeys("a.b.c").await.len(), 1);
}

#[tokio::test]
async fn a_batch_is_one_commit_with_results_in_its_order() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.put_record("a.b.c", "old", json!({ "n": 0 })).await.good();
    let mut follower = pds.follow(None).await;
    let batch = json!([create("a.b.c", "z", json!({})), update("a.b.c", "old", json!({})), create("a.b.c", "a", json!({}))]);
    let reply = alice.apply_writes(batch).await.good().json();
    let kinds: Vec<_> = reply["results"].as_array().unwrap().iter().map(|result| (&result["$type"], &result["uri"])).collect();
    let uri = |rkey: &str| json!(format!("at://{}/a.b.c/{rkey}", alice.did));
    let kind = |name: &str| json!(format!("com.atproto.repo.applyWrites#{name}Result"));
    assert_eq!(kinds, [(&kind("create"), &uri("z")), (&kind("update"), &uri("old")), (&kind("create"), &uri("a"))]);
    let mut ops = ops_until(&mut follower, reply["commit"]["rev"].as_str().unwrap()).await;
    ops[0].sort();
    assert_eq!(ops, [["create a.b.c/a", "create a.b.c/z", "update a.b.c/old"]]);
}

/// Incident 11. An event may name a key once only, and its operations must invert: the follower checks that.
#[tokio::test]
async fn a_batch_may_name_a_key_more_than_once() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.put_record("a.b.c", "old", json!({ "n": 0 })).await.good();
    let mut follower = pds.follow(None).await;
    let batch = json!([
        create("a.b.c", "brief", json!({})),
        delete("a.b.c", "brief"),
        delete("a.b.c", "old"),
        create("a.b.c", "old", json!({ "n": 1 })),
        create("a.b.c", "new", json!({ "n": 1 })),
        update("a.b.c", "new", json!({ "n": 2 })),
    ]);
    let reply = alice.apply_writes(batch).await.good().json();
    assert_eq!(reply["results"].as_array().unwrap().len(), 6);
    assert_eq!(alice.rkeys("a.b.c").await, ["old", "new"]);
    assert_eq!(alice.get_record("a.b.c", "new").await.good().json()["value"]["n"], 2);
    let mut ops = ops_until(&mut follower, reply["commit"]["rev"].as_str().unwrap()).await;
    ops[0].sort();
    assert_eq!(ops, [["create a.b.c/new", "update a.b.c/old"]]);

    alice.apply_writes(json!([create("a.b.c", "brief", json!({})), delete("a.b.c", "brief")])).await.good();
    for twice in [
        json!([create("a.b.c", "twice", json!({})), create("a.b.c", "twice", json!({}))]),
        json!([delete("a.b.c", "old"), delete("a.b.c", "old")]),
        json!([delete("a.b.c", "old"), update("a.b.c", "old", json!({}))]),
    ] {
        assert_eq!(alice.apply_writes(twice).await.summary(), "400 InvalidRequest");
    }
    assert_eq!(alice.rkeys("a.b.c").await, ["old", "new"]);
}

#[tokio::test]
async fn a_batch_happens_whole_or_not_at_all() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let head = alice.head().await;
    let good = || create("a.b.c", "good", json!({}));
    for bad in [
        update("a.b.c", "missing", json!({})),
        delete("a.b.c", "missing"),
        create("a.b.c", "bad key", json!({})),
        create("not-an-nsid", "key", json!({})),
        create("a.b.c", "key", json!({ "$type": "x.y.z" })),
        create("a.b.c", "key", json!({ "n": 0.5 })),
        create("a.b.c", "key", json!([])),
        create(POST, "key", post("a key that is no TID")),
        json!({ "$type": "com.atproto.repo.applyWrites#unknown", "collection": "a.b.c", "rkey": "key" }),
        json!({ "collection": "a.b.c", "rkey": "key", "value": {} }),
        json!({ "$type": "com.atproto.repo.applyWrites#delete", "collection": "a.b.c" }),
        json!(null),
    ] {
        let reply = alice.apply_writes(json!([good(), bad])).await;
        assert_eq!(reply.summary(), "400 InvalidRequest", "{bad}");
    }
    assert_eq!(alice.head().await, head);
    assert!(alice.rkeys("a.b.c").await.is_empty());
}

#[tokio::test]
async fn a_batch_has_at_most_200_writes() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let writes = |range: std::ops::Range<usize>| range.map(|n| create("a.b.c", &format!("{n:04}"), json!({}))).collect();
    let head = alice.head().await;
    assert_eq!(alice.apply_writes(writes(0..201)).await.summary(), "400 InvalidRequest");
    assert_eq!(alice.head().await, head);
    alice.apply_writes(writes(0..200)).await.good();
    assert_eq!(alice.rkeys("a.b.c").await.len(), 100);
}

#[tokio::test]
async fn an_empty_batch_makes_an_empty_commit() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let (head, rev) = alice.latest_commit().await;
    let mut follower = pds.follow(None).await;
    let reply = alice.apply_writes(json!([])).await.good().json();
    assert_eq!(reply["results"], json!([]));
    let (new_head, new_rev) = alice.latest_commit().await;
    assert_eq!((&reply["commit"]["cid"], &reply["commit"]["rev"]), (&json!(new_head), &json!(new_rev)));
    assert!(new_head != head && new_rev > rev);
    assert_eq!(ops_until(&mut follower, &new_rev).await, [Vec::<String>::new()]);
}

/// What one event may carry. Long keys that are all on the lowest layer make a tree of one large node, which is in every commit.
#[tokio::test]
async fn a_commit_that_no_event_could_carry_is_refused() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let on_lowest_layer = |rkey: &String| repo_engine::height(format!("a.b.c/{rkey}").as_bytes()) == 0;
    let mut keys =
        (0_u32..).map(|n| format!("{:08x}{}", n.wrapping_mul(2_654_435_761), "k".repeat(504))).filter(on_lowest_layer);
    for _ in 0..10 {
        let writes = keys.by_ref().take(200).map(|key| create("a.b.c", &key, json!({}))).collect();
        alice.apply_writes(writes).await.good();
    }
    let head = alice.head().await;
    let text = "x".repeat(3500);
    let large: Vec<Value> = keys.take(200).map(|key| create("a.b.c", &key, json!({ "text": text, "key": key }))).collect();
    let reply = alice.apply_writes(json!(large)).await;
    assert_eq!(message(&reply), "400 InvalidRequest: Too many writes. Max event size: 2MB");
    assert_eq!(alice.head().await, head);
    let mut follower = pds.follow(None).await;
    alice.apply_writes(json!(large[..50])).await.good();
    assert!(follower.next().await.unwrap().bytes.len() > 1_000_000, "a large one is carried");
}

#[tokio::test]
async fn the_type_is_the_collection() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.put_record("a.b.c", "key", json!({ "n": 1 })).await.good();
    assert_eq!(alice.get_record("a.b.c", "key").await.json()["value"], json!({ "n": 1, "$type": "a.b.c" }));
    for validate in [json!(null), json!(true), json!(false)] {
        for wrong in [json!({ "$type": "x.y.z" }), json!({ "$type": 1 }), json!({ "$type": "" }), json!({ "$type": null })] {
            let mut body = json!({ "repo": alice.did, "collection": "a.b.c", "record": wrong });
            if !validate.is_null() {
                body["validate"] = validate.clone();
            }
            assert_eq!(alice.post(CREATE, &body).await.summary(), "400 InvalidRequest", "{body}");
        }
    }
    let reply = alice.create_record("a.b.c", json!({ "$type": "x.y.z" })).await;
    assert_snapshot!(message(&reply), @"400 InvalidRequest: Invalid $type: expected a.b.c, got x.y.z");
}

#[tokio::test]
async fn validation_is_done_as_asked() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let call = async |collection: &str, rkey: Option<&str>, record: Value, validate: Option<bool>| {
        let mut body = json!({ "repo": alice.did, "collection": collection, "record": record });
        if let Some(rkey) = rkey {
            body["rkey"] = json!(rkey);
        }
        if let Some(validate) = validate {
            body["validate"] = json!(validate);
        }
        let reply = alice.post(CREATE, &body).await;
        match reply.status {
            200 => format!("200 {}", reply.json()["validationStatus"].as_str().unwrap_or("-")),
            _ => message(&reply),
        }
    };
    assert_eq!(call(POST, None, post("good"), None).await, "200 valid");
    assert_eq!(call(POST, None, post("good"), Some(true)).await, "200 valid");
    assert_eq!(call(POST, None, post("good"), Some(false)).await, "200 -");
    assert_eq!(call("a.b.c", None, json!({}), None).await, "200 unknown");
    assert_eq!(call("a.b.c", None, json!({}), Some(false)).await, "200 -");
    assert_eq!(call("a.b.c", None, json!({}), Some(true)).await, "400 InvalidRequest: Unknown lexicon type: a.b.c");
    let bad = json!({ "text": "no createdAt" });
    assert!(call(POST, None, bad.clone(), None).await.starts_with("400 InvalidRequest: "));
    assert!(call(POST, None, bad.clone(), Some(true)).await.starts_with("400 InvalidRequest: "));
    assert_eq!(call(POST, None, bad, Some(false)).await, "200 -");
    // Extra fields are kept, unknown members of open unions accepted, defaults not filled in.
    let mut extra = post("extra");
    extra["unknown"] = json!({ "$type": "x.y.z", "n": 1 });
    extra["embed"] = json!({ "$type": "x.y.z#embed" });
    assert_eq!(call(POST, None, extra, None).await, "200 valid");
    for (field, wrong) in [
        ("createdAt", json!("yesterday")),
        ("createdAt", json!("0000-01-01T00:00:00Z")),
        ("createdAt", json!("2026-01-01T00:00:00")),
        ("text", json!(1)),
        ("text", json!("x".repeat(3001))),
        ("text", json!("x".repeat(301))),
        ("langs", json!(["en", "not a language"])),
        ("langs", json!(["en", "de", "fr", "it"])),
        ("embed", json!({ "no": "type" })),
        ("reply", json!({ "root": { "uri": "at://x", "cid": OTHER_CID } })),
        ("tags", json!(["x".repeat(641)])),
    ] {
        let mut record = post("wrong");
        record[field] = wrong.clone();
        let told = call(POST, None, record, None).await;
        assert!(told.starts_with("400 InvalidRequest: "), "{field} {wrong}: {told}");
    }
    // Keys as the schema wants them, for known types alone.
    assert!(call(POST, Some("key"), post("key"), None).await.starts_with("400 InvalidRequest: "));
    assert_eq!(call(POST, Some("key"), post("key"), Some(false)).await, "200 -");
    let profile = "app.bsky.actor.profile";
    assert!(call(profile, None, json!({}), None).await.starts_with("400 InvalidRequest: "));
    assert!(call(profile, Some("other"), json!({}), None).await.starts_with("400 InvalidRequest: "));
    assert_eq!(call(profile, Some("self"), json!({}), None).await, "200 valid");
    assert_eq!(
        call(
            "app.bsky.feed.generator",
            Some("any-key"),
            json!({ "did": "did:web:x.example.com", "displayName": "x", "createdAt": "2026-01-01T00:00:00Z" }),
            None
        )
        .await,
        "200 valid"
    );
}

#[tokio::test]
async fn keys_and_collections_have_their_syntax() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let longest = "k".repeat(512);
    for good in ["a", "0", "_~.:-", "...", "self", "A-Z:a_z~0.9", &longest] {
        alice.put_record("a.b.c", good, json!({})).await.good();
        alice.get_record("a.b.c", good).await.good();
    }
    let too_long = "k".repeat(513);
    for bad in ["", ".", "..", "a/b", "a b", "é", "a#b", "a%20b", "@a", "a?b", "\u{0}", &too_long] {
        assert_eq!(alice.put_record("a.b.c", bad, json!({})).await.summary(), "400 InvalidRequest", "{bad:?}");
        assert_eq!(alice.delete_record("a.b.c", bad).await.summary(), "400 InvalidRequest", "{bad:?}");
        assert_eq!(alice.get_record("a.b.c", bad).await.summary(), "400 InvalidRequest", "{bad:?}");
    }
    let long_nsid = format!("a.b.{}", "c".repeat(320));
    for bad in
        ["", "a", "a.b", "a.b.c.", ".a.b.c", "a..b.c", "a.b.c/d", "a.b.3", "a b.c.d", "a.b.c*", "a.b.c#d", "á.b.c", &long_nsid]
    {
        assert_eq!(alice.put_record(bad, "key", json!({})).await.summary(), "400 InvalidRequest", "{bad:?}");
    }
}

#[tokio::test]
async fn what_the_data_model_does_not_know_is_refused() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let head = alice.head().await;
    let cid_v0 = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR";
    for bad in [
        "0.5",
        "-1.25",
        "1e-3",
        "1e400",
        "9007199254740992",
        "-9007199254740992",
        "9223372036854775807",
        "18446744073709551615",
        "123456789012345678901234567890",
        r#"{"$link":"nope"}"#,
        r#"{"$link":1}"#,
        r#"{"$link":""}"#,
        &format!(r#"{{"$link":"{cid_v0}"}}"#),
        &format!(r#"{{"$link":"{OTHER_CID}","more":1}}"#),
        r#"{"$bytes":"!"}"#,
        r#"{"$bytes":1}"#,
        r#"{"$bytes":"AAEC","more":1}"#,
        r#"{"$type":"blob"}"#,
        r#"{"$type":"blob","ref":"text","mimeType":"image/png","size":1}"#,
        &format!(r#"{{"$type":"blob","ref":{{"$link":"{OTHER_CID}"}},"mimeType":"image/png","size":-1}}"#),
        &format!(r#"{{"$type":"blob","ref":{{"$link":"{OTHER_CID}"}},"mimeType":1,"size":1}}"#),
        r#"{"cid":"bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity","mimeType":"image/jpeg"}"#,
        r#"{"$type":1}"#,
        r#"{"$type":null}"#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
    ] {
        for place in [format!(r#"{{"deep":[{{"here":{bad}}}]}}"#), format!(r#"{{"here":{bad}}}"#)] {
            for validate in ["", r#","validate":false"#] {
                let body = format!(r#"{{"repo":"{}","collection":"a.b.c","record":{place}{validate}}}"#, alice.did);
                let reply = alice.post_bytes(CREATE, "application/json", body.into_bytes()).await;
                assert_eq!(reply.status, 400, "{place}: {}", reply.text());
            }
        }
    }
    for bad in [json!([]), json!("text"), json!(1), json!(null), json!({ "$link": OTHER_CID }), json!({ "$bytes": "AAEC" })] {
        assert_eq!(alice.create_record("a.b.c", bad.clone()).await.status, 400, "{bad}");
    }
    assert_eq!(alice.head().await, head);
}

#[tokio::test]
async fn nesting_has_a_limit_and_no_depth_crashes_the_server() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for depth in [100, 200, 1000, 4000, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = format!(r#"{{"repo":"{}","collection":"a.b.c","record":{{"deep":{nested}}}}}"#, alice.did);
            let reply = alice.post_bytes(CREATE, "application/json", body.into_bytes()).await;
            assert!(reply.status == 400 || depth <= 1000 && reply.status == 200, "{depth}: {}", reply.text());
            if reply.status == 200 {
                let uri = reply.json()["uri"].as_str().unwrap().to_owned();
                let got = alice.get_record("a.b.c", uri.rsplit('/').next().unwrap()).await.good();
                assert!(got.text().contains(&nested), "what can be written can be read");
            }
        }
    }
    let keys: Vec<String> = (0..20_000).map(|n| format!(r#""k{n}":{n}"#)).collect();
    let body = format!(r#"{{"repo":"{}","collection":"a.b.c","record":{{{}}}}}"#, alice.did, keys.join(","));
    alice.post_bytes(CREATE, "application/json", body.into_bytes()).await.good();
}

#[tokio::test]
async fn a_blob_must_have_been_uploaded() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let blob = json!({
        "$type": "blob", "mimeType": "image/png", "size": 1,
        "ref": { "$link": "bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity" },
    });
    for record in [json!({ "blob": blob }), json!({ "blobs": [[{ "deep": [blob] }]] })] {
        for validate in [true, false] {
            let mut body = json!({ "repo": alice.did, "collection": "a.b.c", "record": record });
            if !validate {
                body["validate"] = json!(false);
            }
            assert_eq!(alice.post(CREATE, &body).await.summary(), "400 BlobNotFound");
        }
        assert_eq!(alice.apply_writes(json!([create("a.b.c", "key", record)])).await.summary(), "400 BlobNotFound");
    }
}

/// A second like of one post replaces the first, in one commit; only for who lets the server validate.
#[tokio::test]
async fn likes_reposts_follows_and_blocks_are_not_doubled() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let strong =
        |n: u8| json!({ "uri": format!("at://{}/{POST}/3jzfcijpj2z2{}", bob.did, char::from(b'a' + n)), "cid": OTHER_CID });
    let at = "2026-01-01T00:00:00Z";
    for collection in ["app.bsky.feed.like", "app.bsky.feed.repost", "app.bsky.graph.follow", "app.bsky.graph.block"] {
        let of_record = collection.starts_with("app.bsky.feed");
        let record = |n: u8| {
            let did = if n == 0 { bob.did.clone() } else { "did:plc:ewvi7nxzyoun6zhxrhs64oiz".to_owned() };
            json!({ "subject": if of_record { strong(n) } else { json!(did) }, "createdAt": at })
        };
        let create = async |n: u8, validate: Option<bool>| {
            let mut body = json!({ "repo": alice.did, "collection": collection, "record": record(n) });
            if let Some(validate) = validate {
                body["validate"] = json!(validate);
            }
            let reply = alice.post(CREATE, &body).await.good().json();
            let rkey = reply["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            (rkey, reply["commit"]["rev"].as_str().unwrap().to_owned())
        };
        let mut follower = pds.follow(None).await;
        let (first, _) = create(0, None).await;
        let (other, _) = create(1, None).await;
        let (doubled, _) = create(0, Some(false)).await;
        let (last, rev) = create(0, None).await;
        let mut ops = ops_until(&mut follower, &rev).await.pop().unwrap();
        ops.sort();
        let path = |rkey: &str| format!("{collection}/{rkey}");
        let mut expected =
            [format!("create {}", path(&last)), format!("delete {}", path(&first)), format!("delete {}", path(&doubled))];
        expected.sort();
        assert_eq!(ops, expected);
        assert_eq!(alice.rkeys(collection).await, [last, other]);
    }
}

#[tokio::test]
async fn records_are_found_by_key_and_version() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let put = alice.put_record("a.b.c", "key", json!({ "n": 1 })).await.good().json();
    let get = async |repo: &str, collection: &str, rkey: &str, cid: Option<&str>| {
        let mut params = vec![("repo", repo), ("collection", collection), ("rkey", rkey)];
        params.extend(cid.map(|cid| ("cid", cid)));
        pds.anonymous().get("com.atproto.repo.getRecord", &params).await.summary()
    };
    let cid = put["cid"].as_str().unwrap();
    assert_eq!(get(&alice.did, "a.b.c", "key", None).await, "200 -");
    assert_eq!(get("Alice.Test", "a.b.c", "key", Some(cid)).await, "200 -");
    assert_eq!(get(&alice.did, "a.b.c", "key", Some(OTHER_CID)).await, "400 RecordNotFound");
    assert_eq!(get(&alice.did, "a.b.c", "key", Some("nonsense")).await, "400 InvalidRequest");
    assert_eq!(get(&alice.did, "a.b.c", "other", None).await, "400 RecordNotFound");
    assert_eq!(get(&alice.did, "a.b.cc", "key", None).await, "400 RecordNotFound");
    assert_eq!(get("did:plc:ewvi7nxzyoun6zhxrhs64oiz", "a.b.c", "key", None).await, "400 RecordNotFound");
    // An old version is not kept.
    alice.put_record("a.b.c", "key", json!({ "n": 2 })).await.good();
    assert_eq!(get(&alice.did, "a.b.c", "key", Some(cid)).await, "400 RecordNotFound");

    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    assert_eq!(get(&alice.did, "a.b.c", "key", None).await, "400 RecordNotFound");
}

#[tokio::test]
async fn a_collection_is_listed_page_by_page_from_either_end() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let keys: Vec<String> = (0..25).map(|n| format!("k{n:02}")).collect();
    alice.apply_writes(keys.iter().map(|key| create("a.b.c", key, json!({ "key": key }))).collect()).await.good();
    // Neighbours in the order of keys must not leak in.
    for (collection, key) in [("a.b.cc", "x"), ("a.b.b", "x"), ("a.b.c-d", "x")] {
        drop(alice.put_record(collection, key, json!({})).await);
    }
    for (reverse, limit) in [("false", "7"), ("true", "7"), ("false", "25"), ("true", "100")] {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut params = vec![("repo", "alice.test"), ("collection", "a.b.c"), ("limit", limit), ("reverse", reverse)];
            params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = pds.anonymous().get("com.atproto.repo.listRecords", &params).await.good().json();
            let records = page["records"].as_array().unwrap();
            assert!(records.len() <= limit.parse().unwrap());
            found.extend(records.iter().map(|record| record["value"]["key"].as_str().unwrap().to_owned()));
            // There is a cursor with every record; clients stop at an empty page.
            assert_eq!(page.get("cursor").is_some(), !records.is_empty());
            match page["cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        let mut expected = keys.clone();
        if reverse == "false" {
            expected.reverse();
        }
        assert_eq!(found, expected, "reverse {reverse}, limit {limit}");
    }
    let empty =
        alice.get("com.atproto.repo.listRecords", &[("repo", &alice.did), ("collection", "no.such.thing")]).await.good();
    assert_eq!(empty.json(), json!({ "records": [] }));
    let nobody = alice.get("com.atproto.repo.listRecords", &[("repo", "nobody.test"), ("collection", "a.b.c")]).await;
    assert_snapshot!(message(&nobody), @"400 InvalidRequest: Could not find repo: nobody.test");
}

#[tokio::test]
async fn a_repo_is_described() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let describe = async |repo: &str| pds.anonymous().get("com.atproto.repo.describeRepo", &[("repo", repo)]).await;
    assert_eq!(describe(&alice.did).await.good().json()["collections"], json!([]));
    for (collection, key) in [("x.y.z", "a"), ("a.b.c", "a"), ("a.b.c", "b"), ("a.b.cc", "a")] {
        alice.put_record(collection, key, json!({})).await.good();
    }
    alice.delete_record("x.y.z", "a").await.good();
    let described = describe("alice.test").await.good().json();
    assert_eq!((&described["did"], &described["handle"]), (&json!(alice.did), &json!("alice.test")));
    assert_eq!(described["collections"], json!(["a.b.c", "a.b.cc"]));
    assert_eq!(described["handleIsCorrect"], true);
    assert_eq!(
        (&described["didDoc"]["id"], &described["didDoc"]["alsoKnownAs"]),
        (&json!(alice.did), &json!(["at://alice.test"]))
    );

    assert_eq!(describe("nobody.test").await.summary(), "400 RepoNotFound");
    assert_eq!(describe("not a repo").await.summary(), "400 InvalidRequest");
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    assert_eq!(describe(&alice.did).await.summary(), "400 RepoDeactivated");
}
