//! What apps may do: no more than they were granted, at every endpoint.

use serde_json::{Value, json};

use crate::support::{App, AppView, Browser, Dns, REPORTS, TestPds, Tokens, User, post};

/// Signs alice in with an app that asks for `scope`.
async fn start(pds: &TestPds, alice: &User, scope: &str) -> (App, Tokens) {
    let app = App::loopback(pds, scope);
    let tokens = app.sign_in(pds, alice, scope).await;
    (app, tokens)
}

fn record(alice: &User, collection: &str, rkey: Option<&str>) -> Value {
    let mut record = post("hello");
    record["$type"] = collection.into();
    let mut body = json!({ "repo": alice.did, "collection": collection, "record": record, "validate": false });
    if let Some(rkey) = rkey {
        body["rkey"] = rkey.into();
    }
    body
}

/// Asserts that a call lacks a scope, and which.
#[track_caller]
fn lacks(reply: &crate::support::Reply, scope: &str) {
    assert_eq!(reply.summary(), "403 ScopeMissingError", "{}", reply.text());
    assert_eq!(reply.json()["message"], format!("Missing required scope \"{scope}\""));
}

#[tokio::test]
async fn signing_in_alone_is_for_knowing_who_it_is() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let (app, tokens) = start(&pds, &alice, "atproto").await;
    let session = app.get(&tokens, "com.atproto.server.getSession").await.good().json();
    assert_eq!((&session["did"], &session["email"]), (&json!(alice.did), &Value::Null));
    app.get(&tokens, &format!("com.atproto.sync.getLatestCommit?did={}", alice.did)).await.good();
    app.get(&tokens, "com.atproto.server.checkAccountStatus").await.good();

    let reply = app.post_json(&tokens, "com.atproto.repo.createRecord", &record(&alice, "app.bsky.feed.post", None)).await;
    lacks(&reply, "repo:app.bsky.feed.post?action=create");
    lacks(&app.upload(&tokens, "image/png").await, "blob:image/png");
    let did = "did:web:api.example.com%23svc";
    let reply = app.get(&tokens, &format!("com.atproto.server.getServiceAuth?aud={did}&lxm=com.example.get")).await;
    lacks(&reply, &format!("rpc:com.example.get?aud={did}"));
    let reply = app.post_json(&tokens, "com.atproto.identity.updateHandle", &json!({ "handle": "a.test" })).await;
    lacks(&reply, "identity:handle");
    let reply = app.call(&tokens, "POST", "/xrpc/com.atproto.identity.requestPlcOperationSignature", None).await;
    lacks(&reply, "identity:*");
    let reply = app.call(&tokens, "POST", "/xrpc/com.atproto.server.requestEmailConfirmation", None).await;
    lacks(&reply, "account:email?action=manage");
    let reply = app.post_json(&tokens, "com.atproto.server.deactivateAccount", &json!({})).await;
    lacks(&reply, "account:status?action=manage");
    let reply = app.call(&tokens, "POST", "/xrpc/com.atproto.repo.importRepo", None).await;
    lacks(&reply, "account:repo?action=manage");
    let reply = app.get(&tokens, "app.bsky.actor.getPreferences").await;
    assert_eq!(reply.summary(), "403 ScopeMissingError");
}

#[tokio::test]
async fn some_methods_are_for_nobody_but_the_owner() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let scope = "atproto transition:generic transition:email transition:chat.bsky identity:* account:email?action=manage";
    let (app, tokens) = start(&pds, &alice, scope).await;
    for (method, nsid) in [
        ("GET", "com.atproto.server.listAppPasswords"),
        ("GET", "com.atproto.server.getAccountInviteCodes"),
        ("POST", "com.atproto.server.createAppPassword"),
        ("POST", "com.atproto.server.revokeAppPassword"),
        ("POST", "com.atproto.server.requestAccountDelete"),
        ("POST", "com.atproto.server.updateEmail"),
        ("POST", "com.atproto.server.requestEmailUpdate"),
    ] {
        let body = json!({ "name": "x", "email": "x@example.com" });
        let reply = app.call(&tokens, method, &format!("/xrpc/{nsid}"), (method == "POST").then_some(&body)).await;
        assert_eq!(reply.summary(), "403 Forbidden", "{nsid}: {}", reply.text());
    }
    for nsid in ["com.atproto.server.refreshSession", "com.atproto.server.deleteSession"] {
        assert_eq!(app.call(&tokens, "POST", &format!("/xrpc/{nsid}"), None).await.status, 400, "{nsid}");
    }
    assert_eq!(app.get(&tokens, "com.atproto.admin.getInviteCodes").await.status, 401);
    assert_eq!(app.get(&tokens, "com.atproto.server.getSession").await.good().json()["email"], "alice@example.com");
}

