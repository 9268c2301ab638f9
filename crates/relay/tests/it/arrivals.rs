//! Accounts of other kinds that move in, and what is done without anybody when the end of a move was cut off.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use common::Clock as _;
use crypto::{Curve, SigningKey, VerifyingKey};
use relay::config::Config;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::move_in::{assert_arrived, bad, data_of, good, public_url};
use crate::support::{Dns, PlcFault, TestPds, User, read_export, sign};
use crate::verify::{findings, furnished};

/// Tells how many moves a server knows of.
fn moves(pds: &TestPds) -> i64 {
    let conn = Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    conn.query_row("SELECT count(*) FROM move_in", [], |row| row.get(0)).unwrap()
}

async fn status_at(pds: &TestPds, did: &str) -> Value {
    pds.anonymous().get("com.atproto.sync.getRepoStatus", &[("did", did)]).await.good().json()["status"].clone()
}

/// Brings a move as far as that the code was typed, and the operation is lost on its way to the directory.
async fn signed(from: &TestPds, to: &TestPds, account: &User) {
    good(to, &account.did, &account.password, &["--yes"]).await;
    let code = from.code(account.handle.trim_end_matches(".test")).await;
    from.plc_faults().set(PlcFault::Delay);
    let said = bad(to, &account.did, "", &["--yes", "--code", &code]).await;
    assert!(said.contains("The PLC directory cannot be reached"), "{said}");
    let said = bad(to, &account.did, "", &["--give-up"]).await;
    assert!(said.contains("cannot be given up any more"), "it may be on its way: {said}");
    from.plc_faults().set(PlcFault::None);
}

