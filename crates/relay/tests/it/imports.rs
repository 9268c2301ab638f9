//! Large imports, which are stored in slices: what others see meanwhile, and what is left when one is cut off.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{Cid, Tid};
use repo_engine::car;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::disk::limit_files;
use crate::migration::{CAR, POST, account_with_recovery, change_did, import, key, record, repo_car};
use crate::support::{Dice, NOTE, Process, TestPds, User, read_export, relay};
use crate::verify::findings;

/// The database of a server, looked into beside it.
struct Rows(Mutex<Connection>);

impl Rows {
    fn of(data_dir: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self(Mutex::new(Connection::open_with_flags(data_dir.join("relay.sqlite"), flags).unwrap()))
    }

    fn count(&self, sql: &str) -> u64 {
        self.0.lock().unwrap().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64
    }

    /// Records that are laid down for an account which does not have them yet, or not any more.
    fn unused(&self) -> u64 {
        self.count("SELECT count(*) FROM record WHERE repo IN (SELECT number FROM unused_repo)")
    }

    /// Waits until more than `records` of an import are laid down, and returns how many those are; `None` when it is over before.
    async fn laid_down(&self, records: u64, is_over: impl Fn() -> bool) -> Option<u64> {
        while !is_over() {
            let unused = self.unused();
            if unused > records {
                return Some(unused);
            }
            tokio::task::yield_now().await;
        }
        None
    }

    /// Waits until nothing is left but what accounts have.
    async fn swept(&self) {
        while self.count("SELECT count(*) FROM unused_repo") > 0 {
            tokio::task::yield_now().await;
        }
        for table in ["record", "node", "backlink", "blob_ref"] {
            let sql = format!("SELECT count(*) FROM {table} WHERE repo NOT IN (SELECT repo FROM account)");
            assert_eq!(self.count(&sql), 0, "rows of {table} are left");
        }
    }
}

/// Posts, each with the text that `text` gives its number.
fn posts(numbers: impl Iterator<Item = u32>, text: impl Fn(u32) -> String) -> BTreeMap<String, Vec<u8>> {
    numbers.map(|number| (format!("{POST}/{}", rkey(number)), record(&text(number)))).collect()
}

fn rkey(number: u32) -> String {
    format!("3k{number:011}")
}