#[tokio::test]
async fn records_are_written_where_and_how_it_was_granted() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let scope = "atproto repo:com.example.note?action=create repo:com.example.list blob:image/*";
    let (app, tokens) = start(&pds, &alice, scope).await;
    let create = "com.atproto.repo.createRecord";
    let put = "com.atproto.repo.putRecord";
    app.post_json(&tokens, create, &record(&alice, "com.example.note", Some("a"))).await.good();
    app.post_json(&tokens, create, &record(&alice, "com.example.list", Some("a"))).await.good();
    app.post_json(&tokens, put, &record(&alice, "com.example.list", Some("a"))).await.good();
    lacks(
        &app.post_json(&tokens, create, &record(&alice, "com.example.other", None)).await,
        "repo:com.example.other?action=create",
    );
    lacks(
        &app.post_json(&tokens, put, &record(&alice, "com.example.note", Some("a"))).await,
        "repo:com.example.note?action=update",
    );
    let delete = |collection: &str| json!({ "repo": alice.did, "collection": collection, "rkey": "a" });
    let reply = app.post_json(&tokens, "com.atproto.repo.deleteRecord", &delete("com.example.note")).await;
    lacks(&reply, "repo:com.example.note?action=delete");
    app.post_json(&tokens, "com.atproto.repo.deleteRecord", &delete("com.example.list")).await.good();
    // One write that is too much stops the batch.
    let writes = json!([
        { "$type": "com.atproto.repo.applyWrites#create", "collection": "com.example.list", "rkey": "b", "value": { "$type": "com.example.list" } },
        { "$type": "com.atproto.repo.applyWrites#delete", "collection": "com.example.note", "rkey": "a" }
    ]);
    let body = json!({ "repo": alice.did, "validate": false, "writes": writes });
    lacks(&app.post_json(&tokens, "com.atproto.repo.applyWrites", &body).await, "repo:com.example.note?action=delete");
    assert_eq!(alice.get_record("com.example.list", "b").await.status, 400);
    // Nor is it anyone else's repo.
    let bob = pds.create_account("bob").await;
    assert_eq!(app.post_json(&tokens, create, &record(&bob, "com.example.note", None)).await.status, 401);

    app.upload(&tokens, "image/png").await.good();
    lacks(&app.upload(&tokens, "video/mp4").await, "blob:video/mp4");
}

#[tokio::test]
async fn what_was_unticked_is_not_granted() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let scope = "atproto repo:com.example.note repo:com.example.list";
    let app = App::loopback(&pds, scope);
    let mut browser = Browser::new(&pds);
    browser.sign_in(&alice.handle, &alice.password).await;
    let path = app.push(&pds, scope, &[]).await;
    // What was not asked is not granted either, whatever the form says.
    let answer = app.consent(&mut browser, &path, &["repo:com.example.list", "repo:*"]).await;
    let reply = app.post(&pds, "/oauth/token", &app.redemption(&answer["code"])).await.good().json();
    let tokens = Tokens::of(&reply);
    assert_eq!(tokens.scope, "atproto repo:com.example.list");
    let create = "com.atproto.repo.createRecord";
    app.post_json(&tokens, create, &record(&alice, "com.example.list", None)).await.good();
    lacks(
        &app.post_json(&tokens, create, &record(&alice, "com.example.note", None)).await,
        "repo:com.example.note?action=create",
    );
}

