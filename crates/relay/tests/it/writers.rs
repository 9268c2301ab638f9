//! Several writers of one repo, and one repo under many writes.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::support::{Dice, Ledger, Load, NOTE, TestPds, User, audit, read_export};

/// Of several writes that expect the same commit, or the same record, one happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_that_expect_the_same_state_one_wins() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for round in 0..15 {
        let (head, _) = alice.latest_commit().await;
        let create = |writer: usize| {
            let record = json!({ "text": format!("{round} {writer}") });
            json!({ "repo": alice.did, "collection": NOTE, "record": record, "swapCommit": head })
        };
        one_wins(&alice, "com.atproto.repo.createRecord", (0..4).map(create).collect()).await;
    }
    let mut before: Option<String> = None;
    for round in 0..15 {
        let put = |writer: usize| {
            let record = json!({ "text": format!("{round} {writer}") });
            json!({ "repo": alice.did, "collection": NOTE, "rkey": "one", "record": record, "swapRecord": before })
        };
        let winner = one_wins(&alice, "com.atproto.repo.putRecord", (0..4).map(put).collect()).await;
        let stored = alice.get_record(NOTE, "one").await.good().json();
        assert_eq!(stored["cid"], winner["cid"]);
        before = Some(winner["cid"].as_str().unwrap().to_owned());
    }
    let delete = json!({ "repo": alice.did, "collection": NOTE, "rkey": "one", "swapRecord": before });
    let put = json!({ "repo": alice.did, "collection": NOTE, "rkey": "one", "record": { "text": "" }, "swapRecord": before });
    let (deleted, put) = tokio::join!(async { alice.post("com.atproto.repo.deleteRecord", &delete).await }, async {
        alice.post("com.atproto.repo.putRecord", &put).await
    },);
    // A deletion after the put finds another record; a put after the deletion finds none.
    assert!((deleted.status == 200) != (put.status == 200), "{} {}", deleted.text(), put.text());
    audit(pds.address(), &[alice], &Ledger::default()).await;
}

/// Sends all `bodies` at once, and returns what the one that succeeded was told.
async fn one_wins(user: &User, nsid: &'static str, bodies: Vec<Value>) -> Value {
    let requests: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let user = user.clone();
            tokio::spawn(async move { user.post(nsid, &body).await })
        })
        .collect();
    let mut won = Vec::new();
    for request in requests {
        let reply = request.await.unwrap();
        if reply.status == 200 {
            won.push(reply.json());
        } else {
            assert_eq!(reply.summary(), "400 InvalidSwap");
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    won.remove(0)
}

/// Fifty clients write to one repo at once: each gets its commit, and the chain of commits has all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_of_one_repo_all_succeed() {
    let mut dice = Dice::from_env();
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let writers: Vec<_> = (0..50)
        .map(|writer| {
            let mut load = Load::new(&alice, format!("w{writer}"), dice.fork());
            tokio::spawn(async move {
                load.write_many(6).await;
                load.ledger
            })
        })
        .collect();
    let mut ledger = Ledger::default();
    for writer in writers {
        ledger.merge(writer.await.unwrap());
    }
    let commits: HashSet<&String> = ledger.acknowledged.iter().map(|write| &write.commit).collect();
    assert_eq!(commits.len(), 300, "each write is a commit of its own");
    audit(pds.address(), &[alice], &ledger).await;
}

/// Random batches against a map that has the same done to it, over restarts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repo_is_what_a_map_would_be() {
    let mut dice = Dice::from_env();
    let mut pds = TestPds::start().await;
    let mut alice = pds.create_account("alice").await;
    let mut model: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..6 {
        for batch in 0..10 {
            // Rounds that mostly add, and rounds that mostly take away, down to an empty repo.
            let deletes_of_10 = if round % 2 == 0 { 2 } else { 8 };
            let (mut writes, mut effects) = (Vec::new(), Vec::new());
            let mut free: Vec<String> = model.keys().cloned().collect();
            for write in 0..=dice.below(120) {
                let delete = dice.below(10) < deletes_of_10;
                if !free.is_empty() && (delete || dice.below(4) == 0) {
                    let path = dice.take(&mut free);
                    let (collection, rkey) = path.split_once('/').unwrap();
                    let action = if delete { "delete" } else { "update" };
                    let mut one = json!({ "$type": format!("com.atproto.repo.applyWrites#{action}"), "collection": collection, "rkey": rkey });
                    if !delete {
                        one["value"] = json!({ "n": dice.below(3), "at": [round, batch] });
                    }
                    writes.push(one);
                    effects.push((path, !delete));
                } else {
                    let (collection, rkey) =
                        (["a.b.c", "com.example.note", "z.y.x"][dice.below(3)], format!("{round}.{batch}.{write}"));
                    writes.push(json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": collection, "rkey": rkey, "value": { "n": dice.below(3) } }));
                    effects.push((format!("{collection}/{rkey}"), true));
                }
            }
            let reply = alice.apply_writes(json!(writes)).await.good().json();
            for ((path, stays), result) in effects.into_iter().zip(reply["results"].as_array().unwrap()) {
                if stays {
                    model.insert(path, result["cid"].as_str().unwrap().to_owned());
                } else {
                    model.remove(&path);
                }
            }
        }
        if round == 5 {
            let rest = model.keys().map(|path| path.split_once('/').unwrap());
            let deletes: Vec<Value> = rest.map(|(collection, rkey)| json!({ "$type": "com.atproto.repo.applyWrites#delete", "collection": collection, "rkey": rkey })).collect();
            for some in deletes.chunks(200) {
                alice.apply_writes(json!(some)).await.good();
            }
            model.clear();
        }
        pds = pds.restart().await;
        alice = User::sign_in(&pds.anonymous(), "alice").await;
        let (commit, records) = read_export(&alice.export().await);
        assert_eq!(commit.cid.to_string(), alice.latest_commit().await.0);
        let records: BTreeMap<String, String> = records.into_iter().map(|(path, cid)| (path, cid.to_string())).collect();
        assert_eq!(records, model);
        println!("round {round}: {} records", model.len());
    }
    audit(pds.address(), &[alice], &Ledger::default()).await;
}
