//! Passkeys, as the scripts of the pages speak of them.

use serde_json::{Value, json};

use crate::support::{Authenticator, Browser, BrowserPage, TestPds, User};

const MINUTE: i64 = 60 * 1_000_000;

/// Someone in front of a page.
struct Desk {
    pds: TestPds,
    alice: User,
    browser: Browser,
    phone: Authenticator,
}

impl Desk {
    async fn new() -> Self {
        Self::with(TestPds::start().await).await
    }

    async fn with(pds: TestPds) -> Self {
        let alice = pds.create_account("alice").await;
        let mut browser = Browser::new(&pds);
        browser.sign_in("alice.test", &alice.password).await.leads_to();
        Self { pds, alice, browser, phone: Authenticator::new(1) }
    }

    fn origin(&self) -> String {
        format!("http://localhost:{}", self.pds.address().port())
    }

    /// Has the page ask for a new passkey.
    async fn begin(&mut self) -> Value {
        call(&mut self.browser, "/account/security", "/account/passkeys/begin", &json!({})).await.good().reply.json()
    }

    async fn finish(&mut self, begun: &Value, answer: &str) -> BrowserPage {
        let body = json!({ "ceremony": begun["ceremony"], "answer": answer, "name": "Phone" });
        call(&mut self.browser, "/account/security", "/account/passkeys/finish", &body).await
    }

    /// Adds the passkey of the phone.
    async fn add(&mut self) {
        let (begun, origin) = (self.begin().await, self.origin());
        let answer = self.phone.create(&begun["options"], &origin);
        let done = self.finish(&begun, &answer).await.good();
        assert_eq!(done.reply.json()["next"], "/account/security?done=passkey-added");
    }

    /// Has the sign-in page ask for a passkey.
    async fn ask(&self, browser: &mut Browser) -> Value {
        call(browser, "/account/sign-in?another=1", "/account/sign-in/passkey/begin", &json!({})).await.good().reply.json()
    }

    /// Signs in with the phone, in a browser.
    async fn sign_in(&mut self, browser: &mut Browser, origin: &str) -> BrowserPage {
        let begun = self.ask(browser).await;
        let answer = self.phone.get(&begun["options"], origin);
        answer_with(browser, &begun, &answer).await
    }
}

async fn answer_with(browser: &mut Browser, begun: &Value, answer: &str) -> BrowserPage {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let body = json!({ "ceremony": begun["ceremony"], "answer": answer, "remember": true, "next": "/account/devices" });
    call(browser, "/account/sign-in?another=1", "/account/sign-in/passkey", &body).await
}

/// Does what the script of a page does: sends JSON with the token that is on the page.
async fn call(browser: &mut Browser, page: &str, path: &str, body: &Value) -> BrowserPage {
    let page = browser.open(page).await.good();
    let form = page.hidden_fields("/language");
    let csrf = &form.iter().find(|(name, _)| name == "csrf").unwrap().1;
    let request = browser.request("POST", path).header("sec-fetch-site", "same-origin").header("x-csrf-token", csrf);
    browser.send(path, request.json(body)).await
}

#[tokio::test]
async fn a_passkey_is_added_signs_in_and_is_removed() {
    let mut desk = Desk::new().await;
    let origin = desk.origin();
    desk.add().await;
    let page = desk.browser.open("/account/security").await.good();
    assert!(page.text().contains("Phone"));

    let mut other = Browser::new(&desk.pds);
    let done = desk.sign_in(&mut other, &origin).await.good();
    let next = done.reply.json()["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with("/account/devices"), "{next}");
    assert!(other.open("/account/devices").await.good().text().contains("alice.test"));

    // Before something that matters, it takes the place of the password.
    desk.pds.clock().shift_micros(16 * MINUTE);
    assert!(desk.browser.open("/account/data").await.leads_to().starts_with("/account/confirm"));
    let begun = call(&mut desk.browser, "/account/confirm", "/account/confirm/passkey", &json!({})).await.good().reply.json();
    let answer = desk.phone.get(&begun["options"], &origin);
    let body = json!({ "ceremony": begun["ceremony"], "answer": answer, "next": "//evil.example/" });
    let done = call(&mut desk.browser, "/account/confirm", "/account/confirm/passkey/answer", &body).await.good();
    assert_eq!(done.reply.json()["next"], "/account", "nobody is led elsewhere");
    let page = desk.browser.open("/account/security").await.good();

    desk.browser.submit(&page, "/account/passkeys/remove", &[]).await.leads_to();
    let refused = desk.sign_in(&mut Browser::new(&desk.pds), &origin).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.text().contains("problem"), "{}", refused.text());
}

