use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use common::Clock;
use crypto::plc::{LogEntry, PlcOperation, RECOVERY_WINDOW_MILLIS, Service, State, Tombstone, UnsignedOperation, verify_log};
use crypto::{Curve, SigningKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::*;

/// 2024-01-02T03:04:05.678Z.
const START_MILLIS: i64 = 1_704_164_645_678;

#[derive(Debug)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst) as u64)
    }
}

/// A directory in a temporary folder, whose time stands still until it is moved.
struct Directory {
    router: Router,
    clock: Arc<TestClock>,
    dir: TempDir,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    content_type: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

impl Directory {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(START_MILLIS)));
        let router = open(&dir, &clock);
        Self { router, clock, dir }
    }

    fn reopen(self) -> Self {
        let Self { router, clock, dir } = self;
        drop(router);
        Self { router: open(&dir, &clock), clock, dir }
    }

    fn advance(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let content_type = parts.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
        Answer { status: parts.status, content_type, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, did: &Did, body: impl Into<Body>) -> Answer {
        let request = Request::post(format!("/{did}")).header(CONTENT_TYPE, "application/json").body(body.into());
        self.send(request.unwrap()).await
    }

    async fn submit(&self, did: &Did, operation: &Operation) -> Answer {
        self.post(did, serde_json::to_string(operation).unwrap()).await
    }

    async fn accept(&self, did: &Did, operation: &Operation) {
        let answer = self.submit(did, operation).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "OK"));
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    }

    /// Returns why `operation` is refused, and checks that nothing was stored.
    async fn refuse(&self, did: &Did, operation: &Operation) -> String {
        let before = self.get(&format!("/{did}/log/audit")).await.text;
        let answer = self.submit(did, operation).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(self.get(&format!("/{did}/log/audit")).await.text, before);
        answer.message()
    }

    async fn handle(&self, did: &Did) -> String {
        self.get(&format!("/{did}/data")).await.json()["alsoKnownAs"][0].as_str().unwrap().to_owned()
    }

    /// Returns the audit log and what a verifier that trusts nobody makes of it.
    async fn audit(&self, did: &Did) -> (Vec<LogEntry>, State) {
        let answer = self.get(&format!("/{did}/log/audit")).await;
        let entries: Vec<_> = answer.json().as_array().unwrap().iter().map(|entry| read_entry(did, entry)).collect();
        let state = verify_log(did, &entries).unwrap();
        (entries, state)
    }
}

fn open(dir: &TempDir, clock: &Arc<TestClock>) -> Router {
    router(PlcStore::open(&dir.path().join("plc.sqlite"), Arc::clone(clock) as _).unwrap())
}

fn read_entry(did: &Did, entry: &Value) -> LogEntry {
    assert_eq!(entry["did"], did.as_str());
    assert_eq!(entry.as_object().unwrap().len(), 5);
    let created_at: common::Datetime = entry["createdAt"].as_str().unwrap().parse().unwrap();
    LogEntry {
        operation: Operation::from_json(entry["operation"].clone()).unwrap(),
        cid: entry["cid"].as_str().unwrap().parse().unwrap(),
        nullified: entry["nullified"].as_bool().unwrap(),
        created_at_millis: created_at.millis(),
    }
}

/// The owner's key stands above the server's.
fn owner() -> SigningKey {
    SigningKey::from_bytes(Curve::P256, &[1; 32]).unwrap()
}

fn server() -> SigningKey {
    SigningKey::from_bytes(Curve::K256, &[2; 32]).unwrap()
}

fn stranger() -> SigningKey {
    SigningKey::from_bytes(Curve::K256, &[3; 32]).unwrap()
}

fn did_key(key: &SigningKey) -> String {
    key.verifying_key().to_did_key()
}

