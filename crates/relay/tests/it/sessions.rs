//! Accounts made, sessions begun, kept, ended.

use std::time::{Duration, Instant};

use crypto::VerifyingKey;
use crypto::jwt::Unverified;
use data_encoding::BASE64URL_NOPAD;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Client, Reply, TestPds, User};

const SESSION: &str = "com.atproto.server.getSession";
const REFRESH: &str = "com.atproto.server.refreshSession";
const END: &str = "com.atproto.server.deleteSession";
const NOBODY: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;

fn message(reply: &Reply) -> String {
    format!("{}: {}", reply.summary(), reply.json()["message"].as_str().unwrap())
}

fn claims(token: &str) -> Value {
    Unverified::parse(token).unwrap().claims_before_verification().unwrap()
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

async fn log_in(pds: &TestPds, identifier: &str, password: &str) -> Reply {
    let body = json!({ "identifier": identifier, "password": password });
    pds.anonymous().post("com.atproto.server.createSession", &body).await
}

async fn service_did(client: &Client) -> String {
    let reply = client.get("com.atproto.server.describeServer", &[]).await.good().json();
    reply["did"].as_str().unwrap().to_owned()
}

impl User {
    async fn session(&self, token: &str) -> String {
        self.with_token(token).get(SESSION, &[]).await.summary()
    }

    async fn refresh_with(&self, token: &str) -> Reply {
        self.with_token(token).post_nothing(REFRESH).await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn an_account_is_made_and_announced() {
    let pds = TestPds::start().await;
    let mut follower = pds.follow(None).await;
    let body = json!({ "handle": "Alice.Test", "email": "Alice@Example.com", "password": "password" });
    let made = pds.anonymous().post("com.atproto.server.createAccount", &body).await.good().json();
    let did = text(&made["did"]);
    assert!(did.starts_with("did:plc:") && did.len() == 32);
    assert_eq!(made["handle"], "alice.test");
    let access = pds.anonymous().with_token(text(&made["accessJwt"]));
    let session = access.get(SESSION, &[]).await.good().json();
    let shape = session.to_string().replace(&session["didDoc"].to_string(), "{..}").replace(did, "<did>");
    assert_snapshot!(
        shape,
        @r#"{"active":true,"did":"<did>","email":"alice@example.com","emailAuthFactor":false,"emailConfirmed":false,"handle":"alice.test"}"#
    );

    let mut kinds = Vec::new();
    for _ in 0..4 {
        let frame = follower.next().await.unwrap();
        assert_eq!(frame.did(), did);
        match frame.kind.as_str() {
            "#identity" => assert_eq!(frame.text("handle"), "alice.test"),
            "#account" => assert_eq!(frame.body.get("active"), Some(&common::Value::Bool(true))),
            _ => {}
        }
        kinds.push(frame.kind);
    }
    assert_eq!(kinds, ["#identity", "#account", "#commit", "#sync"]);
}

#[tokio::test]
async fn an_account_that_cannot_be_is_not_made() {
    let pds = TestPds::start().await;
    pds.create_account("alice").await;
    let mut follower = pds.follow(None).await;
    let make = async |change: Value| {
        let mut body = json!({ "handle": "bob.test", "email": "bob@example.com", "password": "password" });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        pds.anonymous().post("com.atproto.server.createAccount", &body).await.summary()
    };
    for (handle, told) in [
        ("bob", "400 InvalidRequest 400 InvalidHandle"),
        ("b b.test", "400 InvalidRequest 400 InvalidHandle"),
        ("bö.test", "400 InvalidRequest 400 InvalidHandle"),
        ("", "400 InvalidRequest 400 InvalidHandle"),
        ("a.b.test", "400 InvalidHandle"),
        ("bo.test", "400 InvalidHandle"),
        ("abcdefghijklmnopqrs.test", "400 InvalidHandle"),
        ("bob.invalid", "400 InvalidHandle 400 UnsupportedDomain"),
        ("bob.example.com", "400 UnsupportedDomain"),
        ("test", "400 InvalidRequest 400 InvalidHandle"),
        ("admin.test", "400 HandleNotAvailable"),
        ("Alice.test", "400 HandleNotAvailable"),
    ] {
        let found = make(json!({ "handle": handle })).await;
        assert!(told.contains(&found), "{handle}: {found}");
    }
    for email in [
        json!(null),
        json!(""),
        json!("bob"),
        json!("bob@"),
        json!("@example.com"),
        json!("a b@example.com"),
        json!("alice@example.com"),
        json!("ALICE@Example.Com"),
        json!("bob@example.com\r\nBcc: x@example.com"),
    ] {
        assert_eq!(make(json!({ "email": email })).await, "400 InvalidRequest", "{email}");
    }
    assert_eq!(make(json!({ "password": "x".repeat(257) })).await, "400 InvalidRequest");
    assert_eq!(make(json!({ "recoveryKey": "nonsense" })).await, "400 InvalidRequest");
    assert_eq!(make(json!({ "plcOp": {} })).await, "400 InvalidRequest");
    assert_eq!(make(json!({ "did": NOBODY })).await, "401 AuthenticationRequired");
    assert_eq!(make(json!({ "did": "nonsense" })).await, "400 InvalidRequest");
    let body = json!({ "handle": "bob.test", "email": "bob@example.com", "password": "password" });
    let garbled = pds.anonymous().with_token("garbage").post("com.atproto.server.createAccount", &body).await;
    assert_eq!(garbled.status, 401);

    // None of these left anything behind.
    let repos = pds.anonymous().get("com.atproto.sync.listRepos", &[]).await.json();
    assert_eq!(repos["repos"].as_array().unwrap().len(), 1);
    let bob = pds.create_account("bob").await;
    assert_eq!(follower.next().await.unwrap().did(), bob.did);
}

/// Of many who want one handle, or one address, at once, one gets it.
#[tokio::test]
async fn a_handle_and_an_address_belong_to_one() {
    let pds = TestPds::start().await;
    let make = |handle: String, email: String| {
        let body = json!({ "handle": handle, "email": email, "password": "password" });
        let anyone = pds.anonymous();
        async move { anyone.post("com.atproto.server.createAccount", &body).await.status }
    };
    let same_handle = (0..4).map(|n| make("same.test".to_owned(), format!("a{n}@example.com")));
    let same_email = (0..4).map(|n| make(format!("user{n}.test"), "same@example.com".to_owned()));
    for tries in [futures_util::future::join_all(same_handle).await, futures_util::future::join_all(same_email).await] {
        let good = tries.iter().filter(|status| **status == 200).count();
        assert_eq!((good, tries.iter().filter(|status| **status == 400).count()), (1, 3), "{tries:?}");
    }
}

#[tokio::test]
async fn one_signs_in_by_handle_did_or_address() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for identifier in ["alice.test", "ALICE.test", &alice.did, "alice@example.com", "Alice@Example.com"] {
        let session = log_in(&pds, identifier, &alice.password).await.good().json();
        assert_eq!(
            (&session["did"], &session["handle"], &session["active"]),
            (&json!(alice.did), &json!("alice.test"), &json!(true))
        );
        assert_eq!((&session["email"], &session["emailConfirmed"]), (&json!("alice@example.com"), &json!(false)));
        assert_eq!(alice.session(text(&session["accessJwt"])).await, "200 -");
    }
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    let session = log_in(&pds, "alice.test", &alice.password).await.good().json();
    assert_eq!((&session["active"], &session["status"]), (&json!(false), &json!("deactivated")));
}

/// Neither words nor time tell whether an account exists.
#[tokio::test]
async fn a_failed_sign_in_tells_nothing() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let long = "x".repeat(600);
    let tries = [
        ("alice.test", "wrong"),
        ("nobody.test", "wrong"),
        ("alice@example.com", "wrong"),
        ("nobody@example.com", "wrong"),
        (alice.did.as_str(), "wrong"),
        (NOBODY, "wrong"),
        ("alice.test", ""),
        ("", ""),
        ("not a handle", "wrong"),
        ("alice.test", long.as_str()),
        ("alice.test", "Alice-password"),
        (long.as_str(), "wrong"),
    ];
    let attempt = async |(identifier, password): (&str, &str)| {
        let begun = Instant::now();
        let reply = log_in(&pds, identifier, password).await;
        (message(&reply), begun.elapsed())
    };
    for (told, took) in futures_util::future::join_all(tries.map(attempt)).await {
        assert_eq!(told, "401 AuthenticationRequired: Invalid identifier or password");
        assert!(took >= Duration::from_millis(350), "{took:?}");
    }
    log_in(&pds, "alice.test", &alice.password).await.good();
    for body in [json!({}), json!({ "identifier": "alice.test" }), json!({ "identifier": 1, "password": "x" })] {
        assert_eq!(pds.anonymous().post("com.atproto.server.createSession", &body).await.summary(), "400 InvalidRequest");
    }
}

#[tokio::test]
async fn tokens_say_what_others_rely_on() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let service = service_did(&alice).await;
    assert_eq!(part(&alice.access, 0), json!({ "typ": "at+jwt", "alg": "HS256" }));
    assert_eq!(part(&alice.refresh, 0), json!({ "typ": "refresh+jwt", "alg": "HS256" }));
    let (access, refresh) = (claims(&alice.access), claims(&alice.refresh));
    assert_eq!(
        (&access["scope"], &access["sub"], &access["aud"]),
        (&json!("com.atproto.access"), &json!(alice.did), &json!(service))
    );
    assert_eq!((&refresh["scope"], &refresh["sub"]), (&json!("com.atproto.refresh"), &json!(alice.did)));
    let lives = |claims: &Value| claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!((lives(&access), lives(&refresh)), (2 * 3600, 90 * 24 * 3600));
    assert!(access.get("jti").is_none() && access.get("iss").is_none());
    assert!(text(&refresh["jti"]).len() >= 22);
}

