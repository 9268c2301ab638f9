//! Every route of the table, called with what no good client would send: nothing breaks, and nothing changes.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, Client, TestPds, User};

/// Methods that take no input, or none that is required, so that a good token alone makes them act.
const ACT_ON_A_TOKEN: [&str; 2] = ["com.atproto.server.activateAccount", "com.atproto.server.deactivateAccount"];

/// Returns verb and NSID of every method that the router serves, out of its table.
fn routes() -> Vec<(&'static str, &'static str)> {
    let table = include_str!("../../src/router.rs");
    let verb = |line: &'static str| {
        let line = line.trim();
        let (verb, rest) = line
            .strip_prefix(".query(\"")
            .map(|rest| ("GET", rest))
            .or(line.strip_prefix(".procedure(\"").map(|rest| ("POST", rest)))?;
        Some((verb, rest.split('"').next()?))
    };
    table.lines().filter_map(verb).collect()
}

/// One request of the storm.
struct Shot {
    verb: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Shot {
    async fn fire(&self, client: &Client) -> (u16, String) {
        let mut request = client.request(self.verb, &self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let reply = client.send(request).await;
        (reply.status, reply.text())
    }

    fn name(&self) -> String {
        let body = self.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        format!("{} {} {:?} {:.200}", self.verb, self.path, self.headers, body)
    }
}

/// Fires all, and asserts that each is answered by an error that is the caller's, or by success.
async fn storm(client: &Client, shots: Vec<Shot>) -> BTreeMap<u16, usize> {
    let mut answers =
        futures_util::stream::iter(&shots).map(|shot| async move { (shot, shot.fire(client).await) }).buffer_unordered(32);
    let mut statuses = BTreeMap::new();
    while let Some((shot, (status, text))) = answers.next().await {
        assert!(status < 500, "{}: {status} {text}", shot.name());
        if status >= 400 {
            let error: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}: {status} {text}", shot.name()));
            assert!(error["error"].is_string() && error["message"].is_string(), "{}: {text}", shot.name());
        }
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}

async fn repos(pds: &TestPds) -> Value {
    pds.anonymous().get("com.atproto.sync.listRepos", &[]).await.good().json()
}

/// Asserts that the next event of the firehose is the one that this makes.
async fn nothing_happened(pds: &TestPds, user: &User, before: &Value, follower: &mut crate::support::Follower, last_seq: i64) {
    assert_eq!(repos(pds).await, *before);
    let commit = user.create_record("a.b.c", json!({})).await.good().json()["commit"].clone();
    let frame = follower.next().await.unwrap();
    assert_eq!((frame.kind.as_str(), frame.text("rev")), ("#commit", commit["rev"].as_str().unwrap()));
    assert_eq!(frame.seq(), last_seq + 1, "no event in between");
}

/// Values of every kind, for fields of every kind.
fn wrong_values() -> Vec<Value> {
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0.5),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!("../../etc/passwd"),
        json!("' OR 1=1 --"),
        json!("x".repeat(5000)),
        json!("did:plc:ewvi7nxzyoun6zhxrhs64oiz"),
        json!("\u{202e}\u{feff}💥"),
        json!([]),
        json!([null]),
        json!([[], {}]),
        json!({}),
        json!({ "$type": 1 }),
        json!({ "$link": "x" }),
        deep,
    ]
}

/// The fields of all inputs of the family, and one that none has.
const FIELDS: [&str; 24] = [
    "repo",
    "collection",
    "rkey",
    "record",
    "validate",
    "writes",
    "swapRecord",
    "swapCommit",
    "handle",
    "email",
    "did",
    "password",
    "inviteCode",
    "recoveryKey",
    "plcOp",
    "identifier",
    "allowTakendown",
    "name",
    "privileged",
    "useCount",
    "codeCount",
    "forAccount",
    "deleteAfter",
    "unknown",
];

const PARAMS: [&str; 17] = [
    "repo",
    "collection",
    "rkey",
    "cid",
    "did",
    "cids",
    "since",
    "limit",
    "cursor",
    "reverse",
    "handle",
    "identifier",
    "hostname",
    "aud",
    "lxm",
    "exp",
    "includeUsed",
];

/// A body that is plausible, for tokens that are not.
fn plausible(user: &User, nsid: &str) -> Value {
    let create = json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": "a.b.c", "value": {} });
    match nsid {
        "com.atproto.server.createAccount" => {
            json!({ "handle": "nobody.test", "did": user.did, "email": "n@example.com", "password": "p" })
        }
        "com.atproto.repo.applyWrites" => json!({ "repo": user.did, "writes": [create] }),
        _ => json!({
            "repo": user.did, "collection": "a.b.c", "rkey": "hostile", "record": {}, "name": "hostile", "useCount": 1,
            "identifier": user.did, "password": "wrong",
        }),
    }
}

