//! Calls that another service answers.

use std::time::Duration;

use crypto::VerifyingKey;
use crypto::jwt::Unverified;
use relay::config::{Config, UpstreamBounds};
use serde_json::{Value, json};

use crate::support::{AppView, Asked, Client, REPORTS, Reply, TestPds, User};

async fn start() -> (TestPds, AppView) {
    start_with(|_| ()).await
}

async fn start_with(configure: impl Fn(&mut Config) + Send + Sync + 'static) -> (TestPds, AppView) {
    let appview = AppView::start().await;
    let own = appview.clone();
    let pds = TestPds::start_with(move |config| {
        own.configure(config);
        configure(config);
    })
    .await;
    (pds, appview)
}

/// Calls a method of the service that `target` names.
async fn call_at(user: &User, target: &str, method: &str, nsid: &str) -> Reply {
    let request = user.request(method, &format!("/xrpc/{nsid}")).header("atproto-proxy", target);
    user.send(request).await
}

/// Returns the claims of the token that a call carried, after checking that the account signed it.
async fn signed_claims(pds: &TestPds, user: &User, asked: &Asked) -> Value {
    let document = Client::new(pds.plc_url(), None);
    let document = document.send(document.request("GET", &format!("/{}", user.did))).await.good().json();
    let key = document["verificationMethod"][0]["publicKeyMultibase"].as_str().unwrap();
    let key = VerifyingKey::from_verification_method("Multikey", key).unwrap();
    Unverified::parse(asked.token()).unwrap().verify_with(&key).unwrap()
}

#[tokio::test]
async fn a_call_goes_to_the_appview_in_the_callers_name() {
    let (pds, appview) = start().await;
    let alice = pds.create_account("alice").await;
    let request = alice.request("POST", "/xrpc/com.example.echo?a=1&b[]=%20x").header("content-type", "text/plain");
    let request = request.header("cookie", "secret=1").header("accept-language", "de").header("dpop", "x").body("hello");
    let request = request.header("atproto-accept-labelers", "did:web:a.example").header("x-forwarded-for", "1.2.3.4");
    assert_eq!(alice.send(request).await.good().json(), json!({ "bytes": 5 }));

    let asked = appview.asked_once();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/xrpc/com.example.echo?a=1&b[]=%20x"));
    assert_eq!(&asked.body[..], b"hello");
    let names = [
        "accept",
        "accept-encoding",
        "accept-language",
        "atproto-accept-labelers",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ];
    assert_eq!(asked.header_names(), names);
    let claims = signed_claims(&pds, &alice, &asked).await;
    assert_eq!(claims["iss"], alice.did);
    assert_eq!(claims["aud"], appview.did());
    assert_eq!(claims["lxm"], "com.example.echo");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    // Chat refuses tokens without one.
    assert_eq!(claims["jti"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn an_answer_comes_back_with_the_headers_that_describe_it() {
    let (pds, appview) = start().await;
    let alice = pds.create_account("alice").await;
    let reply = alice.get("com.example.headers", &[]).await.good();
    assert_eq!(reply.headers["atproto-content-labelers"], "did:web:a.example");
    assert_eq!(reply.headers["content-type"], "application/json");
    for name in ["set-cookie", "x-powered-by"] {
        assert!(!reply.headers.contains_key(name), "{name}");
    }
    let head = alice.send(alice.request("HEAD", "/xrpc/com.example.headers")).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    assert_eq!(appview.asked().last().unwrap().method, "HEAD");
}

#[tokio::test]
async fn errors_of_the_service_are_told_as_such() {
    let (pds, _appview) = start().await;
    let alice = pds.create_account("alice").await;
    let told = async |method: &str| alice.get(&format!("com.example.{method}"), &[]).await;
    let refused = told("refuse").await;
    assert_eq!((refused.status, refused.json()), (403, json!({ "error": "NotForYou", "message": "as it was said" })));
    let later = told("later").await;
    assert_eq!((later.summary().as_str(), &later.headers["retry-after"]), ("429 RateLimitExceeded", &"7".parse().unwrap()));
    assert_eq!(told("broken").await.summary(), "502 UpstreamFailure");
    assert_eq!(told("errorPage").await.summary(), "503 NotEnoughResources");
    assert_eq!(told("other").await.summary(), "501 MethodNotImplemented");
    // A page of a stranger must not be had from this origin, and a redirect is not followed.
    assert_eq!(told("page").await.summary(), "502 UpstreamFailure");
    assert_eq!(told("redirect").await.summary(), "502 UpstreamFailure");
}

#[tokio::test]
async fn what_a_service_may_take_is_bounded() {
    let (pds, _appview) = start_with(|config| {
        config.network.upstream =
            UpstreamBounds { head: Duration::from_secs(2), body: Duration::from_secs(2), body_bytes: 10 << 20 };
        config.limits.blob_upload_bytes = 1 << 20;
    })
    .await;
    let alice = pds.create_account("alice").await;
    assert_eq!(alice.get("com.example.slow", &[]).await.summary(), "504 UpstreamTimeout");
    assert_eq!(alice.get("com.example.hugeAnnounced", &[]).await.summary(), "502 UpstreamFailure");
    // The head has gone out by then, so the connection ends without the end of the body.
    for method in ["huge", "slowBody"] {
        let request = alice.request("GET", &format!("/xrpc/com.example.{method}")).bearer_auth(&alice.access);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err(), "{method}");
    }
    let fits = alice.post_bytes("com.example.echo", "video/mp4", vec![0; 1 << 20]).await.good();
    assert_eq!(fits.json()["bytes"], 1 << 20);
    let large = alice.post_bytes("com.example.echo", "video/mp4", vec![0; (1 << 20) + 1]).await;
    assert_eq!(large.summary(), "413 PayloadTooLarge");
    let chunks = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 32 << 10])));
    let unannounced = alice.request("POST", "/xrpc/com.example.echo").body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(alice.send(unannounced).await.summary(), "413 PayloadTooLarge");
}

