//! Handles, DIDs and documents.

use serde_json::{Value, json};

use crate::support::{Reply, TestPds};

const NOBODY: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

async fn get(pds: &TestPds, nsid: &str, name: &str, value: &str) -> Reply {
    pds.anonymous().get(nsid, &[(name, value)]).await
}

async fn with_host(pds: &TestPds, path: &str, host: &str) -> Reply {
    let anyone = pds.anonymous();
    anyone.send(anyone.request("GET", path).header("host", host)).await
}

#[tokio::test]
async fn a_handle_leads_to_its_did_while_the_account_is_active() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let resolve = async |handle: &str| get(&pds, "com.atproto.identity.resolveHandle", "handle", handle).await;
    for handle in ["alice.test", "ALICE.test"] {
        assert_eq!(resolve(handle).await.good().json(), json!({ "did": alice.did }));
    }
    for nobody in ["nobody.test", "alice.bob.test"] {
        assert_eq!(resolve(nobody).await.summary(), "400 HandleNotFound", "{nobody}");
    }
    for wrong in
        ["", "alice", "al ice.test", "-alice.test", "alice..test", &alice.did, "alice.1", &format!("{}.test", "a".repeat(64))]
    {
        assert_eq!(resolve(wrong).await.summary(), "400 InvalidRequest", "{wrong}");
    }
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    assert_eq!(resolve("alice.test").await.summary(), "400 HandleNotFound");
    alice.post_nothing("com.atproto.server.activateAccount").await.good();
    resolve("alice.test").await.good();
}

#[tokio::test]
async fn a_did_leads_to_its_document() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let document = get(&pds, "com.atproto.identity.resolveDid", "did", &alice.did).await.good().json()["didDoc"].clone();
    assert_eq!(document["id"], alice.did);
    assert_eq!(document["alsoKnownAs"], json!(["at://alice.test"]));
    let method = &document["verificationMethod"][0];
    assert_eq!((&method["type"], &method["controller"]), (&json!("Multikey"), &json!(alice.did)));
    assert!(method["id"].as_str().unwrap().ends_with("#atproto"));
    assert!(method["publicKeyMultibase"].as_str().unwrap().starts_with("zQ3s"), "a secp256k1 key");
    let service = &document["service"][0];
    assert_eq!((&service["id"], &service["type"]), (&json!("#atproto_pds"), &json!("AtprotoPersonalDataServer")));
    assert_eq!(service["serviceEndpoint"], format!("http://localhost:{}", pds.address().port()));

    assert_eq!(get(&pds, "com.atproto.identity.resolveDid", "did", NOBODY).await.summary(), "400 DidNotFound");
    for wrong in ["", "alice.test", "did:", "did:plc:", "did:web:a b"] {
        assert_eq!(get(&pds, "com.atproto.identity.resolveDid", "did", wrong).await.summary(), "400 InvalidRequest", "{wrong}");
    }
    for foreign in ["did:key:zQ3shXjHeiBuRCKmM36cuYnm7YEMzhGnCmCyW92sRJ9pribSF", "did:plc:short", "did:example:thing"] {
        let reply = get(&pds, "com.atproto.identity.resolveDid", "did", foreign).await;
        assert_eq!(reply.summary(), "400 DidNotFound", "{foreign}");
    }
}