/// Clients refresh on exactly `400 ExpiredToken`, so nothing else may answer it, and this must.
#[tokio::test]
async fn an_access_token_lives_two_hours() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    pds.clock().shift_micros(2 * HOUR - 60 * SECOND);
    assert_eq!(alice.session(&alice.access).await, "200 -");
    pds.clock().shift_micros(61 * SECOND);
    assert_eq!(message(&alice.get(SESSION, &[]).await), "400 ExpiredToken: Token has expired");
    assert_eq!(alice.create_record("a.b.c", json!({})).await.summary(), "400 ExpiredToken");
    let fresh = alice.refresh_with(&alice.refresh).await.good().json();
    assert_eq!(alice.session(text(&fresh["accessJwt"])).await, "200 -");
}

/// Incident 8: without a time of grace, clients that race themselves log out.
#[tokio::test]
async fn a_refresh_token_is_replaced_with_a_time_of_grace() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let jti = |reply: &Value| claims(text(&reply["refreshJwt"]))["jti"].clone();
    let first = alice.refresh_with(&alice.refresh).await.good().json();
    assert_eq!((&first["did"], &first["handle"], &first["active"]), (&json!(alice.did), &json!("alice.test"), &json!(true)));
    assert_ne!(jti(&first), claims(&alice.refresh)["jti"]);
    // Many at once, with the old token: all get the same successor.
    let again = futures_util::future::join_all((0..8).map(|_| alice.refresh_with(&alice.refresh))).await;
    for reply in again {
        assert_eq!(jti(&reply.good().json()), jti(&first));
    }
    pds.clock().shift_micros(2 * HOUR - 60 * SECOND);
    assert_eq!(jti(&alice.refresh_with(&alice.refresh).await.good().json()), jti(&first));
    pds.clock().shift_micros(61 * SECOND);
    assert_eq!(message(&alice.refresh_with(&alice.refresh).await), "400 ExpiredToken: Token has been revoked");
    let second = alice.refresh_with(text(&first["refreshJwt"])).await.good().json();
    assert_ne!(jti(&second), jti(&first));

    let pds = pds.restart().await;
    alice.refresh_with(text(&second["refreshJwt"])).await.good();
    // The reuse did not lengthen the grace, and time ends the session.
    pds.clock().shift_micros(91 * 24 * HOUR);
    let told = alice.refresh_with(text(&second["refreshJwt"])).await;
    assert_eq!(told.summary(), "400 ExpiredToken");
}