fn query(user: &User) -> String {
    format!(
        "?repo={0}&did={0}&collection=a.b.c&rkey=key&handle=alice.test&identifier={0}&hostname=localhost\
         &aud=did:web:x.example.com&lxm=com.example.method&cids={1}&cid={1}",
        user.did, "bafyreihffx5a2e7k5uwrmmgofbvzujc5cmw5h4espouwuxt3liqoflx3ee"
    )
}

fn sockets(nsid: &str) -> bool {
    nsid == "com.atproto.sync.subscribeRepos"
}

#[tokio::test]
async fn the_table_is_found() {
    let routes = routes();
    assert!(routes.len() >= 40, "{routes:?}");
    assert!(
        routes.contains(&("GET", "com.atproto.repo.getRecord")) && routes.contains(&("POST", "com.atproto.repo.putRecord"))
    );
}

/// Tokens that are somebody's, but not good for anything here.
#[tokio::test]
async fn a_token_that_is_no_good_changes_nothing() {
    let (pds, elsewhere) = (TestPds::start().await, TestPds::start().await);
    let alice = pds.create_account("alice").await;
    let stranger = elsewhere.create_account("alice").await;
    let aud =
        pds.anonymous().get("com.atproto.server.describeServer", &[]).await.good().json()["did"].as_str().unwrap().to_owned();
    let service = async |user: &User, lxm: &str| {
        let reply = user.get("com.atproto.server.getServiceAuth", &[("aud", &aud), ("lxm", lxm)]).await.good();
        format!("Bearer {}", reply.json()["token"].as_str().unwrap())
    };
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let payload = alice.access.split('.').nth(1).unwrap();
    let basic = |text: &str| format!("Basic {}", data_encoding::BASE64.encode(text.as_bytes()));
    let authorizations = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer garbage".to_owned(),
        "Bearer a.b.c".to_owned(),
        format!("Bearer {}", "x".repeat(8000)),
        format!("Bearer {}", stranger.access),
        format!("Bearer {}", stranger.refresh),
        format!("Bearer {}.{payload}.", part(json!({ "alg": "none", "typ": "at+jwt" }))),
        format!("Bearer {}.{payload}.{}", part(json!({ "alg": "HS256" })), "A".repeat(43)),
        format!("DPoP {}", alice.access),
        format!("Negotiate {}", alice.access),
        service(&alice, "com.example.method").await,
        service(&stranger, "com.atproto.server.createAccount").await,
        service(&stranger, "com.atproto.repo.uploadBlob").await,
        basic("admin:wrong"),
        basic(&format!("alice.test:{ADMIN_PASSWORD}")),
        basic("no colon"),
        "Basic !!!".to_owned(),
    ];
    let mut follower = pds.follow(Some(0)).await;
    let last = follower.until(|frame| frame.kind == "#sync").await.pop().unwrap().seq();
    let before = repos(&pds).await;
    let mut shots = Vec::new();
    for (verb, nsid) in routes() {
        if sockets(nsid) || nsid == "com.atproto.server.createSession" {
            continue;
        }
        for authorization in &authorizations {
            let mut headers = Vec::from_iter((!authorization.is_empty()).then(|| ("authorization", authorization.clone())));
            let mut path = format!("/xrpc/{nsid}");
            let mut body = None;
            if verb == "GET" {
                path += &query(&alice);
            } else if nsid != "com.atproto.server.refreshSession" && nsid != "com.atproto.server.activateAccount" {
                headers.push(("content-type", "application/json".to_owned()));
                body = Some(plausible(&alice, nsid).to_string().into_bytes());
            }
            shots.push(Shot { verb, path, headers, body });
        }
    }
    let statuses = storm(&pds.anonymous(), shots).await;
    assert!(statuses[&400] > 300 && statuses[&401] > 50, "{statuses:?}");
    nothing_happened(&pds, &alice, &before, &mut follower, last).await;
}

