//! What others and the owner see of an account, a record or a blob that is not active.

use common::Cid;
use serde_json::{Value, json};

use crate::support::{Admin, Client, Frame, Reply, TestPds, User};

const POST: &str = "app.bsky.feed.post";
const PROFILE: &str = "app.bsky.actor.profile";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

/// A user with a post and a blob that its profile refers to.
struct Subject {
    user: User,
    rkey: String,
    blob: Value,
}

impl Subject {
    async fn create(pds: &TestPds, name: &str) -> Self {
        let user = pds.create_account(name).await;
        let rkey = user.create_post("hello").await;
        let blob = user.upload_png().await;
        user.put_record(PROFILE, "self", json!({ "$type": PROFILE, "avatar": blob })).await.good();
        Self { user, rkey, blob }
    }

    fn blob_cid(&self) -> &str {
        self.blob["ref"]["$link"].as_str().unwrap()
    }

    fn as_blob(&self) -> Value {
        json!({ "$type": "com.atproto.admin.defs#repoBlobRef", "did": self.user.did, "cid": self.blob_cid() })
    }

    /// All ways to read the repo as a repo, and what each answers.
    async fn sync_reads(&self, client: &Client) -> Vec<String> {
        let (head, did) = (Cid::raw(b"").to_string(), self.user.did.as_str());
        let reads: [(&str, &[(&str, &str)]); 8] = [
            ("getBlob", &[("cid", self.blob_cid())]),
            ("getBlocks", &[("cids", &head)]),
            ("getCheckout", &[]),
            ("getHead", &[]),
            ("getLatestCommit", &[]),
            ("getRecord", &[("collection", POST), ("rkey", &self.rkey)]),
            ("getRepo", &[]),
            ("listBlobs", &[]),
        ];
        let mut answers = Vec::new();
        for (method, extra) in reads {
            let params = [&[("did", did)], extra].concat();
            let reply = client.get(&format!("com.atproto.sync.{method}"), &params).await;
            answers.push(if reply.status == 200 { "200".to_owned() } else { reply.summary() });
        }
        answers
    }

    async fn repo_status(&self, client: &Client) -> Value {
        client.get("com.atproto.sync.getRepoStatus", &[("did", &self.user.did)]).await.json()
    }
}

impl User {
    async fn upload_png(&self) -> Value {
        self.post_bytes("com.atproto.repo.uploadBlob", "image/png", PNG.to_vec()).await.good().json()["blob"].clone()
    }

    async fn log_in(&self, allow_takendown: bool) -> Reply {
        let body = json!({ "identifier": self.did, "password": self.password, "allowTakendown": allow_takendown });
        self.post("com.atproto.server.createSession", &body).await
    }

    async fn refresh_session(&self) -> Reply {
        self.with_token(&self.refresh).post_nothing("com.atproto.server.refreshSession").await
    }

    fn as_record(&self, rkey: &str) -> Value {
        let uri = format!("at://{}/{POST}/{rkey}", self.did);
        json!({ "$type": "com.atproto.repo.strongRef", "uri": uri, "cid": Cid::dag_cbor(b"").to_string() })
    }
}

async fn resolve(client: &Client, handle: &str) -> Reply {
    client.get("com.atproto.identity.resolveHandle", &[("handle", handle)]).await
}

/// The events about an account but for its commits, as `#account takendown`.
async fn statuses(pds: &TestPds, user: &User, until: &str) -> Vec<String> {
    let told = |frame: &Frame| format!("{} {}", frame.kind, frame.text("status")).trim_end().to_owned();
    let mut follower = pds.follow(Some(0)).await;
    let frames = follower.until(|frame| frame.did() == user.did && told(frame) == until).await;
    let own = frames.iter().filter(|frame| frame.did() == user.did && frame.kind != "#commit");
    own.map(told).collect()
}

