//! Apps that sign users in: pushed requests, codes, tokens, proofs, and how sessions end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{App, Browser, Odd, TestPds, Tokens, key};

const SCOPE: &str = "atproto transition:generic";
const SESSION: &str = "com.atproto.server.getSession";

fn advance(pds: &TestPds, time: Duration) {
    pds.clock().shift_micros(time.as_micros() as i64);
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_server_says_what_it_can_do() {
    let pds = TestPds::start().await;
    let issuer = format!("http://localhost:{}", pds.address().port());
    let get = async |path: &str| pds.anonymous().send(pds.anonymous().request("GET", path)).await.good();
    let resource = get("/.well-known/oauth-protected-resource").await.json();
    assert_eq!((&resource["resource"], &resource["authorization_servers"]), (&json!(issuer), &json!([issuer])));
    let reply = get("/.well-known/oauth-authorization-server").await;
    assert_eq!(reply.headers["access-control-allow-origin"], "*");
    let server = reply.json();
    assert_eq!(server["issuer"], issuer);
    assert_eq!(server["require_pushed_authorization_requests"], true);
    assert_eq!(server["client_id_metadata_document_supported"], true);
    assert_eq!(server["authorization_response_iss_parameter_supported"], true);
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(server["dpop_signing_alg_values_supported"], json!(["ES256", "ES256K"]));
    for endpoint in ["authorization", "token", "pushed_authorization_request", "revocation", "introspection"] {
        assert!(
            server[format!("{endpoint}_endpoint")].as_str().unwrap().starts_with(&format!("{issuer}/oauth/")),
            "{endpoint}"
        );
    }
    assert_eq!(get("/oauth/jwks").await.json(), json!({ "keys": [] }));
    // Under the handle of an account, it would be another issuer than it says.
    let request = pds.anonymous().request("GET", "/.well-known/oauth-authorization-server").header("host", "alice.test");
    assert_eq!(pds.anonymous().send(request).await.status, 404);
}

#[tokio::test]
async fn an_app_signs_a_user_in_writes_and_refreshes() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    assert_eq!((&tokens.sub, tokens.scope.as_str()), (&alice.did, SCOPE));
    let session = app.get(&tokens, SESSION).await.good();
    assert!(session.headers.contains_key("dpop-nonce"));
    assert!(session.headers["access-control-expose-headers"].to_str().unwrap().contains("DPoP-Nonce, WWW-Authenticate"));
    assert_eq!(session.json()["did"], alice.did);
    assert_eq!(session.json()["email"], Value::Null);
    let post = json!({ "repo": alice.did, "collection": "app.bsky.feed.post", "record": crate::support::post("hello") });
    app.post_json(&tokens, "com.atproto.repo.createRecord", &post).await.good();

    let renewed = Tokens::of(&app.refresh(&pds, &tokens.refresh).await.good().json());
    assert_ne!(renewed.refresh, tokens.refresh);
    app.get(&renewed, SESSION).await.good();
    let pds = pds.restart().await;
    let again = Tokens::of(&app.refresh(&pds, &renewed.refresh).await.good().json());
    app.get(&again, SESSION).await.good();

    // What the user sees of it is gone at once when the app signs out.
    app.post(&pds, "/oauth/revoke", &[("token", &again.access)]).await.good();
    assert_eq!(app.get(&again, SESSION).await.summary(), "401 invalid_token");
    assert_eq!(app.refresh(&pds, &again.refresh).await.summary(), "400 invalid_grant");
    app.post(&pds, "/oauth/revoke", &[("token", "nonsense")]).await.good();
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_the_session() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let code = app.code(&pds, &alice, SCOPE).await;
    let tokens = Tokens::of(&app.post(&pds, "/oauth/token", &app.redemption(&code)).await.good().json());
    app.get(&tokens, SESSION).await.good();
    let reply = app.post(&pds, "/oauth/token", &app.redemption(&code)).await;
    assert_eq!(reply.summary(), "400 invalid_grant");
    assert!(reply.json()["error_description"].as_str().unwrap().contains("used already"));
    assert_eq!(app.get(&tokens, SESSION).await.summary(), "401 invalid_token");
    assert_eq!(app.refresh(&pds, &tokens.refresh).await.summary(), "400 invalid_grant");
}

