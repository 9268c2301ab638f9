//! Whether a server holds and says what it acknowledged, and nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use common::{Cid, Value, cbor};
use repo_engine::{Builder, Commit, MemoryStore, Node, Step, Walk, car};

use super::{Client, Follower, Frame, Ledger, User};

/// A repo as its events tell it.
#[derive(Debug, Default)]
struct Told {
    head: Option<(Cid, String)>,
    records: BTreeMap<String, Cid>,
}

/// Replays the firehose from its beginning and compares it with what clients were told and with what the repos hold.
///
/// Nobody may be writing. `users` have all accounts of which something is in `ledger`. Returns the frames.
pub(crate) async fn audit(address: SocketAddr, users: &[User], ledger: &Ledger) -> Vec<Frame> {
    // Its event is the last one, so that the end of the replay can be awaited.
    let body = super::user::post("fence");
    let fence = users[0].create_record("app.bsky.feed.post", body).await.good().json();
    let fence: Cid = fence["commit"]["cid"].as_str().unwrap().parse().unwrap();
    let is_fence = |frame: &Frame| frame.body.get("commit").and_then(Value::as_link) == Some(fence);
    let frames = Follower::connect(address, Some(0)).await.until(is_fence).await;

    let told = check_events(&frames, ledger);
    let client = Client::new(format!("http://{address}"), None);
    check_accounts(&client, &told).await;
    for (did, told) in &told {
        check_repo(&client, did, told).await;
    }
    frames
}

/// Checks the events, beyond what [`Follower`] did, and against the ledger.
fn check_events(frames: &[Frame], ledger: &Ledger) -> HashMap<String, Told> {
    let mut told: HashMap<String, Told> = HashMap::new();
    let mut by_commit: HashMap<String, &Frame> = HashMap::new();
    let mut texts: HashMap<String, usize> = HashMap::new();
    for frame in frames.iter().filter(|frame| matches!(&*frame.kind, "#commit" | "#sync")) {
        if frame.kind == "#sync" {
            // The head and nothing else: records are what they were.
            let Some(Value::Bytes(blocks)) = frame.body.get("blocks") else { panic!("no blocks") };
            let root = car::read_all(blocks).unwrap().0[0];
            told.entry(frame.did().to_owned()).or_default().head = Some((root, frame.text("rev").to_owned()));
            continue;
        }
        let repo = told.entry(frame.did().to_owned()).or_default();
        let commit = frame.body.get("commit").and_then(Value::as_link).unwrap();
        // With the checks of the follower: the chain of each repo begins at its beginning, and no link is missing.
        assert_eq!(
            frame.body.get("prevData").is_none(),
            repo.head.is_none(),
            "the first commit, and only that, has no prevData"
        );
        assert!(by_commit.insert(commit.to_string(), frame).is_none(), "{commit} has two events");
        repo.head = Some((commit, frame.text("rev").to_owned()));
        let Some(Value::Bytes(blocks)) = frame.body.get("blocks") else { panic!("no blocks") };
        let (_, blocks) = car::read_all(blocks).unwrap();
        for op in frame.body.get("ops").and_then(Value::as_array).unwrap() {
            let path = op.get("path").and_then(Value::as_str).unwrap();
            match op.get("cid").and_then(Value::as_link) {
                None => assert!(repo.records.remove(path).is_some(), "{path} was there to be deleted"),
                Some(cid) => {
                    repo.records.insert(path.to_owned(), cid);
                    let block = blocks.iter().find(|block| block.cid == cid).unwrap();
                    let record = cbor::decode(&block.bytes).unwrap();
                    let text = record.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
                    *texts.entry(text).or_default() += 1;
                }
            }
        }
    }
    for (text, count) in texts.iter().filter(|(text, _)| text.contains(" wrote ")) {
        assert!(ledger.asked.contains(text), "nobody wrote {text:?}");
        assert_eq!(*count, 1, "{text:?} was written once");
    }
    for write in &ledger.acknowledged {
        let frame = by_commit.get(&write.commit).unwrap_or_else(|| panic!("an acknowledged write has no event: {write:?}"));
        assert_eq!((frame.did(), frame.text("rev")), (&*write.did, &*write.rev));
        assert_eq!(ops(frame), write.ops);
    }
    told
}