#[tokio::test]
async fn an_account_that_was_taken_down_can_be_neither_read_nor_used() {
    let pds = TestPds::start().await;
    let (admin, anyone) = (pds.admin(), pds.anonymous());
    let subject = Subject::create(&pds, "alice").await;
    let (alice, subject_ref) = (&subject.user, subject.user.as_subject());
    let echoed = admin.take_down(&subject_ref, true).await.good().json();
    assert_eq!(echoed, json!({ "subject": subject_ref, "takedown": { "applied": true, "ref": "case 1" } }));
    let status = admin.get("com.atproto.admin.getSubjectStatus", &[("did", &alice.did)]).await.good().json();
    let takedown = json!({ "applied": true, "ref": "case 1" });
    assert_eq!(status, json!({ "subject": subject_ref, "takedown": takedown, "deactivated": { "applied": false } }));

    assert_eq!(subject.sync_reads(&anyone).await, ["400 RepoTakendown"; 8]);
    let by_rkey = [("repo", alice.did.as_str()), ("collection", POST), ("rkey", &subject.rkey)];
    assert_eq!(anyone.get("com.atproto.repo.getRecord", &by_rkey).await.summary(), "400 RecordNotFound");
    assert_eq!(anyone.get("com.atproto.repo.listRecords", &by_rkey[..2]).await.summary(), "400 InvalidRequest");
    assert_eq!(anyone.get("com.atproto.repo.describeRepo", &by_rkey[..1]).await.summary(), "400 RepoTakendown");
    assert_eq!(resolve(&anyone, "alice.test").await.summary(), "400 HandleNotFound");
    let well_known = anyone.request("GET", "/.well-known/atproto-did").header("host", "alice.test");
    assert_eq!(anyone.send(well_known).await.status, 404);

    // A token of before is good for nothing but leaving.
    let (did, refused) = (&alice.did, "401 AccountTakedown");
    assert_eq!(alice.create_record(POST, json!({ "text": "x" })).await.summary(), refused);
    assert_eq!(alice.delete_record(POST, &subject.rkey).await.summary(), refused);
    assert_eq!(alice.apply_writes(json!([])).await.summary(), refused);
    assert_eq!(alice.post_bytes("com.atproto.repo.uploadBlob", "image/png", PNG.to_vec()).await.summary(), refused);
    assert_eq!(alice.get("com.atproto.server.getSession", &[]).await.summary(), refused);
    assert_eq!(alice.get("com.atproto.server.listAppPasswords", &[]).await.summary(), refused);
    assert_eq!(alice.post("com.atproto.identity.refreshIdentity", &json!({ "identifier": did })).await.summary(), refused);
    let to = |lxm: &'static str| [("aud", "did:web:a.test"), ("lxm", lxm)];
    assert_eq!(alice.get("com.atproto.server.getServiceAuth", &to("a.b.c")).await.summary(), "400 InvalidToken");
    alice.get("com.atproto.server.getServiceAuth", &to("com.atproto.server.createAccount")).await.good();
    let exports = ["400 InvalidRequest", "400 BlockNotFound"];
    let own = subject.sync_reads(alice).await;
    assert!(own.iter().all(|answer| answer == "200" || exports.contains(&answer.as_str())), "{own:?}");
    assert_eq!(own[6], "200", "the owner may take the repo elsewhere");

    // Sessions have ended, and new ones do little.
    assert_eq!(alice.refresh_session().await.summary(), refused);
    assert_eq!(alice.log_in(false).await.summary(), refused);
    let session = alice.log_in(true).await.good().json();
    assert_eq!((&session["active"], &session["status"]), (&json!(false), &json!("takendown")));
    let little = alice.with_token(session["accessJwt"].as_str().unwrap());
    assert_eq!(subject.sync_reads(&little).await, own);
    assert_eq!(little.get("com.atproto.server.getSession", &[]).await.summary(), "400 InvalidToken");

    admin.take_down(&subject_ref, false).await.good();
    assert_eq!(alice.refresh_session().await.summary(), "400 ExpiredToken", "a session that was ended stays so");
    alice.log_in(false).await.good();
    assert_eq!(resolve(&anyone, "alice.test").await.good().json()["did"], json!(did));
    alice.create_post("back").await;
    assert_eq!(statuses(&pds, alice, "#sync").await, ["#identity", "#account", "#sync"]);
    let all = statuses(&pds, alice, "#account takendown").await;
    assert_eq!(all, ["#identity", "#account", "#sync", "#account takendown"]);
    pds.stop().await;
}