#[tokio::test]
async fn a_code_is_of_one_app_one_address_one_verifier_and_few_minutes() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    for (name, value, why) in [
        ("code_verifier", "another-verifier-that-is-long-enough-to-be-one", "code_challenge"),
        ("redirect_uri", "http://127.0.0.1:4712/callback", "redirect_uri"),
        ("client_id", "http://localhost", "another client"),
    ] {
        let code = app.code(&pds, &alice, SCOPE).await;
        let mut form = app.redemption(&code);
        form.retain(|(known, _)| *known != name);
        form.push((name, value));
        let reply = app.post(&pds, "/oauth/token", &form).await;
        assert_eq!(reply.summary(), "400 invalid_grant", "{name}");
        assert!(reply.json()["error_description"].as_str().unwrap().contains(why), "{}", reply.text());
        // There is no second try.
        assert_eq!(app.post(&pds, "/oauth/token", &app.redemption(&code)).await.summary(), "400 invalid_grant");
    }
    let code = app.code(&pds, &alice, SCOPE).await;
    advance(&pds, 6 * MINUTE);
    let reply = app.post(&pds, "/oauth/token", &app.redemption(&code)).await;
    assert!(reply.json()["error_description"].as_str().unwrap().contains("expired"), "{}", reply.text());
    // Bound to the key by which the request was pushed.
    let code = app.code(&pds, &alice, SCOPE).await;
    let thief = App::loopback(&pds, SCOPE).with_key(key(9));
    assert_eq!(thief.post(&pds, "/oauth/token", &thief.redemption(&code)).await.summary(), "400 invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_that_comes_late_ends_the_session_but_an_app_may_race_itself() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let first = app.sign_in(&pds, &alice, SCOPE).await;
    let (one, two) = tokio::join!(app.refresh(&pds, &first.refresh), app.refresh(&pds, &first.refresh));
    let (one, two) = (Tokens::of(&one.good().json()), Tokens::of(&two.good().json()));
    assert_eq!(one.refresh, two.refresh);
    for tokens in [&first, &one, &two] {
        app.get(tokens, SESSION).await.good();
    }
    advance(&pds, 3 * MINUTE);
    let reply = app.refresh(&pds, &first.refresh).await;
    assert_eq!(reply.summary(), "400 invalid_grant");
    assert!(reply.json()["error_description"].as_str().unwrap().contains("replaced already"), "{}", reply.text());
    assert_eq!(app.refresh(&pds, &one.refresh).await.summary(), "400 invalid_grant");
    assert_eq!(app.get(&one, SESSION).await.summary(), "401 invalid_token");
}

#[tokio::test]
async fn a_refresh_token_without_its_key_or_app_ends_the_session() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let thief = App::loopback(&pds, SCOPE).with_key(key(9));
    let other = App::new(&pds, "http://localhost", "http://127.0.0.1/");
    for stolen_by in [&thief, &other] {
        let tokens = app.sign_in(&pds, &alice, SCOPE).await;
        assert_eq!(stolen_by.refresh(&pds, &tokens.refresh).await.summary(), "400 invalid_grant");
        assert_eq!(app.get(&tokens, SESSION).await.summary(), "401 invalid_token");
    }
    assert_eq!(app.refresh(&pds, "ref-0123-0-00").await.summary(), "400 invalid_grant");
}

#[tokio::test]
async fn tokens_end() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let mut tokens = app.sign_in(&pds, &alice, SCOPE).await;
    advance(&pds, 61 * MINUTE);
    let reply = app.get(&tokens, SESSION).await;
    assert_eq!(reply.summary(), "401 invalid_token");
    let challenge = reply.headers["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.starts_with("DPoP ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
    // An app that cannot prove who it is stays for two weeks, however often it refreshes.
    for _ in 0..13 {
        advance(&pds, 24 * 60 * MINUTE);
        tokens = Tokens::of(&app.refresh(&pds, &tokens.refresh).await.good().json());
        app.get(&tokens, SESSION).await.good();
    }
    advance(&pds, 24 * 60 * MINUTE);
    assert_eq!(app.refresh(&pds, &tokens.refresh).await.summary(), "400 invalid_grant");
}