#[tokio::test]
async fn an_answer_is_for_one_question_once_and_soon() {
    let mut desk = Desk::new().await;
    let origin = desk.origin();
    // Of another site, which a person was lured to.
    let begun = desk.begin().await;
    let answer = desk.phone.create(&begun["options"], "http://localhost.evil.example");
    assert_eq!(desk.finish(&begun, &answer).await.status(), 401);
    // Late, and twice.
    let begun = desk.begin().await;
    let answer = desk.phone.create(&begun["options"], &origin);
    desk.pds.clock().shift_micros(5 * MINUTE);
    assert_eq!(desk.finish(&begun, &answer).await.status(), 400);
    let begun = desk.begin().await;
    let answer = desk.phone.create(&begun["options"], &origin);
    desk.finish(&begun, &answer).await.good();
    assert_eq!(desk.finish(&begun, &answer).await.status(), 400);

    let mut other = Browser::new(&desk.pds);
    let foreign = desk.sign_in(&mut other, "https://pds.evil.example").await;
    assert_eq!(foreign.status(), 401);
    let begun = desk.ask(&mut other).await;
    let answer = desk.phone.get(&begun["options"], &origin);
    answer_with(&mut other, &begun, &answer).await.good();
    // Whoever saw the answer pass gets nothing for it, not even with a question of their own.
    let mut thief = Browser::new(&desk.pds);
    assert_eq!(answer_with(&mut thief, &begun, &answer).await.status(), 401);
    let own = desk.ask(&mut thief).await;
    assert_eq!(answer_with(&mut thief, &own, &answer).await.status(), 401);
    assert_eq!(thief.open("/account").await.status(), 303);
    let begun = desk.ask(&mut other).await;
    let unverified = desk.phone.without_verification().get(&begun["options"], &origin);
    assert_eq!(answer_with(&mut other, &begun, &unverified).await.status(), 401, "a PIN or a finger is asked for");
}

#[tokio::test]
async fn a_passkey_of_someone_else_confirms_nothing() {
    let mut desk = Desk::new().await;
    let origin = desk.origin();
    let bob = desk.pds.create_account("bob").await;
    let (mut his, mut his_phone) = (Browser::new(&desk.pds), Authenticator::new(2));
    his.sign_in("bob.test", &bob.password).await.leads_to();
    let begun = call(&mut his, "/account/security", "/account/passkeys/begin", &json!({})).await.good().reply.json();
    let answer = his_phone.create(&begun["options"], &origin);
    // Alice cannot take what Bob began.
    assert_eq!(desk.finish(&begun, &answer).await.status(), 400);
    let begun = call(&mut his, "/account/security", "/account/passkeys/begin", &json!({})).await.good().reply.json();
    let body = json!({ "ceremony": begun["ceremony"], "answer": his_phone.create(&begun["options"], &origin), "name": "His" });
    call(&mut his, "/account/security", "/account/passkeys/finish", &body).await.good();

    desk.pds.clock().shift_micros(16 * MINUTE);
    let begun = call(&mut desk.browser, "/account/confirm", "/account/confirm/passkey", &json!({})).await.good().reply.json();
    let body =
        json!({ "ceremony": begun["ceremony"], "answer": his_phone.get(&begun["options"], &origin), "next": "/account" });
    let refused = call(&mut desk.browser, "/account/confirm", "/account/confirm/passkey/answer", &body).await;
    assert_eq!(refused.status(), 401);
    assert!(desk.browser.open("/account/data").await.leads_to().starts_with("/account/confirm"));
    assert_eq!(desk.alice.get("com.atproto.server.getSession", &[]).await.good().json()["handle"], "alice.test");
}

#[tokio::test]
async fn setting_up_and_asking_for_passkeys_is_limited() {
    let pds = TestPds::start_with(|config| config.limits.rate_limits = true).await;
    let mut desk = Desk::with(pds).await;
    for _ in 0..20 {
        desk.begin().await;
    }
    // Codes of an app that is being set up are of the same account, and count together with these.
    let page = desk.browser.open("/account/authenticator").await.good();
    for _ in 0..10 {
        let wrong = desk.browser.submit(&page, "/account/authenticator", &[("code", "000000")]).await;
        assert_eq!(wrong.status(), 400);
    }
    let refused = desk.browser.submit(&page, "/account/authenticator", &[("code", "000000")]).await;
    assert!(refused.status() == 429 && !refused.header("retry-after").is_empty());
    let begun = call(&mut desk.browser, "/account/security", "/account/passkeys/begin", &json!({})).await;
    assert_eq!(begun.status(), 429);
    let finished = desk.finish(&json!({ "ceremony": "AAAA" }), "{}").await;
    assert_eq!(finished.status(), 429);

    let mut stranger = Browser::new(&desk.pds);
    for _ in 0..100 {
        desk.ask(&mut stranger).await;
    }
    let refused = call(&mut stranger, "/account/sign-in?another=1", "/account/sign-in/passkey/begin", &json!({})).await;
    assert_eq!(refused.status(), 429);
    desk.pds.clock().shift_micros(5 * MINUTE);
    desk.begin().await;
    desk.ask(&mut stranger).await;
}