#[tokio::test]
async fn each_status_is_told_by_its_name() {
    let pds = TestPds::start().await;
    let (admin, anyone) = (pds.admin(), pds.anonymous());
    let takendown = Subject::create(&pds, "takendown").await;
    let suspended = Subject::create(&pds, "suspended").await;
    let deactivated = Subject::create(&pds, "deactivated").await;
    let deleted = Subject::create(&pds, "deleted").await;
    let active = Subject::create(&pds, "active").await;

    admin.take_down(&takendown.user.as_subject(), true).await.good();
    suspend(&pds, &suspended.user.did);
    deactivated.user.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    admin.post("com.atproto.admin.deleteAccount", &json!({ "did": deleted.user.did })).await.good();

    for (subject, error, status) in [
        (&takendown, "400 RepoTakendown", "takendown"),
        (&suspended, "400 RepoSuspended", "suspended"),
        (&deactivated, "400 RepoDeactivated", "deactivated"),
    ] {
        assert_eq!(subject.sync_reads(&anyone).await, [error; 8], "{status}");
        let expected = json!({ "did": subject.user.did, "active": false, "status": status });
        assert_eq!(subject.repo_status(&anyone).await, expected);
        let seen_by_admin = admin.get("com.atproto.sync.getRepo", &[("did", &subject.user.did)]).await;
        assert_eq!(seen_by_admin.status, 200);
    }
    assert_eq!(deleted.sync_reads(&anyone).await, ["400 RepoNotFound"; 8]);
    assert_eq!(deleted.repo_status(&anyone).await["error"], "RepoNotFound");
    assert_eq!(active.repo_status(&anyone).await["active"], true);

    let listed = anyone.get("com.atproto.sync.listRepos", &[]).await.good().json();
    let listed = listed["repos"].as_array().unwrap().iter();
    let listed: Vec<(&Value, &Value)> = listed.map(|repo| (&repo["active"], &repo["status"])).collect();
    let (no, yes) = (json!(false), json!(true));
    let names = ["takendown", "suspended", "deactivated"].map(Value::from);
    assert_eq!(listed, [(&no, &names[0]), (&no, &names[1]), (&no, &names[2]), (&yes, &Value::Null)]);
    let by_collection = anyone.get("com.atproto.sync.listReposByCollection", &[("collection", POST)]).await.good().json();
    assert_eq!(by_collection["repos"], json!([{ "did": active.user.did }]));

    for (user, last) in [
        (&takendown.user, "#account takendown"),
        (&deactivated.user, "#account deactivated"),
        (&deleted.user, "#account deleted"),
    ] {
        assert_eq!(statuses(&pds, user, last).await.last().unwrap(), last);
    }
    let suspended = &suspended.user;
    assert_eq!(suspended.create_record(POST, json!({ "text": "x" })).await.summary(), "401 AccountTakedown");
    assert_eq!(suspended.log_in(false).await.summary(), "401 AccountTakedown");
    assert_eq!(deactivated.user.create_record(POST, json!({ "text": "x" })).await.summary(), "401 AccountDeactivated");
    deactivated.user.log_in(false).await.good();
    assert_eq!(deleted.user.log_in(false).await.summary(), "401 AuthenticationRequired");
    assert_eq!(deleted.user.create_record(POST, json!({ "text": "x" })).await.summary(), "403 AccountNotFound");
    pds.stop().await;
}

/// Suspends an account, for which there is no method yet.
fn suspend(pds: &TestPds, did: &str) {
    let conn = rusqlite::Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    conn.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    assert_eq!(conn.execute("UPDATE account SET suspended_at = 1 WHERE did = ?1", [did]).unwrap(), 1);
}