#[tokio::test]
async fn a_proof_has_a_nonce_that_is_fresh() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let form = app.request(SCOPE);
    let reply = app.post_with_proof("/oauth/par", &form, &app.proof("POST", "/oauth/par", None, &Odd::default())).await;
    assert_eq!(reply.summary(), "400 use_dpop_nonce");
    assert!(reply.headers["access-control-expose-headers"].to_str().unwrap().contains("DPoP-Nonce"));
    let old = app.nonce().unwrap();
    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    // One nonce does for many requests, and for a while after there is a newer one.
    for _ in 0..3 {
        let odd = Odd { nonce: Some(old.clone()), ..Odd::default() };
        app.call_once(&tokens, "GET", &format!("/xrpc/{SESSION}"), None, &odd).await.good();
    }
    advance(&pds, MINUTE);
    let odd = Odd { nonce: Some(old.clone()), ..Odd::default() };
    app.call_once(&tokens, "GET", &format!("/xrpc/{SESSION}"), None, &odd).await.good();
    advance(&pds, 3 * MINUTE);
    let reply = app.call_once(&tokens, "GET", &format!("/xrpc/{SESSION}"), None, &odd).await;
    assert_eq!(reply.summary(), "401 use_dpop_nonce");
    assert!(reply.headers["www-authenticate"].to_str().unwrap().contains("error=\"use_dpop_nonce\""));
    assert_ne!(reply.headers["dpop-nonce"].to_str().unwrap(), old);
    app.set_nonce(None);
    let reply = app.call_once(&tokens, "GET", &format!("/xrpc/{SESSION}"), None, &Odd::default()).await;
    assert_eq!(reply.summary(), "401 use_dpop_nonce");
    app.get(&tokens, SESSION).await.good();
}

#[tokio::test]
async fn a_proof_is_for_one_request_and_one_token() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    app.get(&tokens, SESSION).await.good();
    let path = format!("/xrpc/{SESSION}");
    for (odd, why) in [
        (Odd { htm: Some("POST"), ..Odd::default() }, "htm"),
        (Odd { htu: Some(format!("{}/xrpc/com.atproto.repo.createRecord", app.issuer)), ..Odd::default() }, "htu"),
        (Odd { htu: Some(format!("https://elsewhere.example{path}")), ..Odd::default() }, "htu"),
        (Odd { without_ath: true, ..Odd::default() }, "ath"),
        (Odd { typ: Some("JWT"), ..Odd::default() }, "typ"),
    ] {
        let reply = app.call_once(&tokens, "GET", &path, None, &odd).await;
        assert_eq!(reply.summary(), "401 invalid_dpop_proof");
        assert!(reply.json()["message"].as_str().unwrap().contains(why), "{}", reply.text());
    }
    let once = Odd { jti: Some("the same"), ..Odd::default() };
    app.call_once(&tokens, "GET", &path, None, &once).await.good();
    let reply = app.call_once(&tokens, "GET", &path, None, &once).await;
    assert!(reply.json()["message"].as_str().unwrap().contains("used already"), "{}", reply.text());

    // A token that was stolen is worth nothing: not with another key, not without one.
    let thief = App::loopback(&pds, SCOPE).with_key(key(9));
    assert_eq!(thief.get(&tokens, SESSION).await.summary(), "401 invalid_token");
    let reply = pds.anonymous().with_token(&tokens.access).get(SESSION, &[]).await;
    assert_eq!(reply.summary(), "401 invalid_token");
    assert!(reply.json()["message"].as_str().unwrap().contains("Authorization: DPoP"));
    let request = pds.anonymous().request("GET", &path).header("authorization", format!("DPoP {}", tokens.access));
    assert_eq!(pds.anonymous().send(request).await.summary(), "401 invalid_dpop_proof");
    // Nor is the token of a session an app's.
    let session = Tokens { access: alice.access.clone(), ..tokens };
    assert_eq!(app.get(&session, SESSION).await.summary(), "401 invalid_token");
}

