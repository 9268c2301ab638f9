//! Who apps are: metadata, keys, and what is not one.

use serde_json::{Value, json};

use crate::support::{App, AppSite, Browser, CALLBACK, Dns, Odd, TestPds, Tokens, key, key_set, sign};

const SCOPE: &str = "atproto transition:generic";
const SESSION: &str = "com.atproto.server.getSession";
const METADATA: &str = "/client-metadata.json";

async fn start() -> (TestPds, AppSite) {
    let site = AppSite::start().await;
    (TestPds::start_with(site.trust()).await, site)
}

#[tokio::test]
async fn an_app_with_a_key_signs_in_asks_once_and_asks_about_its_tokens() {
    let (pds, site) = start().await;
    let alice = pds.create_account("alice").await;
    let id = site.publish_confidential(METADATA, &key(1), "one");
    let app = App::new(&pds, &id, CALLBACK).with_assertion_key(key(1), "one");
    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    app.get(&tokens, SESSION).await.good();
    let renewed = Tokens::of(&app.refresh(&pds, &tokens.refresh).await.good().json());
    assert_eq!(site.asked(METADATA), 1);

    let about = app.post(&pds, "/oauth/introspect", &[("token", &renewed.access)]).await.good().json();
    assert_eq!((&about["active"], &about["sub"], &about["scope"]), (&json!(true), &json!(alice.did), &json!(SCOPE)));
    assert_eq!(about["cnf"]["jkt"], key(7).verifying_key().jwk_thumbprint());
    let nothing = app.post(&pds, "/oauth/introspect", &[("token", "nonsense")]).await.good().json();
    assert_eq!(nothing, json!({ "active": false }));
    let other = App::loopback(&pds, SCOPE);
    assert_eq!(other.post(&pds, "/oauth/introspect", &[("token", &renewed.access)]).await.summary(), "401 invalid_client");

    // What was granted is not asked again.
    let mut browser = Browser::new(&pds);
    browser.sign_in(&alice.handle, &alice.password).await;
    let path = app.push(&pds, SCOPE, &[]).await;
    assert!(browser.open(&path).await.leads_to().contains("code=cod-"));
    let asked_again = app.push(&pds, SCOPE, &[("prompt", "consent")]).await;
    browser.open(&asked_again).await.good();

    app.post(&pds, "/oauth/revoke", &[("token", &renewed.refresh)]).await.good();
    assert_eq!(
        app.post(&pds, "/oauth/introspect", &[("token", &renewed.access)]).await.good().json(),
        json!({ "active": false })
    );
}

#[tokio::test]
async fn an_assertion_is_of_this_app_for_this_server_fresh_and_used_once() {
    let (pds, site) = start().await;
    let id = site.publish_confidential(METADATA, &key(1), "one");
    site.publish_confidential("/other.json", &key(2), "one");
    let app = App::new(&pds, &id, CALLBACK).with_assertion_key(key(1), "one");
    let foreign = App::new(&pds, &id, CALLBACK).with_assertion_key(key(2), "one");
    let unknown = App::new(&pds, &id, CALLBACK).with_assertion_key(key(1), "two");
    let now = common::Clock::seconds(pds.clock());
    let push = async |assertion: &str| {
        let mut form = app.request(SCOPE);
        form.push(("client_assertion", assertion));
        form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        let reply = app.post(&pds, "/oauth/par", &form).await;
        (reply.summary(), reply.json()["error_description"].as_str().unwrap_or_default().to_owned())
    };
    for (assertion, why) in [
        (foreign.assertion(now, &json!({})), "not signed by"),
        (unknown.assertion(now, &json!({})), "\"two\""),
        (app.assertion(now, &json!({ "iss": site.url("/other.json"), "sub": site.url("/other.json") })), "not of this client"),
        (app.assertion(now, &json!({ "aud": "https://other.example" })), "not for this server"),
        (app.assertion(now - 600, &json!({})), "too old"),
        (app.assertion(now + 600, &json!({})), "future"),
        (app.assertion(now, &json!({ "jti": null })), "jti"),
        ("nonsense".to_owned(), "malformed"),
    ] {
        let (summary, description) = push(&assertion).await;
        assert_eq!(summary, "401 invalid_client", "{why}");
        assert!(description.contains(why), "{why}: {description}");
    }
    let once = app.assertion(now, &json!({ "jti": "once" }));
    push(&once).await;
    assert!(push(&once).await.1.contains("used already"));
    let bare = App::new(&pds, &id, CALLBACK);
    let reply = bare.post(&pds, "/oauth/par", &bare.request(SCOPE)).await;
    assert!(reply.json()["error_description"].as_str().unwrap().contains("no client_assertion"));
    // The key of the proofs is another one.
    let same = App::new(&pds, &id, CALLBACK).with_assertion_key(key(1), "one").with_key(key(1));
    assert_eq!(same.post(&pds, "/oauth/par", &same.request(SCOPE)).await.summary(), "400 invalid_dpop_proof");
}