/// Once, anyone could make the official server fetch DID documents: it looked at the header before it asked who calls.
#[tokio::test]
async fn a_stranger_makes_the_server_ask_nobody() {
    let (pds, appview) = start().await;
    let request =
        pds.anonymous().request("GET", "/xrpc/com.example.echo").header("atproto-proxy", format!("{}#other", appview.did()));
    let reply = pds.anonymous().send(request).await;
    assert_eq!(reply.summary(), "401 AuthMissing");
    let request = pds.anonymous().request("GET", "/xrpc/com.example.echo").bearer_auth("a.b.c");
    assert_eq!(pds.anonymous().send(request).await.summary(), "400 InvalidToken");
    assert!(appview.asked().is_empty());
}

#[tokio::test]
async fn a_header_names_the_service() {
    let (pds, appview) = start().await;
    let alice = pds.create_account("alice").await;
    // Its DID document says where.
    call_at(&alice, &format!("{}#other", appview.did()), "GET", "com.example.headers").await.good();
    let asked: Vec<String> = appview.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(asked, ["/.well-known/did.json", "/xrpc/com.example.headers"]);
    // Where the configured one is, the operator said.
    call_at(&alice, &appview.named(), "GET", "com.example.headers").await.good();
    assert_eq!(appview.asked_once().path, "/xrpc/com.example.headers");

    let did = appview.did();
    for target in
        [did.clone(), format!("{did}#"), "#other".to_owned(), format!("{did}#a#b"), format!("{did}#none"), "no#x".to_owned()]
    {
        assert_eq!(call_at(&alice, &target, "GET", "com.example.echo").await.summary(), "400 InvalidRequest", "{target}");
    }
    // Nobody listens on port 1.
    let dead = call_at(&alice, "did:web:localhost%3A1#x", "GET", "com.example.echo").await;
    assert_eq!(dead.summary(), "502 UpstreamFailure");
}