/// Good tokens of every kind, with input that is none.
#[tokio::test]
async fn input_that_makes_no_sense_changes_nothing() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut follower = pds.follow(Some(0)).await;
    let last = follower.until(|frame| frame.kind == "#sync").await.pop().unwrap().seq();
    let before = repos(&pds).await;
    let admin = format!("Basic {}", data_encoding::BASE64.encode(format!("admin:{ADMIN_PASSWORD}").as_bytes()));
    let access = format!("Bearer {}", alice.access);
    let mut shots = Vec::new();
    for (verb, nsid) in routes() {
        if sockets(nsid) {
            continue;
        }
        let authorization = if nsid.contains("createInviteCode") { &admin } else { &access };
        let mut push = |path: String, content_type: Option<&str>, body: Option<Vec<u8>>| {
            let mut headers = vec![("authorization", authorization.clone())];
            headers.extend(content_type.map(|content_type| ("content-type", content_type.to_owned())));
            if nsid == "com.atproto.server.createAccount" || nsid == "com.atproto.server.createSession" {
                headers.remove(0);
            }
            shots.push(Shot { verb, path, headers, body });
        };
        let path = format!("/xrpc/{nsid}");
        if verb == "GET" {
            push(path.clone(), None, None);
            for strange in ["?", "?&&==", "?%00=%00", "?did", "?did=%ff%fe", "?%", "?limit=1&limit=x", "?did[]=a&did[0]=b"] {
                push(format!("{path}{strange}"), None, None);
            }
            for param in PARAMS {
                for wrong in
                    ["x", "-1", "99999999999999999999", "%00", "%27%20OR%201=1--", "..%2f..", "%F0%9F%92%A5", "did:web:%00"]
                {
                    // Of the same parameter the first or the second counts; both are tried.
                    push(format!("{path}{}&{param}={wrong}", query(&alice)), None, None);
                    push(format!("{path}?{param}={wrong}{}", query(&alice).replacen('?', "&", 1)), None, None);
                }
            }
            continue;
        }
        if ACT_ON_A_TOKEN.contains(&nsid) || nsid == "com.atproto.repo.uploadBlob" {
            push(path.clone(), Some("application/json"), Some(b"{\"deleteAfter\":1".to_vec()));
            push(path.clone(), Some("text"), Some(b"{\"deleteAfter\":1}".to_vec()));
            continue;
        }
        push(path.clone(), None, None);
        for content_type in
            ["text/plain", "application/cbor", "multipart/form-data", "application/x-www-form-urlencoded", ";", "\u{e4}"]
        {
            push(path.clone(), Some(content_type), Some(b"{}".to_vec()));
        }
        let nested = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        for body in ["", "{", "{}", "[]", "null", "1", "\"x\"", "{\"repo\":", "\u{feff}{}", "{\"a\":1}trailing", &nested] {
            push(path.clone(), Some("application/json"), Some(body.as_bytes().to_vec()));
        }
        push(path.clone(), Some("application/json"), Some(b"{\"repo\":\"\xff\xfe\"}".to_vec()));
        let values = wrong_values();
        for (at, value) in values.iter().enumerate() {
            let all: Value =
                FIELDS.iter().map(|field| ((*field).to_owned(), value.clone())).collect::<serde_json::Map<_, _>>().into();
            push(path.clone(), Some("application/json"), Some(all.to_string().into_bytes()));
            // And each field wrong in a body whose others are plausible, for another user's repo.
            let field = FIELDS[at % FIELDS.len()];
            let mut body = plausible(&alice, nsid);
            body["repo"] = json!("did:plc:ewvi7nxzyoun6zhxrhs64oiz");
            body["did"] = json!("did:plc:ewvi7nxzyoun6zhxrhs64oiz");
            body[field] = value.clone();
            push(path.clone(), Some("application/json"), Some(body.to_string().into_bytes()));
        }
    }
    let statuses = storm(&pds.anonymous(), shots).await;
    assert!(statuses[&400] > 1000, "{statuses:?}");
    nothing_happened(&pds, &alice, &before, &mut follower, last).await;
}

/// The socket is asked for in all wrong ways.
#[tokio::test]
async fn the_firehose_is_for_sockets() {
    let pds = TestPds::start().await;
    let path = "/xrpc/com.atproto.sync.subscribeRepos";
    let upgrade = |version: &str, key: &str| {
        vec![
            ("connection", "upgrade".to_owned()),
            ("upgrade", "websocket".to_owned()),
            ("sec-websocket-version", version.to_owned()),
            ("sec-websocket-key", key.to_owned()),
        ]
    };
    let good_key = "dGhlIHNhbXBsZSBub25jZQ==";
    for (path, headers) in [
        (path.to_owned(), vec![]),
        (format!("{path}?cursor=x"), vec![]),
        (format!("{path}?cursor=x"), upgrade("13", good_key)),
        (format!("{path}?cursor=1.5"), upgrade("13", good_key)),
        (path.to_owned(), upgrade("12", good_key)),
        (path.to_owned(), upgrade("13", good_key)[1..].to_vec()),
    ] {
        let shot = Shot { verb: "GET", path, headers, body: None };
        let (status, text) = shot.fire(&pds.anonymous()).await;
        assert!((400..500).contains(&status), "{}: {status} {text}", shot.name());
    }
    pds.create_account("alice").await;
}