fn cids(records: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Cid> {
    records.iter().map(|(path, block)| (path.clone(), Cid::dag_cbor(block))).collect()
}

fn rev(number: u64) -> Tid {
    Tid::from_parts(1_700_000_000_000_000 + number, 3)
}

/// Creates an active account that takes what `key(5)` signs.
async fn importer(pds: &TestPds, name: &str) -> User {
    let recovery = key(9);
    let user = account_with_recovery(pds, name, &recovery).await;
    change_did(pds, &user.did, &recovery, |data| {
        data["verificationMethods"]["atproto"] = json!(key(5).verifying_key().to_did_key());
    })
    .await;
    user
}

async fn import_records(user: &User, at: u64, records: &BTreeMap<String, Vec<u8>>) {
    import(user, &repo_car(&user.did, &key(5), rev(at), records)).await.good();
}

/// An import was one transaction, for which everyone waited. Now others are answered while it is laid down, and whoever reads the
/// repo sees the old one or the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_write_while_an_import_is_laid_down_and_readers_see_one_repo_or_the_other() {
    let pds = TestPds::start().await;
    let (alice, bob) = (importer(&pds, "alice").await, pds.create_account("bob").await);
    let rows = Rows::of(&pds.data_dir());
    // The last posts are the same in both.
    let old = posts(0..4000, |number| if number < 3900 { format!("old {number}") } else { "same".to_owned() });
    let new =
        posts(1000..9000, |number| if (3900..4000).contains(&number) { "same".to_owned() } else { format!("new {number}") });
    import_records(&alice, 1, &old).await;
    rows.swept().await;
    let (old_cids, new_cids) = (cids(&old), cids(&new));
    let old_rev = alice.latest_commit().await.1;

    let car = repo_car(&alice.did, &key(5), rev(2), &new);
    let is_over = Arc::new(AtomicBool::new(false));
    let importing = async {
        import(&alice, &car).await.good();
        is_over.store(true, Ordering::Release);
    };
    let (is_done, beside, records) = (Arc::clone(&is_over), Rows::of(&pds.data_dir()), new.len() as u64);
    let writing = tokio::spawn(async move {
        let mut between = 0;
        while let Some(before) = beside.laid_down(0, || is_done.load(Ordering::Acquire)).await {
            bob.create_post("between").await;
            let after = beside.unused();
            // While they grow in number, they are those of the import.
            between += usize::from(before < after && after < records);
        }
        between
    });
    let reading = async {
        let page = [("repo", &*alice.did), ("collection", POST), ("limit", "100"), ("reverse", "true")];
        let path = format!("{POST}/{}", rkey(2000));
        let is_one_of = |found: Cid, path: &str| [old_cids.get(path), new_cids.get(path)].contains(&Some(&found));
        let mut exports = 0;
        while !is_over.load(Ordering::Acquire) {
            let listed = alice.get("com.atproto.repo.listRecords", &page).await.good().json();
            let listed: BTreeMap<String, Cid> = listed["records"].as_array().unwrap().iter().map(listed_record).collect();
            let first = |cids: &BTreeMap<String, Cid>| cids.clone().into_iter().take(100).collect::<BTreeMap<_, _>>();
            assert!(listed == first(&old_cids) || listed == first(&new_cids), "a page is of one repo: {listed:?}");
            let found = alice.get_record(POST, &rkey(2000)).await.good().json();
            assert!(is_one_of(found["cid"].as_str().unwrap().parse().unwrap(), &path));
            let exported = read_export(&alice.export().await).1;
            assert!(exported == old_cids || exported == new_cids, "an export is of one repo");
            exports += 1;
        }
        exports
    };
    let ((), exports) = tokio::join!(importing, reading);
    let between = writing.await.unwrap();
    println!("{between} writes were answered between slices, {exports} exports read meanwhile");
    assert!(between > 0, "a write of another account is answered while the import is laid down");
    assert_eq!(read_export(&alice.export().await).1, new_cids);
    // Whoever has the old repo needs what is new, and not what stayed.
    let params = [("did", &*alice.did), ("since", &old_rev)];
    let changes = alice.get("com.atproto.sync.getRepo", &params).await.good().bytes;
    let sent: BTreeSet<Cid> = car::read_all(&changes).unwrap().1.iter().map(|block| block.cid).collect();
    assert!(!sent.contains(&Cid::dag_cbor(&record("same"))));
    assert!(new_cids.values().all(|cid| sent.contains(cid) || *cid == Cid::dag_cbor(&record("same"))));
    rows.swept().await;
    assert_eq!(findings(&pds, &["--no-identities"]).await, (Some(0), Vec::new()));
}

fn listed_record(record: &Value) -> (String, Cid) {
    let path = record["uri"].as_str().unwrap().splitn(4, '/').last().unwrap().to_owned();
    (path, record["cid"].as_str().unwrap().parse().unwrap())
}

/// What was taken down stays so when the same path comes with an import, also when that was decided while the import was laid down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_down_stays_so_through_an_import() {
    let pds = TestPds::start().await;
    let alice = importer(&pds, "alice").await;
    let rows = Rows::of(&pds.data_dir());
    import_records(&alice, 1, &posts(0..10, |number| format!("old {number}"))).await;
    rows.swept().await;
    let take_down = async |number: u32| {
        let cid = alice.get_record(POST, &rkey(number)).await.good().json()["cid"].clone();
        let uri = format!("at://{}/{POST}/{}", alice.did, rkey(number));
        let subject = json!({ "$type": "com.atproto.repo.strongRef", "uri": uri, "cid": cid });
        pds.admin().take_down(&subject, true).await.good();
    };
    take_down(1).await;
    let new = posts(0..6000, |number| if number == 1 { "other words".to_owned() } else { format!("old {number}") });
    let is_over = Cell::new(false);
    let importing = async {
        import_records(&alice, 2, &new).await;
        is_over.set(true);
    };
    let deciding = async {
        rows.laid_down(100, || is_over.get()).await.expect("the import is laid down in slices");
        take_down(2).await;
        assert!(!is_over.get());
    };
    tokio::join!(importing, deciding);
    for number in [1, 2] {
        assert_eq!(alice.get_record(POST, &rkey(number)).await.summary(), "400 RecordNotFound", "{number}");
    }
    alice.get_record(POST, &rkey(3)).await.good();
    rows.swept().await;
    assert_eq!(rows.count("SELECT count(*) FROM record WHERE takedown_ref IS NOT NULL"), 2);
}