#[tokio::test]
async fn nobody_sends_the_server_into_the_operators_network() {
    let (pds, appview) = start_with(|config| config.network.protect_private_addresses = true).await;
    let alice = pds.create_account("alice").await;
    // A did:web at a private address, and a did:plc whose service is at one.
    let at_home = call_at(&alice, "did:web:localhost%3A1#x", "GET", "com.example.echo").await;
    assert_eq!(at_home.summary(), "400 InvalidRequest");
    let own = call_at(&alice, &format!("{}#atproto_pds", alice.did), "GET", "com.example.echo").await;
    assert_eq!(own.summary(), "502 UpstreamFailure");
    // What the operator configured may be anywhere.
    alice.get("com.example.headers", &[]).await.good();
    assert_eq!(appview.asked_once().path, "/xrpc/com.example.headers");
}

#[tokio::test]
async fn what_manages_accounts_and_chats_does_not_leave() {
    let (pds, appview) = start().await;
    let alice = pds.create_account("alice").await;
    let named = appview.named();
    for nsid in ["com.atproto.server.noSuchMethod", "com.atproto.repo.noSuchMethod"] {
        assert_eq!(call_at(&alice, &named, "POST", nsid).await.summary(), "400 InvalidRequest");
    }
    // Served here, whatever the header says.
    call_at(&alice, &named, "GET", "com.atproto.server.getSession").await.good();
    assert!(appview.asked().is_empty());
    appview.say("com.atproto.label.queryLabels", json!({ "labels": [] }));
    alice.get("com.atproto.label.queryLabels", &[]).await.good();
    appview.say("chat.bsky.convo.listConvos", json!({ "convos": [] }));
    alice.get("chat.bsky.convo.listConvos", &[]).await.good();
    appview.asked();

    let app = app_session(&pds, &alice, false).await;
    assert_eq!(app.get("chat.bsky.convo.listConvos", &[]).await.summary(), "400 InvalidToken");
    assert!(appview.asked().is_empty());
    app_session(&pds, &alice, true).await.get("chat.bsky.convo.listConvos", &[]).await.good();
}

/// Signs in with a new app password.
async fn app_session(pds: &TestPds, user: &User, privileged: bool) -> Client {
    let body = json!({ "name": format!("app {privileged}"), "privileged": privileged });
    let made = user.post("com.atproto.server.createAppPassword", &body).await.good().json();
    let body = json!({ "identifier": user.handle, "password": made["password"] });
    let session = pds.anonymous().post("com.atproto.server.createSession", &body).await.good().json();
    pds.anonymous().with_token(session["accessJwt"].as_str().unwrap())
}

/// Feeds that know their reader refuse a token that is made for the AppView.
#[tokio::test]
async fn the_token_for_a_feed_is_for_its_generator() {
    let (pds, appview) = start().await;
    let alice = pds.create_account("alice").await;
    appview.say("com.atproto.repo.getRecord", json!({ "uri": "at://x", "value": { "did": "did:web:feed.example.com" } }));
    appview.say("app.bsky.feed.getFeed", json!({ "feed": [] }));
    let feed = ("feed", "at://did:plc:asdf123/app.bsky.feed.generator/cats");
    alice.get("app.bsky.feed.getFeed", &[feed, ("limit", "5")]).await.good();
    let asked = appview.asked();
    assert_eq!(
        asked[0].path,
        "/xrpc/com.atproto.repo.getRecord?repo=did%3Aplc%3Aasdf123&collection=app.bsky.feed.generator&rkey=cats"
    );
    assert!(!asked[0].headers.contains_key("authorization"));
    assert!(asked[1].path.ends_with("&limit=5"), "{}", asked[1].path);
    let claims = signed_claims(&pds, &alice, &asked[1]).await;
    assert_eq!((&claims["aud"], &claims["lxm"]), (&json!("did:web:feed.example.com"), &json!("app.bsky.feed.getFeedSkeleton")));
    assert_eq!(alice.get("app.bsky.feed.getFeed", &[("feed", "at://did:plc:asdf123")]).await.summary(), "400 UnknownFeed");
}

