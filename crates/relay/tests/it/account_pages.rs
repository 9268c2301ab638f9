//! The pages of the account: what each of them does.

use std::io::{Cursor, Read as _};

use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::support::{App, Browser, BrowserPage, Reply, TestPds, User};

const MINUTE: i64 = 60 * 1_000_000;
const LOG_IN: &str = "com.atproto.server.createSession";

const VIEWS: [&str; 9] = [
    "/account",
    "/account/handle",
    "/account/email",
    "/account/security",
    "/account/password",
    "/account/authenticator",
    "/account/app-passwords",
    "/account/devices",
    "/account/data",
];

const FORMS: [&str; 20] = [
    "/account/confirm",
    "/account/handle",
    "/account/email",
    "/account/email/code",
    "/account/email/confirm",
    "/account/password",
    "/account/passkeys/rename",
    "/account/passkeys/remove",
    "/account/authenticator",
    "/account/authenticator/remove",
    "/account/backup-codes",
    "/account/mail-codes",
    "/account/alerts",
    "/account/app-passwords",
    "/account/app-passwords/revoke",
    "/account/devices/browser",
    "/account/devices/app",
    "/account/devices/password-sessions",
    "/account/archive",
    "/account/delete",
];

/// Someone in front of a browser in which they are signed in.
struct Desk {
    pds: TestPds,
    alice: User,
    browser: Browser,
}

impl Desk {
    async fn new() -> Self {
        // Nobody answers there, so that no test asks the world.
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let pds = TestPds::start_with(move |config| config.network.dns_servers = Some(vec![nowhere])).await;
        let alice = pds.create_account("alice").await;
        let mut browser = Browser::new(&pds);
        browser.sign_in("alice.test", &alice.password).await.leads_to();
        Self { pds, alice, browser }
    }