/// The official library repeats a request that needs another nonce as it was but for the proof. Its users could not sign in:
/// the assertion was used up by the attempt whose nonce was refused.
#[tokio::test]
async fn an_assertion_is_not_used_up_by_a_request_that_needs_another_nonce() {
    let (pds, site) = start().await;
    let alice = pds.create_account("alice").await;
    let id = site.publish_confidential(METADATA, &key(1), "one");
    let app = App::new(&pds, &id, CALLBACK).with_assertion_key(key(1), "one");
    let now = common::Clock::seconds(pds.clock());
    let twice = async |path: &str, form: &[(&str, &str)]| {
        let assertion = app.assertion(now, &json!({}));
        let mut form = form.to_vec();
        form.push(("client_assertion", &assertion));
        form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        app.set_nonce(None);
        let first = app.post_with_proof(path, &form, &app.proof("POST", path, None, &Odd::default())).await;
        assert_eq!(first.summary(), "400 use_dpop_nonce", "{path}");
        app.post_with_proof(path, &form, &app.proof("POST", path, None, &Odd::default())).await
    };
    let pushed = twice("/oauth/par", &app.request(SCOPE)).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text());
    let code = app.code(&pds, &alice, SCOPE).await;
    let tokens = Tokens::of(&twice("/oauth/token", &app.redemption(&code)).await.good().json());
    let form = [("client_id", &*id), ("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh)];
    twice("/oauth/token", &form).await.good();
}

#[tokio::test]
async fn a_request_may_be_signed_as_a_whole() {
    let (pds, site) = start().await;
    let alice = pds.create_account("alice").await;
    let id = site.publish_confidential(METADATA, &key(1), "one");
    let app = App::new(&pds, &id, CALLBACK).with_assertion_key(key(1), "one");
    let now = common::Clock::seconds(pds.clock());
    let object = |signer: u8, changes: &Value| {
        let mut claims: serde_json::Map<String, Value> =
            app.request(SCOPE).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let about = json!({ "iss": id, "aud": app.issuer, "iat": now, "exp": now + 60, "jti": format!("{changes}") });
        claims.extend(about.as_object().unwrap().clone());
        claims.extend(changes.as_object().unwrap().clone());
        sign(&key(signer), &json!({ "alg": "ES256", "kid": "one" }), &claims.into())
    };
    let push = async |object: &str, more: &[(&str, &str)]| {
        let mut form = vec![("client_id", &*id), ("request", object)];
        form.extend(more);
        app.post(&pds, "/oauth/par", &form).await
    };
    // What stands beside it does not count: it is not signed.
    let good = object(1, &json!({}));
    let pushed = push(&good, &[("scope", "atproto nonsense"), ("redirect_uri", "https://evil.example/")]).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text());
    let path = app.authorize_path(pushed.json()["request_uri"].as_str().unwrap());
    let mut browser = Browser::new(&pds);
    browser.sign_in("alice.test", &alice.password).await;
    let answer = app.consent(&mut browser, &path, &SCOPE.split(' ').collect::<Vec<_>>()).await;
    app.post(&pds, "/oauth/token", &app.redemption(&answer["code"])).await.good();

    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    for (object, why) in [
        (good, "used already"),
        (unsigned, "request"),
        (object(2, &json!({})), "not signed by"),
        (object(1, &json!({ "iss": "https://other.example/app.json" })), "not of this client"),
        (object(1, &json!({ "aud": "https://other.example" })), "not for this server"),
        (object(1, &json!({ "iat": now - 120 })), "too old"),
        (object(1, &json!({ "iat": now + 120 })), "future"),
        (object(1, &json!({ "jti": null })), "jti"),
        (object(1, &json!({ "client_id": "https://other.example/app.json" })), "another client_id"),
        (object(1, &json!({ "request_uri": "urn:x" })), "request_uri"),
        (object(1, &json!({ "scope": 7 })), "scope is not a string"),
    ] {
        let refused = push(&object, &[]).await;
        assert_eq!(refused.summary(), "400 invalid_request", "{why}");
        let description = refused.json()["error_description"].as_str().unwrap().to_owned();
        assert!(description.contains(why), "{why}: {description}");
    }
    // An app without keys has nothing to sign by.
    let open = App::new(&pds, &site.publish("/open.json", &json!({})), CALLBACK);
    let refused = open.post(&pds, "/oauth/par", &[("request", &object(1, &json!({ "jti": "open" })))]).await;
    assert_eq!(refused.summary(), "400 invalid_request");
    assert!(refused.text().contains("have no keys"), "{}", refused.text());
}