#[tokio::test]
async fn reports_go_to_the_service_for_reports() {
    let (pds, appview) = start().await;
    let alice = pds.create_account("alice").await;
    appview.say("com.atproto.moderation.createReport", json!({ "id": 1 }));
    let body = json!({ "reasonType": "com.atproto.moderation.defs#reasonSpam", "subject": { "did": alice.did } });
    assert_eq!(alice.post("com.atproto.moderation.createReport", &body).await.good().json()["id"], 1);
    let claims = signed_claims(&pds, &alice, &appview.asked_once()).await;
    assert_eq!((&claims["aud"], &claims["lxm"]), (&json!(REPORTS), &json!("com.atproto.moderation.createReport")));
}

#[tokio::test]
async fn push_tokens_go_to_the_service_that_the_app_names() {
    let (pds, appview) = start().await;
    let alice = pds.create_account("alice").await;
    let body = |service: &str| json!({ "serviceDid": service, "token": "t", "platform": "web", "appId": "a" });
    appview.say("app.bsky.notification.registerPush", json!({}));
    alice.post("app.bsky.notification.registerPush", &body(&appview.did())).await.good();
    let asked = appview.asked_once();
    assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap(), body(&appview.did()));
    assert_eq!(signed_claims(&pds, &alice, &asked).await["aud"], appview.did());

    let other = AppView::start().await;
    other.say("app.bsky.notification.unregisterPush", json!({}));
    alice.post("app.bsky.notification.unregisterPush", &body(&other.did())).await.good();
    assert_eq!(signed_claims(&pds, &alice, other.asked().last().unwrap()).await["aud"], other.did());
    assert!(appview.asked().is_empty());
    let nonsense = alice.post("app.bsky.notification.registerPush", &json!({ "serviceDid": "x" })).await;
    assert_eq!(nonsense.summary(), "400 InvalidRequest");
}

#[tokio::test]
async fn records_of_repos_elsewhere_are_those_that_the_appview_knows() {
    let (pds, appview) = start().await;
    let alice = pds.create_account("alice").await;
    let known = json!({ "uri": "at://did:plc:asdf123/app.bsky.feed.post/a", "value": {} });
    appview.say("com.atproto.repo.getRecord", known.clone());
    let params = [("repo", "did:plc:asdf123"), ("collection", "app.bsky.feed.post"), ("rkey", "a")];
    assert_eq!(alice.get("com.atproto.repo.getRecord", &params).await.good().json(), known);
    assert!(!appview.asked_once().headers.contains_key("authorization"));
    assert_eq!(alice.get_record("app.bsky.feed.post", "none").await.summary(), "400 RecordNotFound");
    assert!(appview.asked().is_empty());
}

#[tokio::test]
async fn a_server_without_an_appview_says_so() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for nsid in
        ["app.bsky.feed.getTimeline", "app.bsky.actor.getProfile", "com.example.unknown", "tools.ozone.server.getConfig"]
    {
        let reply = alice.get(nsid, &[]).await;
        assert_eq!(reply.json(), json!({ "error": "InvalidRequest", "message": format!("No service configured for {nsid}") }));
    }
    // Apps wait for these before they show anything.
    let state = alice.get("app.bsky.ageassurance.getState", &[("countryCode", "DE")]).await.good().json();
    assert_eq!(state["state"], json!({ "status": "unknown", "access": "unknown" }));
    assert_eq!(alice.get("app.bsky.ageassurance.getConfig", &[]).await.good().json(), json!({ "regions": [] }));
    assert_eq!(alice.get("app.bsky.unspecced.getAgeAssuranceState", &[]).await.good().json(), json!({ "status": "unknown" }));
}
