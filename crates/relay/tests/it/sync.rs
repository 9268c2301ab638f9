//! Repos as others read them: exports, proofs, heads, lists.

use std::collections::{BTreeMap, BTreeSet};

use common::Cid;
use crypto::VerifyingKey;
use repo_engine::car::{self, Block};
use repo_engine::{Commit, Key, MemoryStore, Step, Walk, verify_proof};
use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, Reply, TestPds, User};

const NOBODY: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

impl User {
    async fn sync(&self, method: &str, extra: &[(&str, &str)]) -> Reply {
        let params = [&[("did", self.did.as_str())], extra].concat();
        self.get(&format!("com.atproto.sync.{method}"), &params).await
    }

    async fn fill(&self, keys: std::ops::Range<usize>) {
        for chunk in keys.collect::<Vec<_>>().chunks(100) {
            let create = |n: &usize| json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": "a.b.c", "rkey": format!("{n:05}"), "value": { "n": n } });
            self.apply_writes(chunk.iter().map(create).collect()).await.good();
        }
    }

    /// The key that the DID document names.
    async fn signing_key(&self) -> VerifyingKey {
        let document = self.get("com.atproto.identity.resolveDid", &[("did", &self.did)]).await.good().json();
        VerifyingKey::from_multikey(document["didDoc"]["verificationMethod"][0]["publicKeyMultibase"].as_str().unwrap())
            .unwrap()
    }
}

/// Decodes a CAR, whose every block hashes to its CID, and checks the commit in it.
async fn open(user: &User, bytes: &[u8]) -> (Commit, Vec<Block>) {
    let (roots, blocks) = car::read_all(bytes).unwrap();
    assert_eq!(roots.len(), 1);
    let commit = blocks.iter().find(|block| block.cid == roots[0]).expect("the commit is in the CAR");
    let commit = Commit::decode(&commit.bytes).unwrap();
    commit.verify(&user.signing_key().await).unwrap();
    assert_eq!((commit.did.as_str(), commit.version), (user.did.as_str(), 3));
    (commit, blocks)
}

/// Returns keys and CIDs of all records of a tree, and the CIDs of its nodes.
fn walk(blocks: &[Block], root: Cid) -> (BTreeMap<String, Cid>, BTreeSet<Cid>) {
    let store = MemoryStore::from_blocks(blocks);
    let mut walk = Walk::new(&store, root);
    let (mut records, mut nodes) = (BTreeMap::new(), BTreeSet::new());
    while let Some(step) = walk.step().expect("the tree is whole") {
        match step {
            Step::Node { cid, .. } => drop(nodes.insert(cid)),
            Step::Record { key, cid } => drop(records.insert(key.to_owned(), cid)),
        }
    }
    (records, nodes)
}

fn cids(blocks: &[Block]) -> BTreeSet<Cid> {
    let cids: BTreeSet<Cid> = blocks.iter().map(|block| block.cid).collect();
    assert_eq!(cids.len(), blocks.len(), "no block is there twice");
    cids
}

#[tokio::test]
async fn an_export_is_the_whole_repo_and_nothing_else() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let (commit, blocks) = open(&alice, &alice.export().await).await;
    assert_eq!((walk(&blocks, commit.data).0.len(), blocks.len()), (0, 2), "a commit and an empty tree");

    alice.fill(0..300).await;
    alice.put_record("a.b.c", "00007", json!({ "n": "changed" })).await.good();
    for gone in ["00000", "00150", "00299"] {
        alice.delete_record("a.b.c", gone).await.good();
    }
    let reply = alice.sync("getRepo", &[]).await.good();
    assert_eq!(reply.headers["content-type"], "application/vnd.ipld.car");
    let (commit, blocks) = open(&alice, &reply.bytes).await;
    assert_eq!((commit.cid.to_string(), commit.rev.to_string()), alice.latest_commit().await);
    let (records, nodes) = walk(&blocks, commit.data);
    assert_eq!(records.len(), 297);
    assert!(!records.contains_key("a.b.c/00150"));
    let mut expected: BTreeSet<Cid> = records.values().copied().chain(nodes).collect();
    expected.insert(commit.cid);
    assert_eq!(cids(&blocks), expected);
    // The commit comes first, as readers that stream want it.
    assert_eq!(blocks[0].cid, commit.cid);

    let pds = pds.restart().await;
    let again = pds.anonymous().get("com.atproto.sync.getRepo", &[("did", &alice.did)]).await.good().bytes;
    let checkout = pds.anonymous().get("com.atproto.sync.getCheckout", &[("did", &alice.did)]).await.good().bytes;
    assert_eq!((cids(&car::read_all(&again).unwrap().1), again), (expected, checkout));
}