#[tokio::test]
async fn a_session_ends_and_may_be_ended_again() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let other = log_in(&pds, "alice.test", &alice.password).await.good().json();
    let end = async |token: &str| {
        let reply = alice.with_token(token).post_nothing(END).await;
        if reply.bytes.is_empty() { format!("{} nothing", reply.status) } else { reply.summary() }
    };
    assert_eq!(end(&alice.access).await, "400 InvalidToken");
    assert_eq!(pds.anonymous().post_nothing(END).await.summary(), "401 AuthMissing");
    for _ in 0..2 {
        assert_eq!(end(&alice.refresh).await, "200 nothing");
    }
    assert_eq!(alice.refresh_with(&alice.refresh).await.summary(), "400 ExpiredToken");
    // Other sessions go on.
    let other = alice.refresh_with(text(&other["refreshJwt"])).await.good().json();
    // Signing out with an old token is no error: what else should a client do with it?
    pds.clock().shift_micros(100 * 24 * HOUR);
    assert_eq!(end(text(&other["refreshJwt"])).await, "200 nothing");
}

#[tokio::test]
async fn a_token_is_good_for_its_own_purpose_alone() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    assert_eq!(message(&alice.with_token(&alice.refresh).get(SESSION, &[]).await), "400 InvalidToken: Bad token scope");
    assert_eq!(message(&alice.refresh_with(&alice.access).await), "400 InvalidToken: Bad token scope");

    let other_pds = TestPds::start().await;
    let elsewhere = other_pds.create_account("alice").await;
    let reply = alice.get("com.atproto.server.getServiceAuth", &[("aud", &service_did(&alice).await), ("lxm", SESSION)]).await;
    // A token for a method that is protected is not given at all.
    assert_eq!(reply.status, 400);
    let aud = service_did(&alice).await;
    let reply = alice.get("com.atproto.server.getServiceAuth", &[("aud", &aud), ("lxm", "com.atproto.repo.uploadBlob")]).await;
    let service = text(&reply.good().json()["token"]).to_owned();
    let [header, payload, signature]: [&str; 3] = alice.access.split('.').collect::<Vec<_>>().try_into().unwrap();
    let encode = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let none = format!("{}.{payload}.", encode(json!({ "typ": "at+jwt", "alg": "none" })));
    let none_signed = format!("{}.{payload}.{signature}", encode(json!({ "typ": "at+jwt", "alg": "None" })));
    let es256k = format!("{}.{payload}.{signature}", encode(json!({ "typ": "at+jwt", "alg": "ES256K" })));
    let mut changed = part(&alice.access, 1);
    changed["exp"] = json!(changed["exp"].as_i64().unwrap() + 1);
    let tampered = format!("{header}.{}.{signature}", encode(changed));
    let unsigned = format!("{header}.{payload}.");
    let longer = format!("{}x", alice.access);
    for (name, token) in [
        ("of another server", elsewhere.access.as_str()),
        ("for a service", &service),
        ("none", &none),
        ("none, signed", &none_signed),
        ("another algorithm", &es256k),
        ("tampered", &tampered),
        ("unsigned", &unsigned),
        ("longer", &longer),
        ("two parts", "a.b"),
        ("four parts", "a.b.c.d"),
        ("nothing", "..."),
        ("garbage", "garbage"),
    ] {
        assert_eq!(alice.session(token).await, "400 InvalidToken", "{name}");
        assert_eq!(alice.refresh_with(token).await.summary(), "400 InvalidToken", "{name}");
        assert_eq!(alice.with_token(token).create_post_anyhow(&alice.did).await, "400 InvalidToken", "{name}");
    }
}

