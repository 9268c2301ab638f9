//! The methods of the operator and of moderators.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use common::{Clock as _, Did};
use crypto::plc::{PlcOperation, UnsignedOperation};
use crypto::{Curve, SigningKey};
use relay::config::{Config, Service};
use serde_json::{Value, json};

use crate::support::{Client, Reply, TestPds};

const NOBODY: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

/// The methods that only the operator may call, and those that moderators may call as well.
const ADMIN_ONLY: [&str; 8] = [
    "com.atproto.admin.deleteAccount",
    "com.atproto.admin.updateAccountEmail",
    "com.atproto.admin.updateAccountHandle",
    "com.atproto.admin.updateAccountPassword",
    "com.atproto.admin.updateAccountSigningKey",
    "com.atproto.server.createInviteCode",
    "com.atproto.temp.addReservedHandle",
    "com.atproto.temp.revokeAccountCredentials",
];
const MODERATOR: [&str; 5] = [
    "com.atproto.admin.disableAccountInvites",
    "com.atproto.admin.disableInviteCodes",
    "com.atproto.admin.enableAccountInvites",
    "com.atproto.admin.sendEmail",
    "com.atproto.admin.updateSubjectStatus",
];
const MODERATOR_QUERIES: [&str; 5] = [
    "com.atproto.admin.getAccountInfo",
    "com.atproto.admin.getAccountInfos",
    "com.atproto.admin.getInviteCodes",
    "com.atproto.admin.getSubjectStatus",
    "com.atproto.admin.searchAccounts",
];

#[tokio::test]
async fn only_the_operator_may() {
    let pds = TestPds::start().await;
    let (admin, anyone, alice) = (pds.admin(), pds.anonymous(), pds.create_account("alice").await);
    for nsid in ADMIN_ONLY.iter().chain(&MODERATOR) {
        assert_eq!(anyone.post(nsid, &json!({})).await.summary(), "401 AuthenticationRequired", "{nsid}");
        assert_eq!(alice.post(nsid, &json!({})).await.summary(), "401 AuthenticationRequired", "{nsid}");
        let wrong = anyone.request("POST", &format!("/xrpc/{nsid}")).basic_auth("admin", Some("wrong")).json(&json!({}));
        assert_eq!(anyone.send(wrong).await.summary(), "401 AuthenticationRequired", "{nsid}");
        assert_ne!(admin.post(nsid, &json!({})).await.status, 401, "{nsid}");
    }
    for nsid in MODERATOR_QUERIES {
        let did = [("did", alice.did.as_str()), ("dids", &alice.did)];
        assert_eq!(anyone.get(nsid, &did).await.summary(), "401 AuthenticationRequired", "{nsid}");
        assert_eq!(alice.get(nsid, &did).await.summary(), "401 AuthenticationRequired", "{nsid}");
        admin.get(nsid, &did).await.good();
    }
    pds.stop().await;
}

/// The DID of the moderation service of the test below, once it has one.
static MODERATION: OnceLock<Did> = OnceLock::new();

fn with_moderation(config: &mut Config) {
    let url = config.identity.plc_url.clone();
    config.services.moderation = MODERATION.get().map(|did| Service { url, did: did.clone() });
}