#[tokio::test]
async fn an_admin_deactivates_and_activates() {
    let pds = TestPds::start().await;
    let admin = pds.admin();
    let alice = pds.create_account("alice").await;
    admin.deactivate(&alice, true).await.good();
    assert_eq!(alice.create_record(POST, json!({ "text": "x" })).await.summary(), "401 AccountDeactivated");
    let status = admin.get("com.atproto.admin.getSubjectStatus", &[("did", &alice.did)]).await.good().json();
    assert_eq!((&status["deactivated"], &status["takedown"]), (&json!({ "applied": true }), &json!({ "applied": false })));

    // A takedown wins, and is not undone by the owner.
    admin.take_down(&alice.as_subject(), true).await.good();
    admin.deactivate(&alice, false).await.good();
    assert_eq!(alice.post_nothing("com.atproto.server.activateAccount").await.summary(), "401 AccountTakedown");
    admin.deactivate(&alice, true).await.good();
    admin.take_down(&alice.as_subject(), false).await.good();
    assert_eq!(alice.create_record(POST, json!({ "text": "x" })).await.summary(), "401 AccountDeactivated");

    // Nothing to change is a way to tell the network again.
    let nothing = json!({ "subject": alice.as_subject() });
    admin.post("com.atproto.admin.updateSubjectStatus", &nothing).await.good();
    admin.deactivate(&alice, false).await.good();
    alice.create_post("back").await;
    let mut follower = pds.follow(Some(0)).await;
    let frames = follower.until(|frame| frame.kind == "#commit" && !frame.ops().is_empty()).await;
    let told = frames.iter().filter(|frame| frame.kind != "#commit");
    let told: Vec<String> = told.map(|frame| format!("{} {}", frame.kind, frame.text("status"))).collect();
    assert_eq!(
        told.iter().map(|told| told.trim_end()).collect::<Vec<_>>(),
        [
            "#identity",
            "#account",
            "#sync",
            "#account deactivated",
            "#account takendown",
            "#account takendown",
            "#account takendown",
            "#account deactivated",
            "#account deactivated",
            "#account",
            "#identity",
            "#sync",
        ]
    );
    pds.stop().await;
}

#[tokio::test]
async fn a_record_is_taken_down_for_readers_of_records_and_not_for_the_repo() {
    let pds = TestPds::start().await;
    let admin = pds.admin();
    let alice = pds.create_account("alice").await;
    let (rkey, other) = (alice.create_post("bad").await, alice.create_post("good").await);
    let listed = async || {
        let params = [("repo", alice.did.as_str()), ("collection", POST)];
        let listed = alice.get("com.atproto.repo.listRecords", &params).await.good().json();
        listed["records"].as_array().unwrap().len()
    };
    let export = alice.export().await;
    let subject = alice.as_record(&rkey);
    admin.take_down(&subject, true).await.good();
    let uri = subject["uri"].as_str().unwrap();
    let status = admin.get("com.atproto.admin.getSubjectStatus", &[("uri", uri)]).await.good().json();
    assert_eq!((&status["subject"]["uri"], &status["takedown"]["ref"]), (&subject["uri"], &json!("case 1")));

    assert_eq!(alice.get_record(POST, &rkey).await.summary(), "400 RecordNotFound");
    alice.get_record(POST, &other).await.good();
    assert_eq!(listed().await, 1);
    let params = [("did", alice.did.as_str()), ("collection", POST), ("rkey", &rkey)];
    alice.get("com.atproto.sync.getRecord", &params).await.good();
    assert_eq!(alice.export().await, export);
    // It stays hidden when its owner changes it.
    alice.put_record(POST, &rkey, json!({ "text": "changed", "createdAt": "2026-01-01T00:00:00Z" })).await.good();
    assert_eq!(alice.get_record(POST, &rkey).await.summary(), "400 RecordNotFound");

    admin.take_down(&subject, false).await.good();
    assert_eq!(alice.get_record(POST, &rkey).await.good().json()["value"]["text"], "changed");
    assert_eq!(listed().await, 2);
    assert_eq!(admin.take_down(&alice.as_record("nothing"), true).await.summary(), "400 NotFound");
    let bare = json!({ "$type": "com.atproto.repo.strongRef", "uri": format!("at://{}", alice.did), "cid": subject["cid"] });
    assert_eq!(admin.take_down(&bare, true).await.summary(), "400 InvalidRequest");
    pds.stop().await;
}