/// The power went after the code was typed, and its owner went to bed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_whose_code_was_typed_is_ended_by_the_server() {
    let (from, alice, _) = furnished().await;
    let to = from.start_beside().await;
    let (_, records) = read_export(&alice.export().await);
    signed(&from, &to, &alice).await;
    let mut told_there = from.follow(None).await;
    let to = to.restart().await;
    told_there.until(|frame| frame.kind == "#account").await;
    assert_arrived(&from, &to, &alice, "alice-password", records.len()).await;
    let to = to.restart().await;
    assert_eq!(moves(&to), 0, "nothing of the session there is left");
    let said = bad(&to, &alice.did, "", &["--yes"]).await;
    assert!(said.contains("is here already"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_deactivated_there_when_the_old_server_is_back() {
    let (mut from, alice, bob) = furnished().await;
    let to = from.start_beside().await;
    for account in [&alice, &bob] {
        signed(&from, &to, account).await;
        from.suspend().await;
        let said = good(&to, &account.did, "", &["--yes"]).await;
        assert!(said.contains("is here.") && said.contains("is not deactivated yet") && said.contains("for a week"), "{said}");
        User::sign_in_with(&to.anonymous(), &account.did, &account.password).await.create_post("from the new place").await;
        from.resume().await;
        assert_eq!(status_at(&from, &account.did).await, Value::Null);
    }
    // By the verb.
    let said = good(&to, &alice.did, "", &["--yes"]).await;
    assert!(said.contains("the account is deactivated"), "{said}");
    assert_eq!(status_at(&from, &alice.did).await, "deactivated");
    assert_eq!(moves(&to), 1);
    // By itself.
    let mut told_there = from.follow(None).await;
    let to = to.restart().await;
    told_there.until(|frame| frame.kind == "#account" && frame.did() == bob.did).await;
    let to = to.restart().await;
    assert_eq!(moves(&to), 0);
}

/// The session there is not kept for ever, and one that has ended is asked for anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_that_stays_away_is_left_alone_in_the_end() {
    let (mut from, alice, bob) = furnished().await;
    let to = from.start_beside().await;
    for account in [&alice, &bob] {
        signed(&from, &to, account).await;
        from.suspend().await;
        good(&to, &account.did, "", &["--yes"]).await;
        from.resume().await;
    }
    let reset = json!({ "email": "alice@example.com" });
    from.anonymous().post("com.atproto.server.requestPasswordReset", &reset).await.good();
    let reset = json!({ "token": from.code("alice").await, "password": "another password" });
    from.anonymous().post("com.atproto.server.resetPassword", &reset).await.good();
    from.clock().shift_micros(3 * 3600 * 1_000_000);
    let said = good(&to, &alice.did, "", &["--yes"]).await;
    assert!(said.contains("with your password there"), "{said}");
    let said = good(&to, &alice.did, "another password", &["--yes"]).await;
    assert!(said.contains("the account is deactivated"), "{said}");

    from.suspend().await;
    from.clock().shift_micros(8 * 24 * 3600 * 1_000_000);
    good(&to, &bob.did, "", &["--yes"]).await;
    assert_eq!(moves(&to), 0);
}

/// What it has there comes here again, and what it was here stays, also when it does not come after all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_comes_back() {
    let (home, alice, _) = furnished().await;
    let away = home.start_beside().await;
    good(&away, &alice.did, "alice-password", &["--yes", "--handle", "traveller.test"]).await;
    let code = home.code("alice").await;
    good(&away, &alice.did, "", &["--yes", "--code", &code]).await;
    let abroad = User::sign_in_with(&away.anonymous(), &alice.did, "alice-password").await;
    abroad.create_post("from abroad").await;
    let (_, records) = read_export(&abroad.export().await);

    good(&home, &alice.did, "alice-password", &["--yes"]).await;
    let said = good(&home, &alice.did, "", &["--give-up"]).await;
    assert!(said.contains("The account stays here, deactivated"), "{said}");
    assert_eq!(status_at(&home, &alice.did).await, "deactivated");
    assert_eq!((moves(&home), findings(&home, &[]).await), (0, (Some(0), Vec::new())));

    good(&home, &alice.did, "alice-password", &["--yes"]).await;
    let code = away.code("alice").await;
    let said = good(&home, &alice.did, "", &["--yes", "--code", &code]).await;
    assert!(said.contains(&format!("@alice.test ({}) is here.", alice.did)), "its handle here: {said}");
    assert_eq!(data_of(&home, &alice.did).await["services"]["atproto_pds"]["endpoint"], json!(public_url(&home)));
    assert_eq!(data_of(&home, &alice.did).await["alsoKnownAs"], json!(["at://alice.test"]));
    assert_eq!(status_at(&away, &alice.did).await, "deactivated");
    let back = User::sign_in(&home.anonymous(), "alice").await;
    assert_eq!(read_export(&back.export().await).1.len(), records.len());
    assert_eq!(findings(&home, &[]).await, (Some(0), Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_is_the_owners_domain_comes_along() {
    let dns = Dns::start().await;
    let address = dns.address;
    let resolving = move |config: &mut Config| config.network.dns_servers = Some(vec![address]);
    let from = TestPds::start_with(resolving).await;
    let to = from.start_beside_with(resolving).await;
    let alice = from.create_account("alice").await;
    dns.set("_atproto.alice.example.com", &format!("did={}", alice.did));
    alice.post("com.atproto.identity.updateHandle", &json!({ "handle": "alice.example.com" })).await.good();
    good(&to, "@Alice.example.com", "alice-password", &["--yes"]).await;
    let code = from.code("alice").await;
    let said = good(&to, &alice.did, "", &["--yes", "--code", &code]).await;
    assert!(said.contains("@alice.example.com ("), "{said}");
    assert_eq!(data_of(&from, &alice.did).await["alsoKnownAs"], json!(["at://alice.example.com"]));
    let described = to.anonymous().get("com.atproto.repo.describeRepo", &[("repo", &alice.did)]).await.good().json();
    assert_eq!((&described["handle"], &described["handleIsCorrect"]), (&json!("alice.example.com"), &json!(true)));
}

/// A password there that is too short for here is not taken over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_there_is_of_the_rules_of_here() {
    let from = TestPds::start().await;
    let to = from.start_beside().await;
    let body = json!({ "handle": "alice.test", "email": "alice@example.com", "password": "short" });
    let did = from.anonymous().post("com.atproto.server.createAccount", &body).await.good().json()["did"].clone();
    let did = did.as_str().unwrap();
    let said = bad(&to, did, "short", &["--yes"]).await;
    assert!(said.contains("The password will not do") && said.contains("8 characters or more"), "{said}");
    assert_eq!(moves(&to), 0);
}

/// The host of a did:web.
struct WebHost {
    did: String,
    document: Arc<Mutex<Value>>,
}

impl WebHost {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let did = format!("did:web:localhost%3A{}", listener.local_addr().unwrap().port());
        let document = Arc::<Mutex<Value>>::default();
        let serve = async |State(document): State<Arc<Mutex<Value>>>| Json(document.lock().unwrap().clone());
        let router = Router::new().route("/.well-known/did.json", get(serve)).with_state(Arc::clone(&document));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { did, document }
    }

    fn publish(&self, document: Value) {
        *self.document.lock().unwrap() = document;
    }

    /// Publishes what the host of an account says that the document has to say.
    fn name(&self, pds: &TestPds, key: &VerifyingKey) {
        let did = &self.did;
        self.publish(json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": did,
            "alsoKnownAs": ["at://alice.test"],
            "verificationMethod": [
                { "id": format!("{did}#atproto"), "type": "Multikey", "controller": did, "publicKeyMultibase": key.to_multikey() },
                { "id": format!("{did}#own"), "type": "Multikey", "controller": did, "publicKeyMultibase": key.to_multikey() },
            ],
            "service": [
                { "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": public_url(pds) },
                { "id": "#own", "type": "Other", "serviceEndpoint": "https://own.example.com" },
            ],
        }));
    }
}