/// Makes a DID that signs with one key as itself and with the other as a labeler.
async fn create_labeler(plc_url: String, own: &SigningKey, labels: &SigningKey) -> Did {
    let operation = PlcOperation {
        rotation_keys: vec![own.verifying_key().to_did_key()],
        verification_methods: BTreeMap::from([
            ("atproto".to_owned(), own.verifying_key().to_did_key()),
            ("atproto_label".to_owned(), labels.verifying_key().to_did_key()),
        ]),
        also_known_as: Vec::new(),
        services: BTreeMap::new(),
        prev: None,
    };
    let operation = UnsignedOperation::Plc(operation).sign(own);
    let (did, directory) = (operation.derived_did(), Client::new(plc_url, None));
    let reply = directory.send(directory.request("POST", &format!("/{did}")).json(&operation)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    did
}

#[tokio::test]
async fn the_configured_moderation_service_may_moderate() {
    let pds = TestPds::start_with(with_moderation).await;
    let key = |byte: u8| SigningKey::from_bytes(Curve::K256, &[byte; 32]).unwrap();
    let (own, labels, other) = (key(1), key(2), key(3));
    let did = create_labeler(pds.plc_url(), &own, &labels).await;
    let stranger = create_labeler(pds.plc_url(), &other, &labels).await;
    let aud = pds.anonymous().get("com.atproto.server.describeServer", &[]).await.good().json()["did"].clone();
    let exp = pds.clock().seconds() + 60;
    let token = |key: &SigningKey, iss: &str, lxm: &str| {
        let claims = json!({ "iss": iss, "aud": aud, "exp": exp, "lxm": lxm });
        crypto::jwt::encode_signed(key, "JWT", None, &claims).unwrap()
    };
    let lxm = "com.atproto.admin.getAccountInfo";
    let alice = pds.create_account("alice").await;
    let params = [("did", alice.did.as_str())];

    // Nobody is configured.
    let good = token(&own, did.as_str(), lxm);
    assert_eq!(alice.with_token(&good).get(lxm, &params).await.summary(), "401 AuthenticationRequired");
    MODERATION.set(did.clone()).unwrap();
    let pds = pds.restart().await;
    let call = async |token: &str| pds.anonymous().with_token(token).get(lxm, &params).await;
    let outcome = async |token: &str| call(token).await.summary();

    assert_eq!(call(&good).await.good().json()["did"], json!(alice.did));
    let as_labeler = format!("{did}#atproto_labeler");
    call(&token(&labels, &as_labeler, lxm)).await.good();
    assert_eq!(outcome(&token(&labels, did.as_str(), lxm)).await, "401 BadJwtSignature");
    assert_eq!(outcome(&token(&own, &as_labeler, lxm)).await, "401 BadJwtSignature");
    assert_eq!(outcome(&token(&other, stranger.as_str(), lxm)).await, "401 UntrustedIss");
    assert_eq!(outcome(&token(&own, did.as_str(), "com.atproto.admin.sendEmail")).await, "401 BadJwtLexiconMethod");

    // It judges, and does not run the server.
    let update = "com.atproto.admin.updateSubjectStatus";
    let body = json!({ "subject": alice.as_subject(), "takedown": { "applied": true } });
    pds.anonymous().with_token(&token(&own, did.as_str(), update)).post(update, &body).await.good();
    let status = pds.admin().get("com.atproto.admin.getSubjectStatus", &params).await.good().json();
    assert_eq!(status["takedown"]["applied"], true);
    assert!(status["takedown"]["ref"].as_str().unwrap().contains('T'), "without a ref it is the time: {status}");
    for nsid in ADMIN_ONLY {
        let token = token(&own, did.as_str(), nsid);
        let reply = pds.anonymous().with_token(&token).post(nsid, &json!({})).await;
        assert_eq!(reply.summary(), "401 AuthenticationRequired", "{nsid}");
    }
    pds.stop().await;
}

#[tokio::test]
async fn accounts_are_described_and_found() {
    let pds = TestPds::start_with(|config| config.accounts.invite_required = true).await;
    let (admin, anyone) = (pds.admin(), pds.anonymous());
    let code = admin.post("com.atproto.server.createInviteCode", &json!({ "useCount": 9 })).await.good().json()["code"].clone();
    let mut dids = Vec::new();
    for name in ["alice", "bobby", "carol"] {
        let email = format!("{name}@Example.com");
        let body = json!({ "handle": format!("{name}.test"), "email": email, "password": "password", "inviteCode": code });
        let made = anyone.post("com.atproto.server.createAccount", &body).await.good().json();
        dids.push(made["did"].as_str().unwrap().to_owned());
    }
    let info = admin.get("com.atproto.admin.getAccountInfo", &[("did", &dids[0])]).await.good().json();
    assert_eq!((&info["did"], &info["handle"]), (&json!(dids[0]), &json!("alice.test")));
    assert_eq!((&info["email"], &info["invitesDisabled"]), (&json!("alice@example.com"), &json!(false)));
    assert_eq!((&info["invitedBy"]["code"], &info["invites"]), (&code, &json!([])));
    assert!(info["indexedAt"].is_string() && info["deactivatedAt"].is_null());
    let none = admin.get("com.atproto.admin.getAccountInfo", &[("did", NOBODY)]).await;
    assert_eq!(none.summary(), "400 NotFound");
    let several = [("dids", dids[2].as_str()), ("dids", NOBODY), ("dids", &dids[0])];
    let infos = admin.get("com.atproto.admin.getAccountInfos", &several).await.good().json();
    assert_eq!(found(&infos["infos"]), [dids[2].as_str(), &dids[0]]);

    let search = async |params: &[(&str, &str)]| admin.get("com.atproto.admin.searchAccounts", params).await.good().json();
    assert_eq!(found(&search(&[("email", "BOBBY@")]).await["accounts"]), [&dids[1]]);
    assert_eq!(found(&search(&[("email", "%")]).await["accounts"]), Vec::<&str>::new());
    let first = search(&[("email", "example.com"), ("limit", "2")]).await;
    assert_eq!(found(&first["accounts"]), dids[..2]);
    let rest = search(&[("email", "example.com"), ("cursor", first["cursor"].as_str().unwrap())]).await;
    assert_eq!((found(&rest["accounts"]), &rest["cursor"]), (vec![dids[2].as_str()], &Value::Null));
    pds.stop().await;
}

fn found(accounts: &Value) -> Vec<&str> {
    accounts.as_array().unwrap().iter().map(|account| account["did"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_operator_changes_address_password_and_handle() {
    let pds = TestPds::start().await;
    let (admin, alice, bob) = (pds.admin(), pds.create_account("alice").await, pds.create_account("bob").await);
    let email = "com.atproto.admin.updateAccountEmail";
    admin.post(email, &json!({ "account": alice.handle, "email": "New@Example.com" })).await.good();
    let taken = admin.post(email, &json!({ "account": bob.did, "email": "new@example.com" })).await;
    assert_eq!(taken.summary(), "400 InvalidRequest");
    let malformed = admin.post(email, &json!({ "account": bob.did, "email": "nothing" })).await;
    assert_eq!(malformed.summary(), "400 InvalidRequest");
    assert_eq!(admin.post(email, &json!({ "account": NOBODY, "email": "a@b.c" })).await.summary(), "400 NotFound");
    assert_eq!(alice.get("com.atproto.server.getSession", &[]).await.good().json()["email"], "new@example.com");

    let password = "com.atproto.admin.updateAccountPassword";
    admin.post(password, &json!({ "did": alice.did, "password": "another" })).await.good();
    assert_eq!(admin.post(password, &json!({ "did": alice.did, "password": "" })).await.summary(), "400 InvalidRequest");
    assert_eq!(log_in(&alice, "alice.test", &alice.password).await.summary(), "401 AuthenticationRequired");
    log_in(&alice, "alice.test", "another").await.good();
    let refreshed = alice.with_token(&alice.refresh).post_nothing("com.atproto.server.refreshSession").await;
    assert_eq!(refreshed.summary(), "400 ExpiredToken");

    let handle = "com.atproto.admin.updateAccountHandle";
    admin.post(handle, &json!({ "did": alice.did, "handle": "support.test" })).await.good();
    let info = admin.get("com.atproto.admin.getAccountInfo", &[("did", &alice.did)]).await.good().json();
    assert_eq!(info["handle"], "support.test");
    assert_eq!(
        admin.post(handle, &json!({ "did": alice.did, "handle": "bob.test" })).await.summary(),
        "400 HandleNotAvailable"
    );
    assert_eq!(admin.post(handle, &json!({ "did": alice.did, "handle": "a.b.test" })).await.summary(), "400 InvalidHandle");
    assert_eq!(admin.post("com.atproto.admin.deleteAccount", &json!({ "did": NOBODY })).await.summary(), "400 NotFound");
    pds.stop().await;
}

async fn log_in(client: &Client, identifier: &str, password: &str) -> Reply {
    let body = json!({ "identifier": identifier, "password": password });
    client.post("com.atproto.server.createSession", &body).await
}

#[tokio::test]
async fn a_did_gets_the_key_that_the_server_signs_with_and_no_other() {
    let pds = TestPds::start().await;
    let (admin, alice) = (pds.admin(), pds.create_account("alice").await);
    let directory = Client::new(pds.plc_url(), None);
    let data = directory.send(directory.request("GET", &format!("/{}/data", alice.did))).await.good().json();
    let own = data["verificationMethods"]["atproto"].clone();
    let nsid = "com.atproto.admin.updateAccountSigningKey";
    admin.post(nsid, &json!({ "did": alice.did, "signingKey": own })).await.good();
    let other = SigningKey::from_bytes(Curve::K256, &[9; 32]).unwrap().verifying_key().to_did_key();
    for (key, refused) in [(other.as_str(), "400 InvalidRequest"), ("did:key:zabc", "400 InvalidRequest")] {
        assert_eq!(admin.post(nsid, &json!({ "did": alice.did, "signingKey": key })).await.summary(), refused);
    }
    let mut follower = pds.follow(Some(0)).await;
    let mut identities = 0;
    follower
        .until(|frame| {
            identities += usize::from(frame.kind == "#identity");
            identities == 2
        })
        .await;
    pds.stop().await;
}

#[tokio::test]
async fn invite_codes_are_listed_and_ended() {
    let pds = TestPds::start_with(|config| {
        config.accounts.invite_required = true;
        config.accounts.invite_interval = Some(std::time::Duration::from_secs(3600));
    })
    .await;
    let (admin, anyone) = (pds.admin(), pds.anonymous());
    let create = async |uses: u32| {
        let made = admin.post("com.atproto.server.createInviteCode", &json!({ "useCount": uses })).await.good().json();
        made["code"].as_str().unwrap().to_owned()
    };
    let register = async |name: &str, code: &str| {
        let email = format!("{name}@example.com");
        let body = json!({ "handle": format!("{name}.test"), "email": email, "password": "password", "inviteCode": code });
        anyone.post("com.atproto.server.createAccount", &body).await
    };
    let codes = [create(1).await, create(2).await, create(3).await, create(4).await];
    let alice = register("alice", &codes[2]).await.good().json();
    register("bobby", &codes[2]).await.good();
    register("carol", &codes[1]).await.good();

    let page = async |params: &[(&str, &str)]| admin.get("com.atproto.admin.getInviteCodes", params).await.good().json();
    for sort in ["recent", "usage"] {
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut params = vec![("sort", sort), ("limit", "3")];
            params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let reply = page(&params).await;
            let codes = reply["codes"].as_array().unwrap().iter();
            seen.extend(codes.map(|code| (code["code"].as_str().unwrap().to_owned(), code["uses"].as_array().unwrap().len())));
            match reply["cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        let mut names: Vec<&String> = seen.iter().map(|(code, _)| code).collect();
        names.sort();
        let mut all: Vec<&String> = codes.iter().collect();
        all.sort();
        assert_eq!(names, all, "{sort}");
        if sort == "usage" {
            assert_eq!(seen.iter().map(|(_, uses)| *uses).collect::<Vec<_>>(), [2, 1, 0, 0]);
        }
    }
    assert_eq!(admin.get("com.atproto.admin.getInviteCodes", &[("sort", "name")]).await.summary(), "400 InvalidRequest");
    assert_eq!(admin.get("com.atproto.admin.getInviteCodes", &[("cursor", "x")]).await.summary(), "400 InvalidRequest");

    let disable = "com.atproto.admin.disableInviteCodes";
    assert_eq!(admin.post(disable, &json!({ "accounts": ["admin"] })).await.summary(), "400 InvalidRequest");
    admin.post(disable, &json!({ "codes": [codes[3], "no-such-code"] })).await.good();
    assert_eq!(register("david", &codes[3]).await.summary(), "400 InvalidInviteCode");

    // An account that may not earn codes gets none; those that it has are ended apart.
    let did = alice["did"].as_str().unwrap();
    let note = json!({ "account": did, "note": "gave them to robots" });
    admin.post("com.atproto.admin.disableAccountInvites", &note).await.good();
    pds.clock().shift_micros(2 * 3600 * 1_000_000 + 1);
    let login = log_in(&anyone, "alice.test", "password").await.good().json();
    let client = anyone.with_token(login["accessJwt"].as_str().unwrap());
    let own = async || {
        let reply = client.get("com.atproto.server.getAccountInviteCodes", &[]).await.good().json();
        reply["codes"].as_array().unwrap().len()
    };
    assert_eq!(own().await, 0);
    let info = admin.get("com.atproto.admin.getAccountInfo", &[("did", did)]).await.good().json();
    assert_eq!((&info["invitesDisabled"], &info["inviteNote"]), (&json!(true), &json!("gave them to robots")));
    admin.post("com.atproto.admin.enableAccountInvites", &json!({ "account": did })).await.good();
    assert_eq!(own().await, 2);
    admin.post(disable, &json!({ "accounts": [did] })).await.good();
    assert_eq!(own().await, 0, "what was disabled is not shown");
    let nobody = admin.post("com.atproto.admin.enableAccountInvites", &json!({ "account": NOBODY })).await;
    assert_eq!(nobody.summary(), "400 NotFound");
    pds.stop().await;
}

#[tokio::test]
async fn credentials_are_revoked_all_at_once() {
    let pds = TestPds::start().await;
    let (admin, alice) = (pds.admin(), pds.create_account("alice").await);
    let made = alice.post("com.atproto.server.createAppPassword", &json!({ "name": "app" })).await.good().json();
    let app_password = made["password"].as_str().unwrap();
    log_in(&alice, &alice.did, app_password).await.good();
    admin.post("com.atproto.temp.revokeAccountCredentials", &json!({ "account": "alice.test" })).await.good();
    for password in [app_password, alice.password.as_str()] {
        assert_eq!(log_in(&alice, &alice.did, password).await.summary(), "401 AuthenticationRequired");
    }
    let refreshed = alice.with_token(&alice.refresh).post_nothing("com.atproto.server.refreshSession").await;
    assert_eq!(refreshed.summary(), "400 ExpiredToken");
    pds.stop().await;
}

#[tokio::test]
async fn a_handle_that_is_kept_back_is_the_operators() {
    let pds = TestPds::start().await;
    let (admin, anyone) = (pds.admin(), pds.anonymous());
    let alice = pds.create_account("alice").await;
    let reserve = "com.atproto.temp.addReservedHandle";
    for name in ["mayor", "city.test", "city.test", "alice"] {
        assert_eq!(admin.post(reserve, &json!({ "handle": name })).await.good().json(), json!({}));
    }
    assert_eq!(admin.post(reserve, &json!({ "handle": "not a handle" })).await.summary(), "400 InvalidHandle");
    for handle in ["mayor.test", "city.test"] {
        let body = json!({ "handle": handle, "email": "x@example.com", "password": "password" });
        assert_eq!(anyone.post("com.atproto.server.createAccount", &body).await.summary(), "400 HandleNotAvailable");
        let body = json!({ "handle": handle });
        assert_eq!(alice.post("com.atproto.identity.updateHandle", &body).await.summary(), "400 HandleNotAvailable");
    }
    // Whoever has it keeps it.
    alice.post("com.atproto.identity.updateHandle", &json!({ "handle": "alice.test" })).await.good();
    let body = json!({ "did": alice.did, "handle": "mayor.test" });
    admin.post("com.atproto.admin.updateAccountHandle", &body).await.good();
    pds.stop().await;
}

#[tokio::test]
async fn no_reference_to_a_scope_is_known() {
    let pds = TestPds::start().await;
    let dereference = "com.atproto.temp.dereferenceScope";
    let reply = pds.anonymous().get(dereference, &[("scope", "ref:abc")]).await;
    assert_eq!(reply.summary(), "400 InvalidScopeReference");
    assert_eq!(pds.anonymous().get(dereference, &[]).await.summary(), "400 InvalidRequest");
    pds.stop().await;
}

#[tokio::test]
async fn a_moderator_writes_to_an_account() {
    let pds = TestPds::start().await;
    let (admin, alice) = (pds.admin(), pds.create_account("alice").await);
    let send = "com.atproto.admin.sendEmail";
    let body = |recipient: &str| json!({ "recipientDid": recipient, "senderDid": NOBODY, "content": "Please stop." });
    assert_eq!(admin.post(send, &body(&alice.did)).await.good().json(), json!({ "sent": true }));
    assert_eq!(admin.post(send, &body(NOBODY)).await.summary(), "400 NotFound");
    pds.stop().await;
}
