//! Preferences of apps.

use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, AppView, Client, Reply, TestPds};

const GET: &str = "app.bsky.actor.getPreferences";
const PUT: &str = "app.bsky.actor.putPreferences";

fn personal(birth_date: &str) -> Value {
    json!({ "$type": "app.bsky.actor.defs#personalDetailsPref", "birthDate": birth_date })
}

fn adult(enabled: bool) -> Value {
    json!({ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": enabled })
}

fn declared() -> Value {
    json!({
        "$type": "app.bsky.actor.defs#declaredAgePref", "isOverAge13": true, "isOverAge16": true, "isOverAge18": true,
    })
}

async fn get(client: &Client) -> Value {
    client.get(GET, &[]).await.good().json()["preferences"].clone()
}

async fn put(client: &Client, preferences: Value) -> Reply {
    client.post(PUT, &json!({ "preferences": preferences })).await
}

#[tokio::test]
async fn preferences_replace_those_before_and_survive_a_restart() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    assert_eq!(get(&alice).await, json!([]));
    // Of a schema that this server does not know, with numbers and an order of its own.
    let other = json!({ "$type": "app.bsky.actor.defs#futurePref", "z": 1.5, "a": [null, { "b": "ü" }] });
    put(&alice, json!([adult(true), other, adult(false)])).await.good();
    assert_eq!(get(&alice).await, json!([adult(true), other, adult(false)]));
    put(&alice, json!([adult(true)])).await.good();
    let pds = pds.restart().await;
    let alice = pds.anonymous().with_token(&alice.access);
    assert_eq!(get(&alice).await, json!([adult(true)]));
}

#[tokio::test]
async fn other_namespaces_are_refused_and_change_nothing() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    put(&alice, json!([adult(true)])).await.good();
    for bad in [json!([adult(false), { "$type": "com.example.pref" }]), json!([{ "enabled": true }]), json!([7]), json!({})] {
        assert_eq!(put(&alice, bad).await.summary(), "400 InvalidRequest");
    }
    assert_eq!(get(&alice).await, json!([adult(true)]));
    assert_eq!(pds.anonymous().get(GET, &[]).await.summary(), "401 AuthMissing");
}

#[tokio::test]
async fn a_birth_date_is_for_the_accounts_own_session() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    // What is computed is ignored when an app writes it back.
    put(&alice, json!([personal("2000-02-29T00:00:00.000Z"), declared()])).await.good();
    assert_eq!(get(&alice).await, json!([personal("2000-02-29T00:00:00.000Z"), declared()]));

    let made = alice.post("com.atproto.server.createAppPassword", &json!({ "name": "app" })).await.good().json();
    let body = json!({ "identifier": alice.handle, "password": made["password"] });
    let session = pds.anonymous().post("com.atproto.server.createSession", &body).await.good().json();
    let app = pds.anonymous().with_token(session["accessJwt"].as_str().unwrap());
    assert_eq!(get(&app).await, json!([declared()]));
    put(&app, json!([adult(true), declared()])).await.good();
    assert_eq!(get(&app).await, json!([adult(true), declared()]));
    assert_eq!(put(&app, json!([personal("1990-01-01T00:00:00.000Z")])).await.summary(), "400 InvalidRequest");
    // It lost nothing that it did not see.
    assert_eq!(get(&alice).await, json!([adult(true), personal("2000-02-29T00:00:00.000Z"), declared()]));
}

/// Accounts that move away bring their preferences, and those that arrive are not active yet.
#[tokio::test]
async fn an_account_that_is_deactivated_has_its_preferences() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    put(&alice, json!([adult(true)])).await.good();
    assert_eq!(get(&alice).await, json!([adult(true)]));
}

#[tokio::test]
async fn preferences_stay_here_unless_another_appview_is_named() {
    let appview = AppView::start().await;
    let own = appview.clone();
    let pds = TestPds::start_with(move |config| own.configure(config)).await;
    let alice = pds.create_account("alice").await;
    let at = async |target: &str| {
        let request = alice.request("GET", &format!("/xrpc/{GET}")).header("atproto-proxy", target);
        alice.send(request).await.good().json()
    };
    assert_eq!(at(&appview.named()).await, json!({ "preferences": [] }));
    assert!(appview.asked().is_empty());
    let other = AppView::start().await;
    other.say(GET, json!({ "preferences": [adult(true)] }));
    assert_eq!(at(&other.named()).await, json!({ "preferences": [adult(true)] }));
}

/// A moderation service may look at what an app of the account does; what is personal stays so.
#[tokio::test]
async fn a_moderator_reads_preferences_but_not_what_is_personal() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    put(&alice, json!([adult(true), personal("2000-02-29T00:00:00.000Z")])).await.good();
    let ask = |client: &Client, did: &str| client.request("GET", &format!("/xrpc/{GET}?did={did}"));
    let as_admin = |did: &str| ask(&pds.anonymous(), did).basic_auth("admin", Some(ADMIN_PASSWORD));
    let seen = pds.anonymous().send(as_admin(&alice.did)).await.good().json();
    assert_eq!(seen["preferences"], json!([adult(true), declared()]));
    assert_eq!(pds.anonymous().send(as_admin("did:web:nobody.example.com")).await.summary(), "400 InvalidRequest");
    assert_eq!(bob.send(ask(&bob, &alice.did)).await.status, 401);
    assert_eq!(alice.send(ask(&alice, &alice.did)).await.status, 401);
    assert_eq!(pds.anonymous().send(ask(&pds.anonymous(), &alice.did)).await.status, 401);
}