impl Client {
    async fn create_post_anyhow(&self, repo: &str) -> String {
        let body = json!({ "repo": repo, "collection": "a.b.c", "record": {} });
        self.post("com.atproto.repo.createRecord", &body).await.summary()
    }

    async fn with_authorization(&self, value: &str) -> String {
        let request = self.request("GET", &format!("/xrpc/{SESSION}")).header("authorization", value);
        self.send(request).await.summary()
    }
}

#[tokio::test]
async fn the_authorization_header_is_read_as_the_rfc_says() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let anyone = pds.anonymous();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(anyone.with_authorization(&format!("{scheme} {}", alice.access)).await, "200 -");
    }
    for wrong in [
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46cGFzc3dvcmQ=",
        "Unknown token",
        &alice.access,
        &format!("Bearer {0} {0}", alice.access),
    ] {
        assert_eq!(anyone.with_authorization(wrong).await, "400 InvalidToken", "{wrong}");
    }
    assert_eq!(anyone.with_authorization("DPoP token").await, "401 invalid_token", "as RFC 9449 has it");
    assert_eq!(anyone.get(SESSION, &[]).await.summary(), "401 AuthMissing");
}

#[tokio::test]
async fn an_app_password_does_less_than_the_password() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let make = async |body: Value| alice.post("com.atproto.server.createAppPassword", &body).await;
    let made = make(json!({ "name": "reader" })).await.good().json();
    let password = text(&made["password"]);
    let parts: Vec<_> = password.split('-').map(str::len).collect();
    assert_eq!((parts, &made["privileged"], &made["name"]), (vec![4; 4], &json!(false), &json!("reader")));
    assert_eq!(make(json!({ "name": "reader" })).await.status, 400, "the official PDS answers 500");
    assert_eq!(make(json!({ "name": "" })).await.status, 400);
    assert_eq!(make(json!({})).await.summary(), "400 InvalidRequest");
    pds.clock().shift_micros(SECOND);
    let privileged = make(json!({ "name": "chatter", "privileged": true })).await.good().json();
    let listed = alice.get("com.atproto.server.listAppPasswords", &[]).await.good().json();
    let names: Vec<_> = listed["passwords"].as_array().unwrap().iter().map(|one| (&one["name"], &one["privileged"])).collect();
    assert_eq!(names, [(&json!("chatter"), &json!(true)), (&json!("reader"), &json!(false))], "newest first");
    assert!(!listed.to_string().contains(password));

    let session = log_in(&pds, "alice.test", password).await.good().json();
    let app = alice.with_token(text(&session["accessJwt"]));
    assert_eq!(claims(text(&session["accessJwt"]))["scope"], "com.atproto.appPass");
    app.get(SESSION, &[]).await.good();
    assert_eq!(app.create_post_anyhow(&alice.did).await, "200 -");
    for (nsid, body) in [
        ("com.atproto.server.createAppPassword", json!({ "name": "more" })),
        ("com.atproto.server.deactivateAccount", json!({})),
    ] {
        assert_eq!(message(&app.post(nsid, &body).await), "400 InvalidToken: Bad token scope", "{nsid}");
    }
    assert_eq!(app.post_nothing("com.atproto.server.activateAccount").await.summary(), "400 InvalidToken");
    assert_eq!(app.get("com.atproto.server.getAccountInviteCodes", &[]).await.summary(), "400 InvalidToken");
    let chat = [("aud", "did:web:api.bsky.chat"), ("lxm", "chat.bsky.convo.listConvos")];
    assert_eq!(app.get("com.atproto.server.getServiceAuth", &chat).await.status, 400);
    let session = log_in(&pds, "alice.test", text(&privileged["password"])).await.good().json();
    let chatter = alice.with_token(text(&session["accessJwt"]));
    chatter.get("com.atproto.server.getServiceAuth", &chat).await.good();

    // What it was given stays what it is when it is renewed.
    let renewed = alice.refresh_with(text(&session["refreshJwt"])).await.good().json();
    assert_eq!(claims(text(&renewed["accessJwt"]))["scope"], "com.atproto.appPassPrivileged");

    for _ in 0..2 {
        alice.post("com.atproto.server.revokeAppPassword", &json!({ "name": "chatter" })).await.good();
    }
    assert_eq!(alice.refresh_with(text(&renewed["refreshJwt"])).await.summary(), "400 ExpiredToken");
    assert_eq!(log_in(&pds, "alice.test", text(&privileged["password"])).await.status, 401);
    log_in(&pds, "alice.test", password).await.good();
    alice.refresh_with(&alice.refresh).await.good();
}