#[tokio::test]
async fn an_app_changes_its_keys() {
    let (pds, site) = start().await;
    let alice = pds.create_account("alice").await;
    let changes = json!({
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks_uri": site.url("/jwks.json"),
    });
    let id = site.publish(METADATA, &changes);
    site.put("/jwks.json", 200, "application/json", &key_set(&key(1), "one").to_string());
    let app = App::new(&pds, &id, CALLBACK).with_assertion_key(key(1), "one");
    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    site.put("/jwks.json", 200, "application/json", &key_set(&key(2), "two").to_string());
    let newer = App::new(&pds, &id, CALLBACK).with_assertion_key(key(2), "two");
    newer.sign_in(&pds, &alice, SCOPE).await;
    // A session is of the key that began it.
    assert_eq!(newer.refresh(&pds, &tokens.refresh).await.summary(), "400 invalid_grant");
    assert_eq!(app.refresh(&pds, &tokens.refresh).await.summary(), "400 invalid_grant");
}

#[tokio::test]
async fn what_is_wrong_with_metadata_is_said() {
    let (pds, site) = start().await;
    site.put("/page.json", 200, "text/html", "<!doctype html><title>Just a moment...</title>");
    site.put("/challenge.json", 403, "text/html", "<html>Checking your browser</html>");
    site.put("/text.json", 200, "text/plain", "{}");
    site.put("/huge.json", 200, "application/json", &" ".repeat(100_000));
    site.put("/redirect.json", 302, "text/plain", "");
    site.put("/broken.json", 500, "application/json", "{}");
    site.put("/other.json", 200, "application/json", r#"{"client_id":"https://app.example.com/x.json"}"#);
    for (path, why) in [
        ("/page.json", "HTML page"),
        ("/challenge.json", "HTML page"),
        ("/text.json", "Content-Type \"text/plain\""),
        ("/huge.json", "larger than"),
        ("/redirect.json", "redirect"),
        ("/broken.json", "500"),
        ("/none.json", "404"),
        ("/other.json", "another client_id"),
    ] {
        let app = App::new(&pds, &site.url(path), CALLBACK);
        let reply = app.post(&pds, "/oauth/par", &app.request(SCOPE)).await;
        assert_eq!(reply.summary(), "400 invalid_client_metadata", "{path}");
        let description = reply.json()["error_description"].as_str().unwrap().to_owned();
        assert!(description.contains(why) && description.contains(path), "{description}");
    }
}

#[tokio::test]
async fn metadata_that_do_not_come_are_not_waited_for() {
    let (pds, site) = start().await;
    site.put("/slow.json", 0, "", "");
    let app = App::new(&pds, &site.url("/slow.json"), CALLBACK);
    let reply =
        tokio::time::timeout(std::time::Duration::from_secs(30), app.post(&pds, "/oauth/par", &app.request(SCOPE))).await;
    let reply = reply.unwrap();
    assert_eq!(reply.summary(), "400 invalid_client_metadata");
    assert!(reply.json()["error_description"].as_str().unwrap().contains("in time"), "{}", reply.text());
}

#[tokio::test]
async fn metadata_at_private_addresses_are_not_fetched() {
    let (site, dns) = (AppSite::start().await, Dns::start().await);
    dns.set("private.example.com", "127.0.0.1");
    let (trust, nameserver) = (site.trust(), dns.address);
    let pds = TestPds::start_with(move |config| {
        trust(config);
        config.network.protect_private_addresses = true;
        config.network.dns_servers = Some(vec![nameserver]);
    })
    .await;
    site.publish(METADATA, &json!({}));
    let port = site.url("").rsplit(':').next().unwrap().to_owned();
    for (id, error) in [
        (format!("https://localhost:{port}{METADATA}"), "401 invalid_client"),
        (format!("https://127.0.0.1:{port}{METADATA}"), "401 invalid_client"),
        (format!("https://[::1]:{port}{METADATA}"), "401 invalid_client"),
        ("https://169.254.169.254/latest/meta-data".to_owned(), "401 invalid_client"),
        (format!("http://private.example.com:{port}{METADATA}"), "401 invalid_client"),
        (format!("https://private.example.com:{port}{METADATA}"), "400 invalid_client_metadata"),
    ] {
        let app = App::new(&pds, &id, CALLBACK);
        let reply = app.post(&pds, "/oauth/par", &app.request(SCOPE)).await;
        assert_eq!(reply.summary(), error, "{id}: {}", reply.text());
    }
    assert_eq!(site.asked(METADATA), 0);
}

#[tokio::test]
async fn native_apps_have_addresses_of_their_own() {
    let (pds, site) = start().await;
    let alice = pds.create_account("alice").await;
    // The scheme is the host name reversed, and this host has one part only; so a free port it is.
    let native = json!({ "application_type": "native", "redirect_uris": ["http://127.0.0.1/callback"] });
    let id = site.publish(METADATA, &native);
    let app = App::new(&pds, &id, "http://127.0.0.1:53921/callback");
    app.sign_in(&pds, &alice, SCOPE).await;
    site.publish("/web.json", &json!({ "redirect_uris": ["http://127.0.0.1/callback"] }));
    let web = App::new(&pds, &site.url("/web.json"), "http://127.0.0.1/callback");
    let reply = web.post(&pds, "/oauth/par", &web.request(SCOPE)).await;
    assert!(reply.json()["error_description"].as_str().unwrap().contains("native apps"), "{}", reply.text());
}