/// A block that two records share may be there once or twice, but both records must be.
#[tokio::test]
async fn records_of_the_same_content_are_all_exported() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for key in ["one", "two", "three"] {
        alice.put_record("a.b.c", key, json!({})).await.good();
    }
    alice.delete_record("a.b.c", "one").await.good();
    let (commit, blocks) = open(&alice, &alice.export().await).await;
    let (records, _) = walk(&blocks, commit.data);
    assert_eq!(records.keys().collect::<Vec<_>>(), ["a.b.c/three", "a.b.c/two"]);
    assert!(records.values().all(|cid| blocks.iter().any(|block| block.cid == *cid)));
}

#[tokio::test]
async fn an_export_since_a_rev_has_what_was_added_and_no_more() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.fill(0..200).await;
    let (_, rev) = alice.latest_commit().await;
    let (_, before) = open(&alice, &alice.export().await).await;
    alice.put_record("a.b.c", "00100", json!({ "n": "changed" })).await.good();
    alice.delete_record("a.b.c", "00050").await.good();
    alice.fill(500..503).await;

    let (commit, all) = open(&alice, &alice.export().await).await;
    let (head, added) = open(&alice, &alice.sync("getRepo", &[("since", &rev)]).await.good().bytes).await;
    assert_eq!(head.cid, commit.cid);
    let expected: BTreeSet<Cid> = cids(&all).difference(&cids(&before)).copied().collect();
    assert_eq!(cids(&added), expected);
    let joined = [before, added].concat();
    assert_eq!(walk(&joined, commit.data), walk(&all, commit.data), "both together are the repo");

    let (_, newest) = alice.latest_commit().await;
    let (_, nothing) = open(&alice, &alice.sync("getRepo", &[("since", &newest)]).await.good().bytes).await;
    assert!(cids(&nothing).is_subset(&BTreeSet::from([commit.cid])), "the commit at most");
    let (_, everything) = open(&alice, &alice.sync("getRepo", &[("since", "2222222222222")]).await.good().bytes).await;
    assert_eq!(cids(&everything), cids(&all));
    assert_eq!(alice.sync("getRepo", &[("since", "yesterday")]).await.summary(), "400 InvalidRequest");
}

#[tokio::test]
async fn a_record_comes_with_its_proof() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let prove = async |key: &str| {
        let (collection, rkey) = key.split_once('/').unwrap();
        let reply = alice.sync("getRecord", &[("collection", collection), ("rkey", rkey)]).await.good();
        let (commit, blocks) = open(&alice, &reply.bytes).await;
        assert_eq!(commit.cid.to_string(), alice.latest_commit().await.0);
        let value = verify_proof(&MemoryStore::from_blocks(&blocks), commit.data, &key.parse::<Key>().unwrap()).unwrap();
        (value, cids(&blocks), commit.cid)
    };
    assert_eq!(prove("a.b.c/key").await.0, None, "of an empty repo");
    alice.fill(0..300).await;
    for n in [0, 1, 77, 150, 298, 299] {
        let key = format!("a.b.c/{n:05}");
        let record = alice.get_record("a.b.c", &format!("{n:05}")).await.good().json();
        let (value, cids, _) = prove(&key).await;
        let value = value.expect("the record is proved");
        assert_eq!(value.to_string(), record["cid"].as_str().unwrap());
        assert!(cids.contains(&value), "the record is in the CAR");
        assert!(cids.len() < 15, "a path, not the repo");
    }
    for absent in ["a.b.c/", "a.b.c/0", "a.b.c/00077x", "a.b.c/99999", "a.a.a/x", "z.z.z/x"] {
        if absent.ends_with('/') {
            continue;
        }
        assert_eq!(prove(absent).await.0, None, "{absent}");
    }
    assert_eq!(alice.sync("getRecord", &[("collection", "a.b.c"), ("rkey", "")]).await.summary(), "400 InvalidRequest");
    assert_eq!(alice.sync("getRecord", &[("collection", "a"), ("rkey", "b")]).await.summary(), "400 InvalidRequest");
}