#[tokio::test]
async fn calls_go_to_the_services_that_were_granted() {
    let appview = AppView::start().await;
    let configured = appview.clone();
    let pds = TestPds::start_with(move |config| configured.configure(config)).await;
    let alice = pds.create_account("alice").await;
    let service = appview.named().replace('%', "%25").replace('#', "%23");
    let scope = format!("atproto rpc:app.bsky.feed.getTimeline?aud={service} rpc:com.atproto.moderation.createReport?aud=*");
    let (app, tokens) = start(&pds, &alice, &scope).await;
    appview.say("app.bsky.feed.getTimeline", json!({ "feed": [] }));
    appview.say("app.bsky.feed.getAuthorFeed", json!({ "feed": [] }));
    appview.say("com.atproto.moderation.createReport", json!({ "id": 1 }));
    app.get(&tokens, "app.bsky.feed.getTimeline").await.good();
    let asked = appview.asked_once();
    // The service gets a token of its own, and nothing of the app's.
    assert_ne!(asked.token(), tokens.access);
    assert!(!asked.headers.contains_key("dpop"));
    let reply = app.get(&tokens, "app.bsky.feed.getAuthorFeed?actor=alice.test").await;
    lacks(&reply, &format!("rpc:app.bsky.feed.getAuthorFeed?aud={service}"));
    lacks(&app.get(&tokens, "com.example.echo").await, &format!("rpc:com.example.echo?aud={service}"));
    let report = json!({ "reasonType": "com.atproto.moderation.defs#reasonSpam", "subject": { "did": alice.did } });
    app.post_json(&tokens, "com.atproto.moderation.createReport", &report).await.good();
    assert_eq!(appview.asked_once().path, "/xrpc/com.atproto.moderation.createReport");
    assert!(REPORTS.starts_with("did:web:"));
    // Tokens for services are given out by the same rule, and for no method by which an account is managed.
    let token = |aud: &str, lxm: &str| format!("com.atproto.server.getServiceAuth?aud={aud}&lxm={lxm}");
    app.get(&tokens, &token(&service, "app.bsky.feed.getTimeline")).await.good();
    assert_eq!(app.get(&tokens, &token(&service, "app.bsky.feed.getPosts")).await.status, 403);
    assert_eq!(app.get(&tokens, &token("did:web:other.example%23svc", "app.bsky.feed.getTimeline")).await.status, 403);

    let (app, tokens) = start(&pds, &alice, "atproto transition:generic").await;
    app.get(&tokens, "app.bsky.feed.getAuthorFeed?actor=alice.test").await.good();
    assert_eq!(app.get(&tokens, "chat.bsky.convo.listConvos").await.summary(), "403 ScopeMissingError");
    assert_eq!(
        app.get(&tokens, &token(&service, "com.atproto.server.createAppPassword")).await.summary(),
        "400 InvalidRequest"
    );
    app.get(&tokens, "app.bsky.actor.getPreferences").await.good();
}

#[tokio::test]
async fn a_set_that_nobody_publishes_is_refused() {
    let pds = TestPds::start().await;
    let scope = "atproto include:com.example.nowhere.authBasic";
    let app = App::loopback(&pds, scope);
    let reply = app.post(&pds, "/oauth/par", &app.request(scope)).await;
    assert_eq!(reply.summary(), "400 invalid_scope");
    assert!(reply.json()["error_description"].as_str().unwrap().contains("com.example.nowhere.authBasic"), "{}", reply.text());
}

#[tokio::test]
async fn a_set_is_what_its_lexicon_lists() {
    let dns = Dns::start().await;
    let nameserver = dns.address;
    let pds = TestPds::start_with(move |config| config.network.dns_servers = Some(vec![nameserver])).await;
    let alice = pds.create_account("alice").await;
    dns.set("_lexicon.example.com", &format!("did={}", alice.did));
    let permission = |collection: &str| json!({ "type": "permission", "resource": "repo", "collection": [collection] });
    let set = json!({
        "$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": "com.example.authBasic",
        "defs": { "main": {
            "type": "permission-set", "title": "Notes", "detail": "Write notes",
            "permissions": [permission("com.example.note"), permission("org.elsewhere.note")],
        } },
    });
    alice.put_record("com.atproto.lexicon.schema", "com.example.authBasic", set).await.good();
    let (app, tokens) = start(&pds, &alice, "atproto include:com.example.authBasic").await;
    assert_eq!(tokens.scope, "atproto repo:com.example.note");
    let create = "com.atproto.repo.createRecord";
    app.post_json(&tokens, create, &record(&alice, "com.example.note", None)).await.good();
    let reply = app.post_json(&tokens, create, &record(&alice, "org.elsewhere.note", None)).await;
    lacks(&reply, "repo:org.elsewhere.note?action=create");
}