#[tokio::test]
async fn a_service_token_says_for_whom_and_for_what() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let now = claims(&alice.access)["iat"].as_i64().unwrap();
    let ask = async |params: &[(&str, &str)]| alice.get("com.atproto.server.getServiceAuth", params).await;
    let aud = ("aud", "did:web:feed.example.com");
    let token = ask(&[aud, ("lxm", "app.bsky.feed.getFeedSkeleton")]).await.good().json();
    let token = text(&token["token"]);
    assert_eq!(part(token, 0), json!({ "typ": "JWT", "alg": "ES256K" }));
    let document = alice.get("com.atproto.identity.resolveDid", &[("did", &alice.did)]).await.good().json();
    let key = VerifyingKey::from_multikey(text(&document["didDoc"]["verificationMethod"][0]["publicKeyMultibase"])).unwrap();
    let verified: Value = Unverified::parse(token).unwrap().verify_with(&key).unwrap();
    assert_eq!((&verified["iss"], &verified["aud"]), (&json!(alice.did), &json!("did:web:feed.example.com")));
    assert_eq!(verified["lxm"], "app.bsky.feed.getFeedSkeleton");
    assert_eq!(verified["exp"].as_i64().unwrap() - verified["iat"].as_i64().unwrap(), 60);
    assert_eq!(text(&verified["jti"]).len(), 32);

    let at = |seconds: i64| (now + seconds).to_string();
    let lxm = ("lxm", "app.bsky.feed.getFeedSkeleton");
    ask(&[aud, lxm, ("exp", &at(3000))]).await.good();
    ask(&[aud, ("exp", &at(30))]).await.good();
    for (params, told) in [
        (vec![aud, lxm, ("exp", "1000")], "400 BadExpiration"),
        (vec![aud, lxm, ("exp", &at(3700))], "400 BadExpiration"),
        (vec![aud, ("exp", &at(120))], "400 BadExpiration"),
        (vec![aud, lxm, ("exp", "soon")], "400 InvalidRequest"),
        (vec![lxm], "400 InvalidRequest"),
        (vec![("aud", "feed.example.com")], "400 InvalidRequest"),
        (vec![("aud", "did:web:feed.example.com#")], "400 InvalidRequest"),
        (vec![aud, ("lxm", "nonsense")], "400 InvalidRequest"),
        (vec![aud, ("lxm", "com.atproto.server.createAppPassword")], "400 InvalidRequest"),
        (vec![aud, ("lxm", "com.atproto.server.CREATEAPPPASSWORD")], "400 InvalidRequest"),
        (vec![aud, ("lxm", "com.atproto.identity.signPlcOperation")], "400 InvalidRequest"),
    ] {
        assert_eq!(ask(&params).await.summary(), told, "{params:?}");
    }
}