#[tokio::test]
async fn blocks_are_given_by_cid() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    alice.fill(0..100).await;
    let (_, all) = open(&alice, &alice.export().await).await;
    let texts: Vec<String> = all.iter().map(|block| block.cid.to_string()).collect();
    let params: Vec<_> = texts.iter().map(|cid| ("cids", cid.as_str())).collect();
    let (roots, blocks) = car::read_all(&alice.sync("getBlocks", &params).await.good().bytes).unwrap();
    assert!(roots.is_empty());
    assert_eq!(cids(&blocks), cids(&all), "records, nodes and the commit");
    assert_eq!(bob.sync("getBlocks", &params[..1]).await.status, 400, "blocks of another repo are not found");
    let reply = alice.sync("getBlocks", &[params[0], ("cids", &Cid::dag_cbor(b"nothing").to_string())]).await;
    assert_eq!(reply.status, 400);
    assert!(reply.json()["message"].as_str().unwrap().contains(&Cid::dag_cbor(b"nothing").to_string()));
    assert_eq!(alice.sync("getBlocks", &[]).await.summary(), "400 InvalidRequest");
    assert_eq!(alice.sync("getBlocks", &vec![params[0]; 600]).await.summary(), "400 InvalidRequest");
}

#[tokio::test]
async fn heads_and_states_are_told() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let created = alice.create_record("a.b.c", json!({})).await.good().json();
    let (cid, rev) = (&created["commit"]["cid"], &created["commit"]["rev"]);
    assert_eq!(alice.sync("getLatestCommit", &[]).await.good().json(), json!({ "cid": cid, "rev": rev }));
    assert_eq!(alice.sync("getHead", &[]).await.good().json(), json!({ "root": cid }));
    let status = async || pds.anonymous().get("com.atproto.sync.getRepoStatus", &[("did", &alice.did)]).await.good().json();
    assert_eq!(status().await, json!({ "did": alice.did, "active": true, "rev": rev }));

    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    assert_eq!(status().await, json!({ "did": alice.did, "active": false, "status": "deactivated" }));
    let listed = pds.anonymous().get("com.atproto.sync.listRepos", &[]).await.good().json();
    assert_eq!((&listed["repos"][0]["active"], &listed["repos"][0]["status"]), (&json!(false), &json!("deactivated")));
    let params: [(&str, &str); 4] =
        [("did", &alice.did), ("collection", "a.b.c"), ("rkey", "key"), ("cids", cid.as_str().unwrap())];
    for method in ["getRepo", "getCheckout", "getRecord", "getBlocks", "getLatestCommit", "getHead", "listBlobs"] {
        let nsid = format!("com.atproto.sync.{method}");
        assert_eq!(pds.anonymous().get(&nsid, &params).await.summary(), "400 RepoDeactivated", "{method}");
        // Its owner and the operator still read it; a stranger with a token does not.
        alice.get(&nsid, &params).await.good();
        let anyone = pds.anonymous();
        let query: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = anyone.request("GET", &format!("/xrpc/{nsid}?{}", query.join("&")));
        anyone.send(request.basic_auth("admin", Some(ADMIN_PASSWORD))).await.good();
    }
    alice.post_nothing("com.atproto.server.activateAccount").await.good();
    assert_eq!(status().await["active"], true);

    for method in
        ["getRepo", "getCheckout", "getRecord", "getBlocks", "getLatestCommit", "getHead", "getRepoStatus", "listBlobs"]
    {
        let params = [&[("did", NOBODY)], &params[1..]].concat();
        let reply = pds.anonymous().get(&format!("com.atproto.sync.{method}"), &params).await;
        assert_eq!(reply.summary(), "400 RepoNotFound", "{method}");
    }
}