#[tokio::test]
async fn a_blob_that_was_taken_down_is_neither_served_nor_taken_nor_referred_to() {
    let pds = TestPds::start().await;
    let admin = pds.admin();
    let subject = Subject::create(&pds, "alice").await;
    let bob = Subject::create(&pds, "bob").await;
    let (alice, cid) = (&subject.user, subject.blob_cid());
    let get =
        async |client: &Client, did: &str| client.get("com.atproto.sync.getBlob", &[("did", did), ("cid", cid)]).await.status;
    admin.take_down(&subject.as_blob(), true).await.good();
    let params = [("did", alice.did.as_str()), ("blob", cid)];
    let status = admin.get("com.atproto.admin.getSubjectStatus", &params).await.good().json();
    assert_eq!((&status["subject"]["cid"], &status["takedown"]["applied"]), (&json!(cid), &json!(true)));

    assert_eq!((get(alice, &alice.did).await, get(alice, &bob.user.did).await), (400, 200));
    let again = alice.post_bytes("com.atproto.repo.uploadBlob", "image/png", PNG.to_vec()).await;
    assert_eq!(again.summary(), "400 InvalidRequest");
    let profile = json!({ "$type": PROFILE, "displayName": "Alice", "avatar": subject.blob });
    assert_eq!(alice.put_record(PROFILE, "self", profile.clone()).await.summary(), "400 BlobNotFound");
    // Also when nothing refers to it any more.
    alice.delete_record(PROFILE, "self").await.good();
    assert_eq!(alice.put_record(PROFILE, "self", profile.clone()).await.summary(), "400 BlobNotFound");

    admin.take_down(&subject.as_blob(), false).await.good();
    alice.put_record(PROFILE, "self", profile).await.good();
    assert_eq!(get(alice, &alice.did).await, 200);
    let other = json!({ "$type": "com.atproto.admin.defs#repoBlobRef", "did": alice.did, "cid": Cid::raw(b"x").to_string() });
    assert_eq!(admin.take_down(&other, true).await.summary(), "400 NotFound");
    pds.stop().await;
}

/// A write looks at the account, and is stored a while later. One that was on its way when the account was deactivated used to
/// follow the `#account` event, and consumers drop what comes from an account that is not active: they had another repo then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_commit_follows_the_event_that_ends_an_account() {
    let pds = TestPds::start().await;
    let (admin, alice) = (pds.admin(), pds.create_account("alice").await);
    for round in 0..8 {
        let writes = (0..24).map(|_| {
            let alice = alice.clone();
            tokio::spawn(async move { alice.create_record("a.b.c", json!({ "n": 1 })).await })
        });
        let writes: Vec<_> = writes.collect();
        end_and_begin(&admin, &alice, round % 2 == 0).await;
        for write in writes {
            let reply = write.await.unwrap();
            let refused = ["401 AccountDeactivated", "401 AccountTakedown", "503 NotEnoughResources"];
            assert!(reply.status == 200 || refused.contains(&reply.summary().as_str()), "{}", reply.text());
        }
    }
    let last = alice.create_post("the last").await;
    let mut follower = pds.follow(Some(0)).await;
    let frames = follower.until(|frame| frame.ops().iter().any(|op| op.ends_with(&last))).await;
    let mut active = true;
    for frame in frames {
        match frame.kind.as_str() {
            "#account" => active = frame.text("status").is_empty(),
            "#commit" => assert!(active, "a commit of an account that is not active"),
            _ => {}
        }
    }
    pds.stop().await;
}

async fn end_and_begin(admin: &Admin, user: &User, by_takedown: bool) {
    if by_takedown {
        admin.take_down(&user.as_subject(), true).await.good();
        admin.take_down(&user.as_subject(), false).await.good();
    } else {
        admin.deactivate(user, true).await.good();
        admin.deactivate(user, false).await.good();
    }
}