#[tokio::test]
async fn the_state_of_an_account_is_told_to_its_owner() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for n in 0..3 {
        alice.create_post(&n.to_string()).await;
    }
    let blob =
        alice.post_bytes("com.atproto.repo.uploadBlob", "text/plain", b"hello".to_vec()).await.good().json()["blob"].clone();
    alice.put_record("a.b.c", "key", json!({ "blob": blob })).await.good();
    let status = async || alice.get("com.atproto.server.checkAccountStatus", &[]).await.good().json();
    let before = status().await;
    let (head, rev) = alice.latest_commit().await;
    assert_eq!((&before["activated"], &before["validDid"]), (&json!(true), &json!(true)));
    assert_eq!((&before["repoCommit"], &before["repoRev"]), (&json!(head), &json!(rev)));
    assert_eq!((&before["indexedRecords"], &before["privateStateValues"]), (&json!(4), &json!(0)));
    assert_eq!((&before["expectedBlobs"], &before["importedBlobs"]), (&json!(1), &json!(1)));
    let blocks = repo_engine::car::read_all(&alice.export().await).unwrap().1;
    assert_eq!(before["repoBlocks"], blocks.len());
    let mut follower = pds.follow(None).await;
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    assert_eq!(status().await["activated"], false);
    alice.post_nothing("com.atproto.server.activateAccount").await.good();
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(follower.next().await.unwrap().kind);
    }
    assert_eq!(kinds, ["#account", "#account", "#identity", "#sync"]);
}