async fn pages(pds: &TestPds, nsid: &str, extra: &[(&str, &str)], limit: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut params = [extra, &[("limit", limit)]].concat();
        params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = pds.anonymous().get(nsid, &params).await.good().json();
        let repos = page["repos"].as_array().unwrap();
        assert!(repos.len() <= limit.parse().unwrap());
        found.extend(repos.iter().cloned());
        match page["cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return found,
        }
    }
}

#[tokio::test]
async fn all_repos_are_listed_once() {
    let pds = TestPds::start().await;
    let mut users = Vec::new();
    for n in 0..5 {
        users.push(pds.create_account(&format!("user{n}")).await);
    }
    for user in &users[1..3] {
        user.put_record("a.b.c", "key", json!({})).await.good();
    }
    users[3].put_record("a.b.cc", "key", json!({})).await.good();
    let dids = |users: &[User]| users.iter().map(|user| user.did.clone()).collect::<BTreeSet<_>>();
    for limit in ["1", "2", "5", "1000"] {
        let found = pages(&pds, "com.atproto.sync.listRepos", &[], limit).await;
        assert_eq!(found.len(), 5);
        for user in &users {
            let repo = found.iter().find(|repo| repo["did"] == user.did).unwrap();
            let (head, rev) = user.latest_commit().await;
            assert_eq!(*repo, json!({ "did": user.did, "head": head, "rev": rev, "active": true }));
        }
        let found = pages(&pds, "com.atproto.sync.listReposByCollection", &[("collection", "a.b.c")], limit).await;
        assert_eq!(found.len(), 2);
        assert_eq!(
            found.iter().map(|repo| repo["did"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(),
            dids(&users[1..3])
        );
    }
    // Who has no record of the collection any more is not listed.
    users[1].delete_record("a.b.c", "key").await.good();
    users[2].post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    let found = pages(&pds, "com.atproto.sync.listReposByCollection", &[("collection", "a.b.c")], "10").await;
    assert!(found.is_empty());

    for nsid in ["com.atproto.sync.listRepos", "com.atproto.sync.listReposByCollection"] {
        for (name, wrong) in [("limit", "0"), ("limit", "2001"), ("limit", "x"), ("cursor", "nonsense"), ("cursor", "-1x")] {
            let reply = pds.anonymous().get(nsid, &[("collection", "a.b.c"), (name, wrong)]).await;
            assert_eq!(reply.summary(), "400 InvalidRequest", "{nsid} {name}={wrong}");
        }
    }
    let no_collection = pds.anonymous().get("com.atproto.sync.listReposByCollection", &[]).await;
    assert_eq!(no_collection.summary(), "400 InvalidRequest");
}

#[tokio::test]
async fn the_host_knows_its_own_state() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    pds.create_account("bob").await;
    let status = async |host: &str| pds.anonymous().get("com.atproto.sync.getHostStatus", &[("hostname", host)]).await;
    let before = status("localhost").await.good().json();
    assert_eq!(
        (&before["hostname"], &before["accountCount"], &before["status"]),
        (&json!("localhost"), &json!(2), &json!("active"))
    );
    alice.create_record("a.b.c", json!({})).await.good();
    assert!(status("localhost").await.json()["seq"].as_i64() > before["seq"].as_i64());
    assert_eq!(status("relay.example.com").await.summary(), "400 HostNotFound");
}