#[tokio::test]
async fn a_request_is_checked_when_it_is_pushed() {
    let pds = TestPds::start().await;
    let app = App::loopback(&pds, SCOPE);
    let push = async |name: &str, value: Option<&str>| {
        let mut form = app.request(SCOPE);
        form.retain(|(known, _)| *known != name);
        form.extend(value.map(|value| (name, value)));
        let reply = app.post(&pds, "/oauth/par", &form).await;
        assert_eq!(reply.headers["cache-control"], "no-store");
        let description = reply.json()["error_description"].as_str().unwrap_or_default().to_owned();
        (reply.summary(), description)
    };
    let too_long = "x".repeat(3000);
    for (name, value, error, why) in [
        ("redirect_uri", Some("http://127.0.0.1:4711/other"), "invalid_redirect_uri", "not among"),
        ("redirect_uri", Some("https://evil.example/callback"), "invalid_redirect_uri", "not among"),
        ("scope", Some("atproto repo:*"), "invalid_scope", "repo:*"),
        ("scope", Some("transition:generic"), "invalid_scope", "atproto"),
        ("scope", Some("atproto openid"), "invalid_scope", "openid"),
        ("scope", None, "invalid_scope", "missing"),
        ("code_challenge", None, "invalid_request", "code_challenge"),
        ("code_challenge", Some("short"), "invalid_request", "SHA-256"),
        ("code_challenge_method", Some("plain"), "invalid_request", "S256"),
        ("response_type", Some("token"), "unsupported_response_type", "code"),
        ("response_mode", Some("form_post"), "unsupported_response_mode", "fragment"),
        ("prompt", Some("never"), "invalid_request", "prompt"),
        ("nonce", Some("x"), "invalid_request", "nonce"),
        ("request", Some("x"), "invalid_request", "request"),
        ("state", Some(&*too_long), "invalid_request", "state"),
        ("dpop_jkt", Some("x"), "invalid_dpop_proof", "dpop_jkt"),
    ] {
        let (summary, description) = push(name, value).await;
        assert_eq!(summary, format!("400 {error}"), "{name}: {description}");
        assert!(description.contains(why), "{description}");
    }
    // Without a client there is nothing to go by.
    let anyone = pds.anonymous();
    let form = |body: &'static str| {
        anyone.request("POST", "/oauth/par").header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    assert_eq!(anyone.send(form("")).await.summary(), "400 invalid_request");
    assert_eq!(anyone.send(form("client_id=app")).await.summary(), "401 invalid_client");
    assert_eq!(anyone.send(form("scope=a&scope=b")).await.summary(), "400 invalid_request");
    let huge = anyone.request("POST", "/oauth/par").header("content-type", "application/json").body(vec![b' '; 70_000]);
    assert_eq!(anyone.send(huge).await.summary(), "413 invalid_request");
}

#[tokio::test]
async fn a_request_is_opened_within_minutes_by_one_browser_and_answered_once() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let late = app.push(&pds, SCOPE, &[]).await;
    advance(&pds, 6 * MINUTE);
    let mut browser = Browser::new(&pds);
    assert_eq!(browser.open(&late).await.status(), 400);

    browser.sign_in(&alice.handle, &alice.password).await;
    let path = app.push(&pds, SCOPE, &[]).await;
    browser.open(&path).await.good();
    // People take longer than apps.
    advance(&pds, 20 * MINUTE);
    let mut other = Browser::new(&pds);
    other.sign_in(&alice.handle, &alice.password).await;
    assert_eq!(other.open(&path).await.status(), 400);
    app.consent(&mut browser, &path, &[SCOPE]).await;
    assert_eq!(browser.open(&path).await.status(), 400);
    assert_eq!(browser.open("/oauth/authorize?client_id=http://localhost").await.status(), 400);
}

#[tokio::test]
async fn an_answer_is_in_the_query_or_the_fragment() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let mut browser = Browser::new(&pds);
    browser.sign_in(&alice.handle, &alice.password).await;
    for (mode, mark) in [("query", '?'), ("fragment", '#')] {
        let path = app.push(&pds, SCOPE, &[("response_mode", mode)]).await;
        let page = browser.open(&path).await.good();
        let answer = browser.submit(&page, "/oauth/authorize", &[("decision", "deny")]).await.leads_to();
        let (address, answer) = answer.split_once(mark).unwrap();
        assert_eq!(address, app.redirect_uri);
        assert!(
            answer.contains("error=access_denied") && answer.contains("state=a+state") && answer.contains("iss="),
            "{answer}"
        );
    }
    let silent = app.push(&pds, SCOPE, &[("prompt", "none")]).await;
    assert!(browser.open(&silent).await.leads_to().contains("error=consent_required"));
    assert!(
        Browser::new(&pds)
            .open(&app.push(&pds, SCOPE, &[("prompt", "none")]).await)
            .await
            .leads_to()
            .contains("error=login_required")
    );
}