/// Handle and DID must lead to each other, or the handle is not good.
#[tokio::test]
async fn an_identity_is_resolved_from_either_end() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let both = [alice.did.clone(), "alice.test".to_owned(), "Alice.Test".to_owned()];
    for identifier in &both {
        let queried = get(&pds, "com.atproto.identity.resolveIdentity", "identifier", identifier).await.good().json();
        let body = json!({ "identifier": identifier });
        let refreshed = alice.post("com.atproto.identity.refreshIdentity", &body).await.good().json();
        for info in [queried, refreshed] {
            assert_eq!(
                (&info["did"], &info["handle"], &info["didDoc"]["id"]),
                (&json!(alice.did), &json!("alice.test"), &json!(alice.did))
            );
        }
    }
    let resolve =
        async |identifier: &str| get(&pds, "com.atproto.identity.resolveIdentity", "identifier", identifier).await.summary();
    assert_eq!(resolve(NOBODY).await, "400 DidNotFound");
    assert_eq!(resolve("nobody.test").await, "400 HandleNotFound");
    assert_eq!(resolve("no identifier").await, "400 InvalidRequest");
    let refresh = async |body: Value| alice.post("com.atproto.identity.refreshIdentity", &body).await.summary();
    assert_eq!(refresh(json!({ "identifier": NOBODY })).await, "400 DidNotFound");
    assert_eq!(refresh(json!({})).await, "400 InvalidRequest");
    // A handle that does not lead back is not the account's.
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    let body = json!({ "identifier": alice.did });
    let bob = pds.create_account("bob").await;
    let info = bob.post("com.atproto.identity.refreshIdentity", &body).await.good().json();
    assert_eq!((&info["did"], &info["handle"]), (&json!(alice.did), &json!("handle.invalid")));
}

#[tokio::test]
async fn the_host_name_of_an_account_tells_its_did() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let path = "/.well-known/atproto-did";
    for host in ["alice.test", "ALICE.test", "alice.test:2583"] {
        let reply = with_host(&pds, path, host).await.good();
        assert_eq!(reply.text(), alice.did, "{host}");
        assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
        assert_eq!(reply.headers["access-control-allow-origin"], "*");
    }
    for host in ["nobody.test", "localhost", "127.0.0.1", "[::1]:80", "al ice", "alice.test.", "x.alice.test"] {
        let reply = with_host(&pds, path, host).await;
        assert!(matches!(reply.status, 400 | 404) && !reply.text().contains("did:"), "{host}: {}", reply.text());
    }
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    assert_eq!(with_host(&pds, path, "alice.test").await.status, 404);
}

/// The official PDS has none, and services that call back by DID cannot find it.
#[tokio::test]
async fn the_server_has_a_did_document_at_its_own_name() {
    let pds = TestPds::start().await;
    let url = format!("http://localhost:{}", pds.address().port());
    let document = with_host(&pds, "/.well-known/did.json", &format!("localhost:{}", pds.address().port())).await.good().json();
    let did = pds.anonymous().get("com.atproto.server.describeServer", &[]).await.good().json()["did"].clone();
    assert_eq!((&document["id"], &document["service"][0]["serviceEndpoint"]), (&did, &json!(url)));
    assert_eq!(document["service"][0]["type"], "AtprotoPersonalDataServer");
    // Handle domains serve nothing but the account's DID.
    pds.create_account("alice").await;
    assert_eq!(with_host(&pds, "/.well-known/did.json", "alice.test").await.status, 404);
}

#[tokio::test]
async fn the_directory_holds_an_operation_that_the_server_may_change() {
    let pds = TestPds::start().await;
    let key = "did:key:zQ3shXjHeiBuRCKmM36cuYnm7YEMzhGnCmCyW92sRJ9pribSF";
    let body = json!({ "handle": "alice.test", "email": "alice@example.com", "password": "password", "recoveryKey": key });
    let made = pds.anonymous().post("com.atproto.server.createAccount", &body).await.good().json();
    let did = made["did"].as_str().unwrap();
    let plc = crate::support::Client::new(pds.plc_url(), None);
    let data = plc.send(plc.request("GET", &format!("/{did}/data"))).await.good().json();
    assert_eq!((&data["did"], &data["alsoKnownAs"]), (&json!(did), &json!(["at://alice.test"])));
    let rotation: Vec<&str> = data["rotationKeys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert_eq!((rotation.len(), rotation[0]), (2, key), "the user's key stands above the server's");
    assert_ne!(data["verificationMethods"]["atproto"].as_str().unwrap(), rotation[1], "accounts sign with keys of their own");
    let log = plc.send(plc.request("GET", &format!("/{did}/log"))).await.good().json();
    assert_eq!(log.as_array().unwrap().len(), 1);
}