/// An account is deleted while its repo is imported: nothing of either stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_deleted_during_its_import_leaves_nothing() {
    let pds = TestPds::start().await;
    let (alice, bob) = (importer(&pds, "alice").await, pds.create_account("bob").await);
    let rows = Rows::of(&pds.data_dir());
    import_records(&alice, 1, &posts(0..500, |number| format!("old {number}"))).await;
    rows.swept().await;
    let new = posts(0..8000, |number| format!("new {number}"));
    let car = repo_car(&alice.did, &key(5), rev(2), &new);
    let is_over = Cell::new(false);
    let importing = async {
        let reply = import(&alice, &car).await;
        is_over.set(true);
        reply
    };
    let deleting = async {
        rows.laid_down(100, || is_over.get()).await.expect("the import is laid down in slices");
        pds.admin().post("com.atproto.admin.deleteAccount", &json!({ "did": alice.did })).await.good();
    };
    let (reply, ()) = tokio::join!(importing, deleting);
    assert_eq!(reply.summary(), "400 RepoNotFound");
    rows.swept().await;
    assert_eq!(rows.count("SELECT count(*) FROM record"), 0);
    bob.create_post("goes on").await;
    while rows.count("SELECT count(*) FROM deletion") > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(findings(&pds, &["--no-identities"]).await, (Some(0), Vec::new()));
}

/// What only the old repo referred to is temporary again, what the new one waits for is permanent, and nothing counts twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_are_those_of_the_new_repo_alone() {
    let pds = TestPds::start().await;
    let alice = importer(&pds, "alice").await;
    let rows = Rows::of(&pds.data_dir());
    let mut blobs = Vec::new();
    for content in ["only old", "both", "only new"] {
        let reply = alice.post_bytes("com.atproto.repo.uploadBlob", "text/plain", content.into()).await.good().json();
        blobs.push(reply["blob"].clone());
    }
    let with = |blob: &Value| {
        let json = json!({ "$type": NOTE, "file": blob }).to_string();
        common::cbor::encode(&common::json::parse(json.as_bytes()).unwrap())
    };
    let mut missing = blobs[2].clone();
    missing["ref"]["$link"] = json!(Cid::raw(b"missing"));
    let repo = |blobs: &[&Value]| {
        let with = blobs.iter().enumerate().map(|(at, blob)| (format!("{NOTE}/{at}"), with(blob)));
        with.collect::<BTreeMap<_, _>>()
    };
    import_records(&alice, 1, &repo(&[&blobs[0], &blobs[1]])).await;
    import_records(&alice, 2, &repo(&[&blobs[1], &blobs[2], &missing])).await;
    let status = alice.get("com.atproto.server.checkAccountStatus", &[]).await.good().json();
    assert_eq!((&status["expectedBlobs"], &status["importedBlobs"]), (&json!(3), &json!(3)));
    let listed = alice.get("com.atproto.sync.listBlobs", &[("did", &alice.did)]).await.good().json();
    assert_eq!(listed["cids"].as_array().unwrap().len(), 3);
    let missing = alice.get("com.atproto.repo.listMissingBlobs", &[]).await.good().json();
    assert_eq!(missing["blobs"].as_array().unwrap().len(), 1);
    rows.swept().await;
    for (content, temporary) in [("only old", 1), ("both", 0), ("only new", 0)] {
        let digest = data_encoding::HEXLOWER.encode(Cid::raw(content.as_bytes()).digest());
        let sql = format!("SELECT temporary FROM blob WHERE hex(cid) = upper('{digest}')");
        assert_eq!(rows.count(&sql), temporary, "{content}");
    }
}

/// Fills the repo of `user` with notes, and returns it as a CAR.
async fn filled(user: &User, records: usize) -> Vec<u8> {
    for start in (0..records).step_by(200) {
        let write = |at: usize| {
            let value = json!({ "$type": NOTE, "text": format!("note {at}") });
            json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": NOTE, "rkey": format!("n{at:06}"), "value": value })
        };
        user.apply_writes((start..start + 200).map(write).collect()).await.good();
    }
    user.export().await
}

