//! What signing in takes besides the password.

use serde_json::{Value, json};

use crate::support::{Reply, TestPds, User};

const LOG_IN: &str = "com.atproto.server.createSession";
const UPDATE_EMAIL: &str = "com.atproto.server.updateEmail";
const MINUTE: i64 = 60 * 1_000_000;

impl TestPds {
    async fn log_in(&self, user: &User, code: Option<&str>) -> Reply {
        let mut body = json!({ "identifier": user.handle, "password": user.password });
        if let Some(code) = code {
            body["authFactorToken"] = code.into();
        }
        self.anonymous().post(LOG_IN, &body).await
    }

    /// Creates an account whose address is confirmed and gets a code whenever someone signs in.
    async fn create_guarded(&self, name: &str) -> User {
        let user = self.create_account(name).await;
        user.confirm_address(self, name).await;
        user.guard(name, true).await.good();
        user
    }
}

impl User {
    async fn confirm_address(&self, pds: &TestPds, name: &str) {
        self.post_nothing("com.atproto.server.requestEmailConfirmation").await.good();
        let body = json!({ "email": format!("{name}@example.com"), "token": pds.code(name).await });
        self.post("com.atproto.server.confirmEmail", &body).await.good();
    }

    /// Turns the second factor on or off, as the app does.
    async fn guard(&self, name: &str, wanted: bool) -> Reply {
        let body = json!({ "email": format!("{name}@example.com"), "emailAuthFactor": wanted });
        self.post(UPDATE_EMAIL, &body).await
    }

    async fn is_guarded(&self) -> Value {
        self.get("com.atproto.server.getSession", &[]).await.good().json()["emailAuthFactor"].clone()
    }
}

#[tokio::test]
async fn signing_in_takes_a_mailed_code_once_that_is_asked_for() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    assert_eq!(alice.is_guarded().await, json!(false));
    assert_eq!(alice.guard("alice", true).await.summary(), "400 InvalidRequest", "the address is not confirmed");
    alice.confirm_address(&pds, "alice").await;
    let elsewhere = json!({ "email": "other@example.com", "emailAuthFactor": true });
    assert_eq!(alice.post(UPDATE_EMAIL, &elsewhere).await.summary(), "400 InvalidRequest");
    alice.guard("alice", true).await.good();
    assert_eq!(alice.is_guarded().await, json!(true));

    let mails = pds.mails("alice").await.len();
    let wrong = json!({ "identifier": "alice.test", "password": "wrong", "authFactorToken": "AAAAA-AAAAA" });
    assert_eq!(pds.anonymous().post(LOG_IN, &wrong).await.summary(), "401 AuthenticationRequired");
    assert_eq!(pds.mails("alice").await.len(), mails, "who does not know the password makes nobody's mail");

    assert_eq!(pds.log_in(&alice, None).await.summary(), "401 AuthFactorTokenRequired");
    // What the app sends when nothing was typed.
    assert_eq!(pds.log_in(&alice, Some("")).await.summary(), "401 AuthFactorTokenRequired");
    let code = pds.code("alice").await;
    let wrong = pds.log_in(&alice, Some("AAAAA-AAAAA")).await;
    assert_eq!(wrong.summary(), "400 InvalidToken");
    // The app looks for these words.
    assert!(wrong.text().contains("Token is invalid"), "{}", wrong.text());
    let session = pds.log_in(&alice, Some(&code.to_lowercase())).await.good().json();
    assert_eq!(session["emailAuthFactor"], json!(true));
    assert_eq!(pds.log_in(&alice, Some(&code)).await.summary(), "400 InvalidToken", "a code is good once");

    pds.log_in(&alice, None).await;
    let code = pds.code("alice").await;
    pds.clock().shift_micros(16 * MINUTE);
    assert_eq!(pds.log_in(&alice, Some(&code)).await.summary(), "400 ExpiredToken");
}

#[tokio::test]
async fn turning_it_off_takes_a_code_from_the_mail() {
    let pds = TestPds::start().await;
    let alice = pds.create_guarded("alice").await;
    assert_eq!(alice.guard("alice", false).await.summary(), "400 TokenRequired");
    assert_eq!(alice.is_guarded().await, json!(true));
    alice.post_nothing("com.atproto.server.requestEmailUpdate").await.good();
    let body = json!({ "email": "alice@example.com", "emailAuthFactor": false, "token": pds.code("alice").await });
    alice.post(UPDATE_EMAIL, &body).await.good();
    assert_eq!(alice.is_guarded().await, json!(false));
    pds.log_in(&alice, None).await.good();
}

#[tokio::test]
async fn app_passwords_and_sessions_that_there_are_go_on() {
    let pds = TestPds::start().await;
    let alice = pds.create_guarded("alice").await;
    let made = alice.post("com.atproto.server.createAppPassword", &json!({ "name": "app" })).await.good().json();
    let body = json!({ "identifier": alice.handle, "password": made["password"] });
    pds.anonymous().post(LOG_IN, &body).await.good();
    alice.with_token(&alice.refresh).post_nothing("com.atproto.server.refreshSession").await.good();
}

/// Codes that went to an address which its owner mistyped would lock them out.
#[tokio::test]
async fn codes_do_not_go_to_an_address_that_is_not_confirmed() {
    let pds = TestPds::start().await;
    let alice = pds.create_guarded("alice").await;
    alice.post_nothing("com.atproto.server.requestEmailUpdate").await.good();
    let body = json!({ "email": "alcie@example.com", "token": pds.code("alice").await });
    alice.post(UPDATE_EMAIL, &body).await.good();
    assert_eq!(alice.is_guarded().await, json!(false));
    pds.log_in(&alice, None).await.good();

    alice.confirm_address(&pds, "alcie").await;
    assert_eq!(alice.is_guarded().await, json!(true), "it was wanted all the while");
    assert_eq!(pds.log_in(&alice, None).await.summary(), "401 AuthFactorTokenRequired");
}

#[tokio::test]
async fn a_server_without_mail_promises_no_codes() {
    let pds = TestPds::start_with(|config| config.mail.outbox = false).await;
    let alice = pds.create_account("alice").await;
    assert_eq!(alice.guard("alice", true).await.summary(), "400 InvalidRequest");
}