/// Makes an account with a did:web.
async fn account_of(host: &WebHost, pds: &TestPds) -> User {
    let own = SigningKey::from_bytes(Curve::K256, &[7; 32]).unwrap();
    host.name(pds, own.verifying_key());
    let service = pds.anonymous().get("com.atproto.server.describeServer", &[]).await.good().json()["did"].clone();
    let expires = pds.clock().seconds() + 60;
    let claims = json!({ "iss": host.did, "aud": service, "exp": expires, "lxm": "com.atproto.server.createAccount" });
    let token = sign(&own, &json!({ "typ": "JWT", "alg": "ES256K" }), &claims);
    let body = json!({ "did": host.did, "handle": "alice.test", "email": "alice@example.com", "password": "alice-password" });
    pds.anonymous().with_token(&token).post("com.atproto.server.createAccount", &body).await.good();
    let alice = User::sign_in_with(&pds.anonymous(), &host.did, "alice-password").await;
    let wanted = alice.get("com.atproto.identity.getRecommendedDidCredentials", &[]).await.good().json();
    let key = VerifyingKey::from_did_key(wanted["verificationMethods"]["atproto"].as_str().unwrap()).unwrap();
    host.name(pds, &key);
    alice.post_nothing("com.atproto.server.activateAccount").await.good();
    alice
}

/// There is no directory: the owner publishes what the verb shows. What was written until then is signed with the old key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_did_web_moves_when_its_owner_publishes_the_document() {
    let (host, from) = (WebHost::start().await, TestPds::start().await);
    let to = from.start_beside().await;
    let alice = account_of(&host, &from).await;
    alice.create_post("before").await;
    let said = bad(&to, &alice.did, "alice-password", &["--yes"]).await;
    assert!(said.contains("does not lead here yet"), "{said}");
    let document = &said[said.find("\n{").unwrap()..=said.rfind("\n}").unwrap() + 1];
    let document: Value = serde_json::from_str(document).unwrap();
    let ids = |list: &str| -> Vec<String> {
        let entries = document[list].as_array().unwrap().iter();
        entries.map(|entry| entry["id"].as_str().unwrap().trim_start_matches(&*alice.did).to_owned()).collect()
    };
    assert_eq!(
        (ids("verificationMethod"), ids("service")),
        (vec!["#atproto".into(), "#own".into()], vec!["#atproto_pds".into(), "#own".into()])
    );
    alice.create_post("in between").await;
    host.publish(document);
    alice.create_post("in the last moment").await;

    let said = good(&to, &alice.did, "", &["--yes"]).await;
    assert!(said.contains("is here.") && said.contains("the account is deactivated"), "{said}");
    assert_eq!(status_at(&from, &alice.did).await, "deactivated");
    let here = User::sign_in_with(&to.anonymous(), &alice.did, "alice-password").await;
    assert_eq!(read_export(&here.export().await).1.len(), 3);
    here.create_post("from the new place").await;
    assert_eq!(findings(&to, &[]).await, (Some(0), Vec::new()));
    assert_eq!(moves(&to), 0);
}