#[tokio::test]
async fn what_befalls_an_account_befalls_its_apps() {
    let pds = TestPds::start().await;
    let app = App::loopback(&pds, SCOPE);
    let alice = pds.create_account("alice").await;
    let admin = pds.admin();

    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    let body = json!({ "did": alice.did, "password": "another password" });
    admin.post("com.atproto.admin.updateAccountPassword", &body).await.good();
    assert_eq!(app.get(&tokens, SESSION).await.summary(), "401 invalid_token");

    let mut alice = alice;
    alice.password = "another password".to_owned();
    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    let subject = json!({ "$type": "com.atproto.admin.defs#repoRef", "did": alice.did });
    let body = |applied: bool| json!({ "subject": subject, "takedown": { "applied": applied } });
    admin.post("com.atproto.admin.updateSubjectStatus", &body(true)).await.good();
    assert_eq!(app.get(&tokens, SESSION).await.summary(), "401 invalid_token");
    assert_eq!(app.refresh(&pds, &tokens.refresh).await.summary(), "400 invalid_grant");
    admin.post("com.atproto.admin.updateSubjectStatus", &body(false)).await.good();
    assert_eq!(app.get(&tokens, SESSION).await.summary(), "401 invalid_token");

    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    let body = json!({ "subject": subject, "deactivated": { "applied": true } });
    admin.post("com.atproto.admin.updateSubjectStatus", &body).await.good();
    assert_eq!(app.get(&tokens, SESSION).await.summary(), "401 invalid_token");

    let tokens = app.sign_in(&pds, &alice, SCOPE).await;
    admin.post("com.atproto.admin.deleteAccount", &json!({ "did": alice.did })).await.good();
    assert_eq!(app.get(&tokens, SESSION).await.summary(), "401 invalid_token");
    assert_eq!(app.refresh(&pds, &tokens.refresh).await.summary(), "400 invalid_grant");
}

#[tokio::test]
async fn ten_thousand_requests_take_a_bounded_place_and_old_ones_go() {
    let pds = TestPds::start_with(|config| config.data.synchronous = relay::config::Synchronous::Normal).await;
    let alice = pds.create_account("alice").await;
    let app = App::loopback(&pds, SCOPE);
    let oldest = app.push(&pds, SCOPE, &[]).await;
    let push = async |_| {
        // Without a proof, as anyone might.
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(app.request(SCOPE)).finish();
        let request = pds.anonymous().request("POST", "/oauth/par").header("content-type", "application/x-www-form-urlencoded");
        let reply = pds.anonymous().send(request.body(body)).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
    };
    for _ in 0..100 {
        futures_util::future::join_all((0..100).map(push)).await;
    }
    let newest = app.push(&pds, SCOPE, &[]).await;
    let mut browser = Browser::new(&pds);
    browser.sign_in(&alice.handle, &alice.password).await;
    assert_eq!(browser.open(&oldest).await.status(), 400);
    app.consent(&mut browser, &newest, &[SCOPE]).await;
    // All are gone when their time is over and the next one comes.
    advance(&pds, 6 * MINUTE);
    app.push(&pds, SCOPE, &[]).await;
    let conn = rusqlite::Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    let waiting: i64 = conn.query_row("SELECT count(*) FROM oauth_request", [], |row| row.get(0)).unwrap();
    assert_eq!(waiting, 1);
}

#[tokio::test]
async fn apps_that_ask_too_much_are_told_to_wait() {
    let pds = TestPds::start_with(|config| config.limits.rate_limits = true).await;
    let anyone = pds.anonymous();
    for _ in 0..600 {
        anyone.send(anyone.request("POST", "/oauth/par")).await;
    }
    let reply = anyone.send(anyone.request("POST", "/oauth/par")).await;
    assert_eq!(reply.status, 429);
    assert!(reply.headers.contains_key("retry-after"));
}