fn named(name: &str, prev: Option<Cid>) -> UnsignedOperation {
    let pds = Service { r#type: "AtprotoPersonalDataServer".into(), endpoint: "https://pds.example".into() };
    UnsignedOperation::Plc(PlcOperation {
        rotation_keys: vec![did_key(&owner()), did_key(&server())],
        verification_methods: BTreeMap::from([("atproto".into(), did_key(&server()))]),
        also_known_as: vec![format!("at://{name}.example")],
        services: BTreeMap::from([("atproto_pds".into(), pds)]),
        prev,
    })
}

fn genesis(name: &str) -> (Did, Operation) {
    let operation = named(name, None).sign(&server());
    (operation.derived_did(), operation)
}

fn tombstone(prev: Cid) -> UnsignedOperation {
    UnsignedOperation::Tombstone(Tombstone { prev })
}

#[tokio::test]
async fn a_did_is_created_and_shown_in_every_form() {
    let directory = Directory::new();
    let (did, create) = genesis("alice");
    for path in [format!("/{did}"), format!("/{did}/data"), format!("/{did}/log"), format!("/{did}/log/last")] {
        let answer = directory.get(&path).await;
        assert_eq!((answer.status, answer.message()), (StatusCode::NOT_FOUND, format!("DID not registered: {did}")));
    }

    directory.accept(&did, &create).await;

    let document = directory.get(&format!("/{did}")).await;
    assert_eq!(document.content_type, "application/did+ld+json; charset=utf-8");
    assert_eq!(document.json(), did_document(&create.data(&did).unwrap()));
    // Clients send the DID with its colons escaped.
    let escaped = directory.get(&format!("/{}/data", did.as_str().replace(':', "%3A"))).await;
    assert_eq!(
        escaped.json(),
        json!({
            "did": did,
            "rotationKeys": [did_key(&owner()), did_key(&server())],
            "verificationMethods": { "atproto": did_key(&server()) },
            "alsoKnownAs": ["at://alice.example"],
            "services": { "atproto_pds": { "type": "AtprotoPersonalDataServer", "endpoint": "https://pds.example" } },
        })
    );
    assert_eq!(directory.get(&format!("/{did}/log")).await.json(), json!([create]));
    assert_eq!(directory.get(&format!("/{did}/log/last")).await.json(), json!(create));
    let entry = json!({
        "did": did, "operation": create, "cid": create.cid(), "nullified": false, "createdAt": "2024-01-02T03:04:05.678Z",
    });
    assert_eq!(directory.get(&format!("/{did}/log/audit")).await.json(), json!([entry]));
    assert_eq!(directory.get("/export").await.json(), entry);
}

#[tokio::test]
async fn an_update_follows_and_outlives_a_restart() {
    let directory = Directory::new();
    let (did, create) = genesis("alice");
    let update = named("alicia", Some(create.cid())).sign(&server());
    directory.accept(&did, &create).await;
    directory.accept(&did, &update).await;

    let directory = directory.reopen();
    assert_eq!(directory.handle(&did).await, "at://alicia.example");
    assert_eq!(directory.get(&format!("/{did}/log")).await.json(), json!([create, update]));
    let (entries, _) = directory.audit(&did).await;
    // The clock stood still, but times differ all the same.
    assert_eq!(entries[1].created_at_millis, START_MILLIS + 1);
}

#[tokio::test]
async fn a_higher_key_replaces_an_operation_within_72_hours() {
    let directory = Directory::new();
    let (did, create) = genesis("alice");
    directory.accept(&did, &create).await;
    let theft = named("mallory", Some(create.cid())).sign(&server());
    let more = named("mallory2", Some(theft.cid())).sign(&server());
    directory.accept(&did, &theft).await;
    directory.accept(&did, &more).await;

    let rescue = named("rescued", Some(create.cid()));
    let by_equal = directory.refuse(&did, &rescue.clone().sign(&server())).await;
    assert!(by_equal.contains("no key above"), "{by_equal}");
    // The theft came a millisecond after the creation.
    directory.advance(RECOVERY_WINDOW_MILLIS + 1);
    directory.accept(&did, &rescue.sign(&owner())).await;

    assert_eq!(directory.handle(&did).await, "at://rescued.example");
    let (entries, state) = directory.audit(&did).await;
    assert_eq!(entries.iter().map(|entry| entry.nullified).collect::<Vec<_>>(), [false, true, true, false]);
    assert!(matches!(state, State::Active(data) if data.also_known_as == ["at://rescued.example"]));
    assert_eq!(directory.get(&format!("/{did}/log")).await.json().as_array().unwrap().len(), 2);
    // What is nullified cannot be built upon.
    let late = directory.refuse(&did, &named("mallory3", Some(more.cid())).sign(&server())).await;
    assert!(late.contains("in force"), "{late}");
}

#[tokio::test]
async fn after_72_hours_an_operation_stays() {
    let directory = Directory::new();
    let (did, create) = genesis("alice");
    let update = named("alicia", Some(create.cid())).sign(&server());
    directory.accept(&did, &create).await;
    directory.accept(&did, &update).await;
    directory.advance(RECOVERY_WINDOW_MILLIS + 2);
    let message = directory.refuse(&did, &named("rescued", Some(create.cid())).sign(&owner())).await;
    assert!(message.contains("72 hours"), "{message}");
}

#[tokio::test]
async fn a_tombstone_ends_a_did_until_it_is_recovered() {
    let directory = Directory::new();
    let (did, create) = genesis("alice");
    let end = tombstone(create.cid()).sign(&server());
    directory.accept(&did, &create).await;
    directory.accept(&did, &end).await;

    for path in [format!("/{did}"), format!("/{did}/data")] {
        let answer = directory.get(&path).await;
        assert_eq!((answer.status, answer.message()), (StatusCode::NOT_FOUND, format!("DID not available: {did}")));
    }
    assert_eq!(directory.get(&format!("/{did}/log/last")).await.json(), json!(end));
    assert_eq!(directory.audit(&did).await.1, State::Tombstoned);
    let message = directory.refuse(&did, &named("risen", Some(end.cid())).sign(&owner())).await;
    assert!(message.contains("tombstone"), "{message}");

    directory.accept(&did, &named("risen", Some(create.cid())).sign(&owner())).await;
    assert_eq!(directory.handle(&did).await, "at://risen.example");
}

#[tokio::test]
async fn operations_against_the_rules_are_refused() {
    let directory = Directory::new();
    let (did, create) = genesis("alice");
    let (other, other_create) = genesis("bob");

    let message = directory.refuse(&did, &other_create).await;
    assert!(message.contains(other.as_str()), "{message}");
    let unsigned = named("alice", None).sign(&stranger());
    let message = directory.refuse(&unsigned.derived_did(), &unsigned).await;
    assert!(message.contains("no rotation key"), "{message}");
    let message = directory.refuse(&did, &tombstone(create.cid()).sign(&server())).await;
    assert!(message.contains("must create the DID"), "{message}");

    directory.accept(&did, &create).await;
    let message = directory.refuse(&did, &create).await;
    assert!(message.contains("first operation"), "{message}");
    let message = directory.refuse(&did, &named("x", Some(create.cid())).sign(&stranger())).await;
    assert!(message.contains("no rotation key"), "{message}");
    let message = directory.refuse(&did, &named("x", Some(other_create.cid())).sign(&server())).await;
    assert!(message.contains("in force"), "{message}");
    let message = directory.refuse(&did, &named(&"x".repeat(300), Some(create.cid())).sign(&server())).await;
    assert!(message.contains("characters"), "{message}");
}

#[tokio::test]
async fn bodies_that_are_no_operations_are_refused() {
    let directory = Directory::new();
    let (did, create) = genesis("alice");
    let mut unknown_field = json!(create);
    unknown_field["extra"] = json!(1);
    let bodies = [
        ("{".to_owned(), StatusCode::BAD_REQUEST),
        ("[]".to_owned(), StatusCode::BAD_REQUEST),
        (unknown_field.to_string(), StatusCode::BAD_REQUEST),
        (format!("\"{}\"", "x".repeat(MAX_BODY_BYTES)), StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (body, status) in bodies {
        let answer = directory.post(&did, body).await;
        assert_eq!(answer.status, status);
        assert!(!answer.message().is_empty());
    }
    let untyped = Request::post(format!("/{did}")).body(Body::from(serde_json::to_string(&create).unwrap())).unwrap();
    assert_eq!(directory.send(untyped).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let no_did = Request::post("/hello").header(CONTENT_TYPE, "application/json").body(Body::from(json!(create).to_string()));
    assert_eq!(directory.send(no_did.unwrap()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(directory.get(&format!("/{did}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_operations_that_come_at_once_one_is_taken() {
    let directory = Directory::new();
    let (did, create) = genesis("alice");
    directory.accept(&did, &create).await;
    let rivals: Vec<_> = (0..8).map(|n| named(&format!("rival{n}"), Some(create.cid())).sign(&server())).collect();
    let answers = rivals.iter().map(|operation| directory.submit(&did, operation));
    let answers = futures_util::future::join_all(answers).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
    assert_eq!(directory.audit(&did).await.0.len(), 2);
}

#[tokio::test]
async fn the_export_goes_by_pages() {
    let directory = Directory::new();
    assert_eq!(directory.get("/export").await.text, "");
    let mut dids = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let (did, create) = genesis(name);
        directory.accept(&did, &create).await;
        dids.push(did);
    }

    let page = directory.get("/export?count=2").await;
    assert_eq!(page.content_type, "application/jsonlines");
    let lines: Vec<Value> = page.text.split('\n').map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| &line["did"]).collect::<Vec<_>>(), [dids[0].as_str(), dids[1].as_str()]);
    let after = lines[1]["createdAt"].as_str().unwrap();
    assert_eq!(directory.get(&format!("/export?count=2&after={after}")).await.json()["did"], dids[2].as_str());

    let sequenced = directory.get("/export?after=2").await.json();
    assert_eq!((&sequenced["seq"], &sequenced["type"]), (&json!(3), &json!("sequenced_op")));
    assert_eq!(sequenced["did"], dids[2].as_str());
    for query in ["count=0", "count=x", "after=yesterday", "after=99999999999999999999"] {
        assert_eq!(directory.get(&format!("/export?{query}")).await.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn the_other_pages_answer() {
    let directory = Directory::new();
    assert_eq!(directory.get("/_health").await.json(), json!({ "version": env!("CARGO_PKG_VERSION") }));
    assert_eq!(directory.get("/").await.content_type, "text/plain; charset=utf-8");
    assert_eq!(directory.get("/a/b/c/d").await.message(), "No such page");
    let request = Request::builder().method(Method::DELETE).uri("/did:plc:x").body(Body::empty()).unwrap();
    assert_eq!(directory.send(request).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn a_file_of_a_later_schema_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("plc.sqlite");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let clock = Arc::new(TestClock(AtomicI64::new(START_MILLIS)));
    assert!(matches!(PlcStore::open(&path, clock), Err(PlcStoreError::FromTheFuture { found: 7 })));
}