    /// Sends the form of a page, and returns where it leads.
    async fn send(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> BrowserPage {
        let page = self.browser.open(page).await.good();
        self.browser.submit(&page, action, fields).await
    }

    async fn log_in(&self, password: &str, code: Option<&str>) -> Reply {
        let mut body = json!({ "identifier": "alice.test", "password": password });
        if let Some(code) = code {
            body["authFactorToken"] = code.into();
        }
        self.pds.anonymous().post(LOG_IN, &body).await
    }

    async fn session(&self) -> Value {
        self.alice.get("com.atproto.server.getSession", &[]).await.good().json()
    }

    /// Confirms the address, on the page.
    async fn confirm_email(&mut self) {
        self.send("/account/email", "/account/email/code", &[]).await.leads_to();
        let code = self.pds.code("alice").await;
        let done = self.send("/account/email", "/account/email/confirm", &[("code", &code)]).await;
        assert_eq!(done.leads_to(), "/account/email?done=email-confirmed");
    }

    /// Sets an authenticator app up, and returns its secret and the backup codes.
    async fn set_up_authenticator(&mut self) -> (Secret, Vec<String>) {
        let page = self.browser.open("/account/authenticator").await.good();
        assert!(page.text().contains("<svg class=\"qr\""));
        let secret =
            Secret::try_from_base32(between(&page.text(), "<code class=\"copy\">", "</code>").replace(' ', "")).unwrap();
        let again = self.browser.open("/account/authenticator").await.good();
        assert!(again.text().contains(&between(&page.text(), "<code class=\"copy\">", "</code>")), "a reload shows the same");
        let wrong = self.browser.submit(&page, "/account/authenticator", &[("code", "00000")]).await;
        assert!(wrong.status() == 400 && wrong.text().contains("The app should show another code now"));
        self.log_in(&self.alice.password, None).await.good();
        let code = self.totp(&secret);
        let codes = self.browser.submit(&page, "/account/authenticator", &[("code", &code)]).await.good();
        let codes: Vec<String> =
            codes.text().split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
        assert_eq!(codes.len(), 10);
        (secret, codes)
    }

    fn totp(&self, secret: &Secret) -> String {
        let totp = Builder::new().with_secret(secret.clone()).build().unwrap();
        totp.generate(common::Clock::seconds(self.pds.clock()).cast_unsigned()).to_string()
    }
}

/// Returns what stands between two texts.
fn between(text: &str, before: &str, after: &str) -> String {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0.to_owned()
}

#[tokio::test]
async fn every_page_is_there_in_both_languages() {
    let mut desk = Desk::new().await;
    for language in ["en", "de"] {
        desk.browser.language = language;
        for path in VIEWS {
            let page = desk.browser.open(path).await.good();
            assert!(page.text().contains(&format!("<html lang=\"{language}\">")), "{path}");
            assert!(page.text().contains("alice.test"), "{path}");
            // What the policy of the pages forbids.
            assert!(!page.text().contains(" style=") && !page.text().contains("<script>"), "{path}");
            assert_eq!(page.header("cache-control"), "no-store", "{path}");
        }
    }
}

#[tokio::test]
async fn nothing_is_done_without_the_token_of_the_page_or_without_being_signed_in() {
    let mut desk = Desk::new().await;
    for path in FORMS {
        let form = [("csrf".to_owned(), "AAAA".to_owned()), ("sure".to_owned(), "yes".to_owned())];
        assert_eq!(desk.browser.post(path, &form).await.status(), 403, "{path}");
    }
    for path in ["/account/passkeys/begin", "/account/passkeys/finish", "/account/confirm/passkey"] {
        let request = desk.browser.request("POST", path).header("sec-fetch-site", "same-origin").json(&json!({}));
        assert_eq!(desk.browser.send(path, request).await.status(), 403, "{path}");
    }
    assert_eq!(desk.session().await["active"], true);
    let mut stranger = Browser::new(&desk.pds);
    for path in VIEWS {
        let leads_to = stranger.open(path).await.leads_to();
        assert!(leads_to.starts_with("/account/sign-in?next="), "{path}: {leads_to}");
    }
}

#[tokio::test]
async fn what_matters_asks_for_the_password_again_after_a_while() {
    let mut desk = Desk::new().await;
    let form = desk.browser.open("/account/app-passwords").await.good();
    desk.pds.clock().shift_micros(16 * MINUTE);
    // A form that was shown is taken for some time still.
    desk.browser.submit(&form, "/account/app-passwords", &[("name", "app")]).await.good();
    let page = desk.browser.open("/account/handle").await;
    assert_eq!(page.leads_to(), "/account/confirm?next=%2Faccount%2Fhandle");
    desk.browser.open("/account").await.good();
    desk.browser.open("/account/devices").await.good();
    desk.pds.clock().shift_micros(15 * MINUTE);
    let late = desk.browser.submit(&form, "/account/app-passwords", &[("name", "late")]).await;
    assert_eq!(late.leads_to(), "/account/confirm?next=%2Faccount%2Fapp-passwords");

    let page = desk.browser.follow(&late).await.good();
    let wrong = desk.browser.submit(&page, "/account/confirm", &[("password", "wrong")]).await;
    assert!(wrong.status() == 401 && wrong.text().contains("That password is wrong"));
    let right = desk.browser.submit(&wrong, "/account/confirm", &[("password", &desk.alice.password.clone())]).await;
    assert_eq!(right.leads_to(), "/account/app-passwords");
    let page = desk.browser.follow(&right).await.good();
    assert!(page.text().contains("<strong>app</strong>") && !page.text().contains("<strong>late</strong>"));
}

#[tokio::test]
async fn a_handle_is_changed_under_a_domain_of_the_server() {
    let mut desk = Desk::new().await;
    desk.pds.create_account("bob").await;
    let taken = desk.send("/account/handle", "/account/handle", &[("name", "bob")]).await;
    assert!(taken.status() == 400 && taken.text().contains("taken or kept back") && taken.text().contains("value=\"bob\""));
    for bad in ["a b", "x", "a.b.c", ""] {
        let bad = desk.send("/account/handle", "/account/handle", &[("name", bad)]).await;
        assert_eq!(bad.status(), 400);
    }
    let done = desk.send("/account/handle", "/account/handle", &[("name", "@Alice-New.test")]).await;
    assert_eq!(done.leads_to(), "/account/handle?done=handle");
    let page = desk.browser.follow(&done).await.good();
    assert!(page.text().contains("Your handle was changed") && page.text().contains("alice-new.test"));
    assert_eq!(desk.session().await["handle"], "alice-new.test");
}

#[tokio::test]
async fn an_own_domain_is_told_what_to_put_in_the_dns_and_what_was_found() {
    let mut desk = Desk::new().await;
    let page = desk.browser.open("/account/handle?domain=https%3A%2F%2FAlice.example.com%2F").await.good();
    let text = page.text();
    assert!(text.contains("_atproto.alice.example.com") && text.contains(&format!("did={}", desk.alice.did)), "{text}");
    assert!(text.contains("https://alice.example.com/.well-known/atproto-did"));
    assert!(text.contains("Your domain does not name your account yet"));
    let refused = desk.browser.submit(&page, "/account/handle", &[("own", "alice.example.com")]).await;
    assert!(refused.status() == 400 && refused.text().contains("The handle was not changed"), "{}", refused.text());
    let hosted = desk.browser.open("/account/handle?domain=carol.test").await;
    assert!(hosted.status() == 400 && hosted.text().contains("belongs to the server"));
    assert_eq!(desk.browser.open("/account/handle?domain=%3Cscript%3E").await.status(), 400);
    desk.browser.language = "de";
    let page = desk.browser.open("/account/handle?domain=alice.example.com").await.good();
    assert_eq!(page.text().matches("Es kam keine Antwort in der Zeit.").count(), 2, "{}", page.text());
    assert_eq!(desk.session().await["handle"], "alice.test");
}

#[tokio::test]
async fn an_address_is_confirmed_and_changed() {
    let mut desk = Desk::new().await;
    let wrong = desk.send("/account/email", "/account/email/confirm", &[("code", "AAAAA-AAAAA")]).await;
    assert!(wrong.status() == 400 && wrong.text().contains("The code is wrong"));
    desk.confirm_email().await;
    assert_eq!(desk.session().await["emailConfirmed"], true);

    let missing = desk.send("/account/email", "/account/email", &[("email", "new@example.com")]).await;
    assert!(missing.status() == 400 && missing.text().contains("Have one sent first"));
    desk.send("/account/email", "/account/email/code", &[]).await.leads_to();
    let code = desk.pds.code("alice").await;
    let bad = desk.send("/account/email", "/account/email", &[("email", "nonsense"), ("code", &code)]).await;
    assert!(bad.status() == 400 && bad.text().contains("not an e-mail address"));
    let done = desk.send("/account/email", "/account/email", &[("email", "new@example.com"), ("code", &code)]).await;
    assert_eq!(done.leads_to(), "/account/email?done=email-changed");
    assert_eq!(desk.session().await["email"], "new@example.com");
    // The new address got its code by itself.
    let code = desk.pds.code("new").await;
    let done = desk.send("/account/email", "/account/email/confirm", &[("code", &code)]).await;
    assert_eq!(done.leads_to(), "/account/email?done=email-confirmed");
}

#[tokio::test]
async fn a_new_password_signs_everything_else_out() {
    let mut desk = Desk::new().await;
    let mut other = Browser::new(&desk.pds);
    other.sign_in("alice.test", &desk.alice.password).await.leads_to();
    for (password, again, problem) in
        [("short", "short", "too short"), ("long enough", "long enoough", "not the same"), (&*"x".repeat(300), "x", "too long")]
    {
        let refused = desk.send("/account/password", "/account/password", &[("password", password), ("again", again)]).await;
        assert!(refused.status() == 400 && refused.text().contains(problem), "{problem}");
    }
    let fields = [("password", "another password"), ("again", "another password")];
    let done = desk.send("/account/password", "/account/password", &fields).await;
    assert_eq!(done.leads_to(), "/account/security?done=password");
    assert_eq!(other.open("/account").await.status(), 303, "the other browser is signed out");
    desk.browser.open("/account").await.good();
    let renewed = desk.alice.with_token(&desk.alice.refresh).post_nothing("com.atproto.server.refreshSession").await;
    assert_eq!(renewed.summary(), "400 ExpiredToken");
    assert_eq!(desk.log_in(&desk.alice.password, None).await.summary(), "401 AuthenticationRequired");
    desk.log_in("another password", None).await.good();
}

#[tokio::test]
async fn an_authenticator_app_guards_signing_in() {
    let mut desk = Desk::new().await;
    let password = desk.alice.password.clone();
    let (secret, codes) = desk.set_up_authenticator().await;
    assert_eq!(desk.log_in(&password, None).await.summary(), "401 AuthFactorTokenRequired");
    assert!(desk.pds.mails("alice").await.iter().all(|mail| mail["code"].is_null()), "nothing is mailed");
    let used = desk.totp(&secret);
    assert_eq!(desk.log_in(&password, Some(&used)).await.summary(), "400 InvalidToken", "it was used to set the app up");
    desk.pds.clock().shift_micros(MINUTE);
    desk.log_in(&password, Some(&desk.totp(&secret))).await.good();
    assert_eq!(desk.log_in(&password, Some(&desk.totp(&secret))).await.summary(), "400 InvalidToken", "each is good once");

    desk.log_in(&password, Some(&codes[4].to_uppercase())).await.good();
    assert_eq!(desk.log_in(&password, Some(&codes[4])).await.summary(), "400 InvalidToken");
    let page = desk.browser.open("/account/security").await.good();
    assert!(page.text().contains("9 left"));
    let fresh = desk.browser.submit(&page, "/account/backup-codes", &[]).await.good();
    assert!(!fresh.text().contains(&codes[5]));
    assert_eq!(
        desk.log_in(&password, Some(&codes[5])).await.summary(),
        "400 InvalidToken",
        "new ones take the place of the old"
    );
    let fresh = between(&fresh.text(), "<li><code>", "</code>");
    // Someone who guesses keeps the app's codes out, not those on paper.
    for _ in 0..6 {
        desk.log_in(&password, Some("000000")).await;
    }
    assert_eq!(desk.log_in(&password, Some("000000")).await.status, 429);
    desk.log_in(&password, Some(&fresh)).await.good();

    let done = desk.send("/account/security", "/account/authenticator/remove", &[]).await;
    assert_eq!(done.leads_to(), "/account/security?done=authenticator-removed");
    desk.log_in(&password, None).await.good();
    let page = desk.browser.open("/account/security").await.good();
    assert!(!page.text().contains("/account/backup-codes"), "there is nothing left that they would be for");
}

#[tokio::test]
async fn codes_by_mail_are_turned_on_and_off() {
    let mut desk = Desk::new().await;
    let page = desk.browser.open("/account/security").await.good();
    assert!(page.text().contains("First confirm your e-mail address"));
    let mut form = page.hidden_fields("/account/alerts");
    form.retain(|(name, _)| name == "csrf");
    form.push(("to".to_owned(), "on".to_owned()));
    assert_eq!(desk.browser.post("/account/mail-codes", &form).await.status(), 400);
    desk.confirm_email().await;
    let done = desk.send("/account/security", "/account/mail-codes", &[]).await;
    assert_eq!(done.leads_to(), "/account/security?done=mail-codes-on");
    assert_eq!(desk.session().await["emailAuthFactor"], true);
    let done = desk.send("/account/security", "/account/mail-codes", &[]).await;
    assert_eq!(done.leads_to(), "/account/security?done=mail-codes-off");
    assert_eq!(desk.session().await["emailAuthFactor"], false);
}

#[tokio::test]
async fn an_app_password_is_shown_once_and_revoked() {
    let mut desk = Desk::new().await;
    let made = desk.send("/account/app-passwords", "/account/app-passwords", &[("name", "<b>bot</b>")]).await.good();
    assert!(!made.text().contains("<b>bot"));
    let password = between(&made.text(), "<code class=\"copy\">", "</code>");
    desk.log_in(&password, None).await.good();
    let again = desk.send("/account/app-passwords", "/account/app-passwords", &[("name", "<b>bot</b>")]).await;
    assert!(again.status() == 400 && again.text().contains("There is one of this name already"));
    let page = desk.browser.open("/account/app-passwords").await.good();
    assert!(!page.text().contains(&password));
    let done = desk.browser.submit(&page, "/account/app-passwords/revoke", &[]).await;
    assert_eq!(done.leads_to(), "/account/app-passwords?done=app-password-revoked");
    assert_eq!(desk.log_in(&password, None).await.summary(), "401 AuthenticationRequired");
    let nameless = desk.send("/account/app-passwords", "/account/app-passwords", &[("name", " ")]).await;
    assert_eq!(nameless.status(), 400);
}

#[tokio::test]
async fn other_devices_are_signed_out() {
    let mut desk = Desk::new().await;
    let (mut phone, mut tablet) = (Browser::new(&desk.pds), Browser::new(&desk.pds));
    for other in [&mut phone, &mut tablet] {
        other.sign_in("alice.test", &desk.alice.password).await.leads_to();
    }
    // The list names those that used it last first; the first form is that of one of the two.
    let done = desk.send("/account/devices", "/account/devices/browser", &[]).await;
    assert_eq!(done.leads_to(), "/account/devices?done=signed-out");
    let left = [phone.open("/account").await.status(), tablet.open("/account").await.status()];
    assert!(left == [200, 303] || left == [303, 200], "{left:?}");
    let page = desk.browser.open("/account/devices").await.good();
    let mut form = page.hidden_fields("/account/devices/browser");
    form.retain(|(name, _)| name == "csrf");
    desk.browser.post("/account/devices/browser", &form).await.leads_to();
    assert_eq!([phone.open("/account").await.status(), tablet.open("/account").await.status()], [303, 303]);
    desk.browser.open("/account").await.good();

    assert!(page.text().contains("Sessions: 1"));
    desk.browser.submit(&page, "/account/devices/password-sessions", &[]).await.leads_to();
    let renewed = desk.alice.with_token(&desk.alice.refresh).post_nothing("com.atproto.server.refreshSession").await;
    assert_eq!(renewed.summary(), "400 ExpiredToken");
}

#[tokio::test]
async fn an_app_is_signed_out() {
    let mut desk = Desk::new().await;
    let (kept, gone) = (App::loopback(&desk.pds, "atproto"), App::loopback(&desk.pds, "atproto transition:generic"));
    let kept_tokens = kept.sign_in(&desk.pds, &desk.alice, "atproto").await;
    desk.pds.clock().shift_micros(MINUTE);
    let gone_tokens = gone.sign_in(&desk.pds, &desk.alice, "atproto transition:generic").await;
    gone.get(&gone_tokens, "com.atproto.server.getSession").await.good();

    // The list names those that were used last first; the first form is that of the second app.
    let done = desk.send("/account/devices", "/account/devices/app", &[]).await;
    assert_eq!(done.leads_to(), "/account/devices?done=signed-out");
    let refused = gone.refresh(&desk.pds, &gone_tokens.refresh).await;
    assert_eq!(refused.summary(), "400 invalid_grant");
    assert_eq!(gone.get(&gone_tokens, "com.atproto.server.getSession").await.status, 401);
    kept.get(&kept_tokens, "com.atproto.server.getSession").await.good();
    kept.refresh(&desk.pds, &kept_tokens.refresh).await.good();

    // Nobody signs out what is another's.
    let bob = desk.pds.create_account("bob").await;
    let mut his = Browser::new(&desk.pds);
    his.sign_in("bob.test", &bob.password).await.leads_to();
    let page = desk.browser.open("/account/devices").await.good();
    let id = page.hidden_fields("/account/devices/app").into_iter().find(|(name, _)| name == "id").unwrap();
    let page = his.open("/account/devices").await.good();
    let csrf = page.hidden_fields("/language").into_iter().find(|(name, _)| name == "csrf").unwrap();
    his.post("/account/devices/app", &[csrf, id]).await;
    kept.get(&kept_tokens, "com.atproto.server.getSession").await.good();
}

#[tokio::test]
async fn mail_about_new_devices_can_be_turned_off() {
    let mut desk = Desk::new().await;
    let done = desk.send("/account/security", "/account/alerts", &[]).await;
    assert_eq!(done.leads_to(), "/account/security?done=alerts-off");
    Browser::new(&desk.pds).sign_in("alice.test", &desk.alice.password).await.leads_to();
    assert!(desk.pds.mails("alice").await.is_empty());
    let page = desk.browser.open("/account").await.good();
    assert_eq!(page.text().matches("127.0.0.1").count(), 2, "both sign-ins are listed");
}

#[tokio::test]
async fn everything_is_downloaded_in_one_file() {
    let mut desk = Desk::new().await;
    desk.alice.create_post("hello").await;
    let (image, unused) = (vec![7_u8; 300_000], b"never used".to_vec());
    for (bytes, media_type) in [(&image, "image/png"), (&unused, "text/plain")] {
        let reply = desk.alice.post_bytes("com.atproto.repo.uploadBlob", media_type, bytes.clone()).await.good().json();
        let record = json!({ "$type": "com.example.file", "file": reply["blob"] });
        desk.alice.create_record("com.example.file", record).await.good();
    }
    let preferences = json!({ "preferences": [{ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": false }] });
    desk.alice.post("app.bsky.actor.putPreferences", &preferences).await.good();

    let file = desk.send("/account/data", "/account/archive", &[]).await.good();
    assert_eq!(file.header("content-type"), "application/zip");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"alice.test.zip\"");
    let mut archive = zip::ZipArchive::new(Cursor::new(file.reply.bytes)).unwrap();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert!(read("repo.car") == desk.alice.export().await);
    assert_eq!(serde_json::from_slice::<Value>(&read("preferences.json")).unwrap(), preferences["preferences"]);
    assert_eq!(serde_json::from_slice::<Value>(&read("account.json")).unwrap()["did"], desk.alice.did);
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut blobs: Vec<Vec<u8>> = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("blobs/")) {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        blobs.push(bytes);
    }
    blobs.sort();
    assert!(blobs == [image, unused]);
}

#[tokio::test]
async fn an_account_takes_a_break_and_comes_back() {
    let mut desk = Desk::new().await;
    let done = desk.send("/account/data", "/account/deactivate", &[]).await;
    assert_eq!(done.leads_to(), "/account/data?done=deactivated");
    assert_eq!(desk.session().await["status"], "deactivated");
    let page = desk.browser.open("/account").await.good();
    assert!(page.text().contains("This account is deactivated"));
    let done = desk.browser.submit(&page, "/account/activate", &[]).await;
    assert_eq!(done.leads_to(), "/account?done=activated");
    assert_eq!(desk.session().await["active"], true);
}

#[tokio::test]
async fn a_deleted_account_can_be_kept_until_its_day() {
    let mut desk = Desk::new().await;
    let unsure = desk.send("/account/data", "/account/delete", &[]).await;
    assert!(unsure.status() == 400 && unsure.text().contains("Nothing was deleted"));
    let done = desk.send("/account/data", "/account/delete", &[("sure", "yes")]).await;
    assert_eq!(done.leads_to(), "/account?done=deactivated");
    let renewed = desk.alice.with_token(&desk.alice.refresh).post_nothing("com.atproto.server.refreshSession").await;
    assert_eq!(renewed.summary(), "400 ExpiredToken", "apps are signed out");
    assert_eq!(desk.pds.mails("alice").await[0]["subject"], "Your account will be deleted");

    let page = desk.browser.follow(&done).await.good();
    assert!(page.text().contains("will be deleted on"), "the browser stays signed in");

    // Back within the week, in another browser.
    let mut home = Browser::new(&desk.pds);
    home.sign_in("alice.test", &desk.alice.password).await.leads_to();
    let page = home.open("/account").await.good();
    assert!(page.text().contains("will be deleted on"));
    home.submit(&page, "/account/activate", &[]).await.leads_to();
    assert!(!home.open("/account").await.good().text().contains("will be deleted on"));
    desk.log_in(&desk.alice.password, None).await.good();
}

#[tokio::test]
async fn a_deleted_account_goes_when_its_days_are_over() {
    let mut desk = Desk::new().await;
    desk.alice.create_post("hello").await;
    desk.send("/account/data", "/account/delete", &[("sure", "yes")]).await.leads_to();
    // The task looks when the server starts, and each hour.
    desk.pds.clock().shift_micros(7 * 24 * 60 * MINUTE - MINUTE);
    let mut pds = desk.pds.restart().await;
    let mut browser = Browser::new(&pds);
    browser.sign_in("alice.test", &desk.alice.password).await.leads_to();
    assert!(browser.open("/account").await.good().text().contains("will be deleted on"));

    let status = |pds: &TestPds| {
        let (client, did) = (pds.anonymous(), desk.alice.did.clone());
        async move { client.get("com.atproto.sync.getRepoStatus", &[("did", &did)]).await }
    };
    assert_eq!(status(&pds).await.good().json()["status"], "deactivated");
    pds.clock().shift_micros(2 * MINUTE);
    pds = pds.restart().await;
    let mut follower = pds.follow(Some(0)).await;
    follower.until(|frame| frame.kind == "#account" && frame.text("status") == "deleted").await;
    assert_eq!(status(&pds).await.summary(), "400 RepoNotFound");
    let refused = Browser::new(&pds).sign_in("alice.test", &desk.alice.password).await;
    assert_eq!(refused.status(), 401);
}