/// Runs `relay verify` over the data of a server that is running or not.
async fn is_whole(dir: &Path) {
    let mut command = relay(dir);
    command.args(["verify", "--no-identities", "--set", "server.public_url=http://localhost:1", "--data-dir"]);
    command.arg(dir.join("data"));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("Nothing is wrong"), "{said}");
}

/// A server that is killed while an import is laid down has the old repo, deletes what was laid down, and takes the import when it
/// is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_leaves_the_old_repo_and_nothing_else() {
    let mut dice = Dice::from_env();
    let dir = TempDir::new().unwrap();
    let mut server = Process::start(dir.path()).await;
    let mut alice = User::sign_in(&server.anonymous(), "alice").await;
    let before = alice.export().await;
    let car = filled(&alice, 6000).await;
    import(&alice, &before).await.good();
    alice.put_record(NOTE, "mark", json!({ "text": "old" })).await.good();
    let old_car = alice.export().await;
    for round in 0..3 {
        let rows = Rows::of(&server.data_dir());
        let (importing, laid_down, old) = loop {
            rows.swept().await;
            let old = read_export(&alice.export().await);
            let request = alice.request("POST", "/xrpc/com.atproto.repo.importRepo").header("content-type", CAR);
            let importing = tokio::spawn(request.bearer_auth(&alice.access).body(car.clone()).send());
            if let Some(laid_down) = rows.laid_down(dice.below(2000) as u64, || importing.is_finished()).await {
                break (importing, laid_down, old);
            }
            // It was faster than this test. Back to the old one, and again.
            assert_eq!(importing.await.unwrap().unwrap().status(), 200);
            import(&alice, &old_car).await.good();
        };
        server.kill();
        assert!(importing.await.unwrap().is_err());
        drop(rows);
        // Rows that wait to be swept are no damage.
        is_whole(dir.path()).await;
        server = server.restart().await;
        alice = User::sign_in(&server.anonymous(), "alice").await;
        let found = read_export(&alice.export().await);
        assert_eq!((found.0.rev, &found.1), (old.0.rev, &old.1), "the old repo is there");
        Rows::of(&server.data_dir()).swept().await;
        is_whole(dir.path()).await;
        println!("round {round}: killed at {laid_down}");
    }
    alice.put_record(NOTE, "mark", json!({ "text": "writes go on" })).await.good();
    import(&alice, &car).await.good();
    let expected = read_export(&car).1;
    assert_eq!(read_export(&alice.export().await).1, expected);
    // The new repo is as durable as the old one was.
    server.kill();
    let server = server.restart().await;
    let alice = User::sign_in(&server.anonymous(), "alice").await;
    assert_eq!(read_export(&alice.export().await).1, expected);
    Rows::of(&server.data_dir()).swept().await;
    is_whole(dir.path()).await;
}

/// The disk fills up while an import is laid down: it is refused, the old repo stays, and what was laid down goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_fills_the_disk_leaves_the_old_repo() {
    let dir = TempDir::new().unwrap();
    let server = Process::start_limitable(dir.path()).await;
    if !limit_files(&server, None) {
        println!("SKIP: there is no prlimit here");
        return;
    }
    let alice = User::sign_in(&server.anonymous(), "alice").await;
    let before = alice.export().await;
    let car = filled(&alice, 6000).await;
    import(&alice, &before).await.good();
    alice.put_record(NOTE, "mark", json!({ "text": "old" })).await.good();
    let rows = Rows::of(&server.data_dir());
    rows.swept().await;
    let is_over = Cell::new(false);
    let importing = async {
        let reply = import(&alice, &car).await;
        is_over.set(true);
        reply
    };
    let filling = async {
        rows.laid_down(500, || is_over.get()).await.expect("the import is laid down in slices");
        assert!(limit_files(&server, Some(4096)));
    };
    let (reply, ()) = tokio::join!(importing, filling);
    assert_eq!(reply.summary(), "503 NotEnoughResources");
    assert_eq!(read_export(&alice.export().await).1.len(), 1, "the old repo is served");
    assert!(limit_files(&server, None));
    alice.put_record(NOTE, "mark", json!({ "text": "there is room" })).await.good();
    // The next import takes what the last one left with it.
    import(&alice, &car).await.good();
    rows.swept().await;
    assert_eq!(read_export(&alice.export().await).1, read_export(&car).1);
    is_whole(dir.path()).await;
}