/// What a `#commit` did, with the CIDs, as in [`super::Acknowledged`].
fn ops(frame: &Frame) -> Vec<String> {
    let cids = frame.body.get("ops").and_then(Value::as_array).unwrap().iter().map(|op| op.get("cid").and_then(Value::as_link));
    let with_cid = |(op, cid): (String, Option<Cid>)| format!("{op} {}", cid.map(|cid| cid.to_string()).unwrap_or_default());
    let mut ops: Vec<String> = frame.ops().into_iter().zip(cids).map(with_cid).collect();
    ops.sort_unstable();
    ops
}

/// Checks that the accounts of which events told are the accounts there are, with their heads.
async fn check_accounts(client: &Client, told: &HashMap<String, Told>) {
    let list = client.get("com.atproto.sync.listRepos", &[("limit", "1000")]).await.good().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let listed: BTreeMap<String, (String, String)> = list["repos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|repo| (text(&repo["did"]), (text(&repo["head"]), text(&repo["rev"]))))
        .collect();
    let head = |told: &Told| told.head.as_ref().map(|(cid, rev)| (cid.to_string(), rev.clone())).unwrap();
    let expected: BTreeMap<_, _> = told.iter().map(|(did, told)| (did.clone(), head(told))).collect();
    assert_eq!(listed, expected, "the heads are those of the last events");
}

/// Checks that a repo is what its events made of it.
async fn check_repo(client: &Client, did: &str, told: &Told) {
    let export = client.get("com.atproto.sync.getRepo", &[("did", did)]).await.good().bytes;
    let (commit, records) = read_export(&export);
    assert_eq!((commit.cid, commit.rev.to_string()), told.head.clone().unwrap());
    assert_eq!(records, told.records, "the records of {did} are those of its events");

    let mut listed = BTreeMap::new();
    let described = client.get("com.atproto.repo.describeRepo", &[("repo", did)]).await.good().json();
    for collection in described["collections"].as_array().unwrap().iter().map(|collection| collection.as_str().unwrap()) {
        let mut cursor = String::new();
        loop {
            let mut params = vec![("repo", did), ("collection", collection), ("limit", "100")];
            if !cursor.is_empty() {
                params.push(("cursor", &cursor));
            }
            let page = client.get("com.atproto.repo.listRecords", &params).await.good().json();
            for record in page["records"].as_array().unwrap() {
                let path = record["uri"].as_str().unwrap().splitn(4, '/').nth(3).unwrap().to_owned();
                assert!(listed.insert(path, record["cid"].as_str().unwrap().parse().unwrap()).is_none());
            }
            match page["cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
    }
    assert_eq!(listed, told.records, "the list of the records of {did} is that of its events");
}

/// Reads an exported repo after checking that its tree is the one tree of its records.
pub(crate) fn read_export(export: &[u8]) -> (Commit, BTreeMap<String, Cid>) {
    let (roots, blocks) = car::read_all(export).expect("the export is a CAR, down to the hash of each block");
    let find = |cid: &Cid| blocks.iter().find(|block| block.cid == *cid);
    let commit = Commit::decode(&find(&roots[0]).unwrap().bytes).unwrap();
    let present: HashSet<Cid> = blocks.iter().map(|block| block.cid).collect();
    let store = MemoryStore::from_blocks(&blocks);
    let mut walk = Walk::new(&store, commit.data);
    let mut records = BTreeMap::new();
    let mut canonical = Builder::new(|_, _: Node, _| Ok::<_, std::convert::Infallible>(()));
    while let Some(step) = walk.step().expect("the whole tree is in the export") {
        if let Step::Record { key, cid } = step {
            assert!(present.contains(&cid), "the record of {key} is in the export");
            assert!(canonical.push(&key.parse().unwrap(), cid).unwrap());
            records.insert(key.to_owned(), cid);
        }
    }
    assert_eq!(canonical.finish().unwrap(), commit.data, "the tree is the canonical one");
    (commit, records)
}
