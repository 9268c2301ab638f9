//! Nothing that is secret stands in the log, however much is logged, nor in an address.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;
use totp_rs::{Builder, Secret};

use crate::support::{ADMIN_PASSWORD, App, Authenticator, Browser, MailServer, Odd, Policy, TestPds};
use relay::config::{MailAddress, MailLogin, MailRoute, MailServer as Server, MailTls, Secret as Sealed};

const SCOPE: &str = "atproto transition:generic transition:email";
const MINUTE: i64 = 60 * 1_000_000;
/// Says that this process is the one whose log is read.
const INSIDE: &str = "EZPDS_TEST_DISCRETION";

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What nobody may read, with what it is.
#[derive(Default)]
struct Kept(Vec<(&'static str, String)>);

impl Kept {
    fn keep(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() > 5, "{what}: {secret}");
        self.0.push((what, secret.clone()));
        secret
    }

    fn assert_not_in(&self, text: &str, place: &str) {
        for (what, secret) in &self.0 {
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert!(line.is_none(), "{what} is in {place}: {}", line.unwrap_or_default());
        }
    }
}

/// Logging is for a whole process, so this one runs in one of its own.
#[test]
fn nothing_secret_is_logged_or_put_into_an_address() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(live_and_listen());
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "discretion::nothing_secret_is_logged_or_put_into_an_address", "--nocapture"]);
    let output = child.env(INSIDE, "1").stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

async fn live_and_listen() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter("debug,relay=trace").with_ansi(false).with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let mut kept = Kept::default();

    let post = MailServer::start(Policy::Login("pds", "smtp-0pen-sesame")).await;
    let (address, smtp_password) = (post.address, kept.keep("the mail server's password", "smtp-0pen-sesame"));
    let pds = TestPds::start_with(move |config| {
        config.limits.rate_limits = true;
        config.mail.outbox = false;
        let login = Some(MailLogin { user: "pds".into(), password: Sealed::new(smtp_password.as_str()) });
        let server = Server { host: address.ip().to_string(), port: address.port(), tls: MailTls::None, login };
        config.mail.ordinary = Some(MailRoute { server, from: MailAddress::new("pds@example.org").unwrap() });
    })
    .await;
    kept.keep("the admin password", ADMIN_PASSWORD);
    let email = kept.keep("a mail address", "alice.in.person@example.com");
    let password = kept.keep("a password", "wonderland-is-where-i-live");

    // Signing up, in and out, with a wrong password in between.
    let mut browser = Browser::new(&pds);
    let page = browser.open("/account/sign-up").await.good();
    let fields = [("handle", "alice"), ("email", &*email), ("password", &*password)];
    browser.submit(&page, "/account/sign-up", &fields).await.leads_to();
    kept.keep("the cookie of a browser", cookie(&browser));
    let wrong = kept.keep("a wrong password", "wonderland-is-where-i-was");
    assert_eq!(Browser::new(&pds).sign_in(&email, &wrong).await.status(), 401);
    let body = json!({ "identifier": email, "password": wrong });
    assert_eq!(pds.anonymous().post("com.atproto.server.createSession", &body).await.status, 401);
    let body = json!({ "identifier": email, "password": password });
    let session = pds.anonymous().post("com.atproto.server.createSession", &body).await.good().json();
    for (what, name) in [("an access token", "accessJwt"), ("a refresh token", "refreshJwt")] {
        kept.keep(what, session[name].as_str().unwrap());
    }

    // Codes by mail.
    let page = browser.open("/account/email").await.good();
    browser.submit(&page, "/account/email/code", &[]).await.leads_to();
    let code = mailed(&post, &mut kept).await;
    let page = browser.open("/account/email").await.good();
    browser.submit(&page, "/account/email/confirm", &[("code", &code)]).await.leads_to();
    let page = browser.open("/account/forgot-password").await.good();
    let sent = browser.submit(&page, "/account/forgot-password", &[("email", &email)]).await;
    let code = mailed(&post, &mut kept).await;
    let page = browser.follow(&sent).await.good();
    let password = kept.keep("another password", "through-the-looking-glass");
    browser.submit(&page, "/account/reset-password", &[("code", &code), ("password", &password)]).await.leads_to();

    // An app: what it pushes, its proofs, codes and tokens.
    browser.sign_in("alice.test", &password).await.leads_to();
    kept.keep("another cookie", cookie(&browser));
    let app = App::loopback(&pds, SCOPE);
    let proof = kept.keep("a proof", app.proof("POST", "/oauth/par", None, &Odd::default()));
    assert_eq!(app.post_with_proof("/oauth/par", &app.request(SCOPE), &proof).await.status, 400);
    let path = app.push(&pds, SCOPE, &[]).await;
    let answer = app.consent(&mut browser, &path, &SCOPE.split(' ').collect::<Vec<_>>()).await;
    let code = answer["code"].clone();
    let tokens = app.post(&pds, "/oauth/token", &app.redemption(&code)).await.good().json();
    let tokens = crate::support::Tokens::of(&tokens);
    kept.keep("an app's access token", &tokens.access);
    kept.keep("an app's refresh token", &tokens.refresh);
    app.get(&tokens, "com.atproto.server.getSession").await.good();
    let renewed = crate::support::Tokens::of(&app.refresh(&pds, &tokens.refresh).await.good().json());
    kept.keep("a renewed access token", &renewed.access);
    kept.keep("a renewed refresh token", &renewed.refresh);
    pds.clock().shift_micros(5 * MINUTE);
    assert_eq!(app.refresh(&pds, &tokens.refresh).await.summary(), "400 invalid_grant");
    assert_eq!(app.post(&pds, "/oauth/token", &app.redemption(&code)).await.summary(), "400 invalid_grant");

    // An authenticator app, backup codes, a passkey and an app password.
    let page = browser.open("/account/authenticator").await.good();
    let secret = between(&page.text(), "<code class=\"copy\">", "</code>").replace(' ', "");
    kept.keep("the secret of an authenticator app", &secret);
    let totp = Builder::new().with_secret(Secret::try_from_base32(&secret).unwrap()).build().unwrap();
    let shown = totp.generate(common::Clock::seconds(pds.clock()).cast_unsigned()).to_string();
    kept.keep("the code of an authenticator app", &shown);
    let codes = browser.submit(&page, "/account/authenticator", &[("code", &shown)]).await.good();
    let backup = kept.keep("a backup code", between(&codes.text(), "<li><code>", "</code>"));
    let body = json!({ "identifier": email, "password": password, "authFactorToken": backup });
    pds.anonymous().post("com.atproto.server.createSession", &body).await.good();
    let page = browser.open("/account/app-passwords").await.good();
    let made = browser.submit(&page, "/account/app-passwords", &[("name", "bot")]).await.good();
    kept.keep("an app password", between(&made.text(), "<code class=\"copy\">", "</code>"));
    let page = browser.open("/account/security").await.good();
    let csrf = page.hidden_fields("/language").into_iter().find(|(name, _)| name == "csrf").unwrap().1;
    let call = |path: &str, body: &serde_json::Value| {
        let request = browser.request("POST", path).header("sec-fetch-site", "same-origin");
        request.header("x-csrf-token", &csrf).json(body)
    };
    let begun = pds.anonymous().send(call("/account/passkeys/begin", &json!({}))).await.good().json();
    kept.keep("the challenge of a passkey", begun["options"]["publicKey"]["challenge"].as_str().unwrap());
    let answer = Authenticator::new(1).create(&begun["options"], "http://elsewhere.example");
    let body = json!({ "ceremony": begun["ceremony"], "answer": answer, "name": "Phone" });
    assert_eq!(pds.anonymous().send(call("/account/passkeys/finish", &body)).await.status, 401);
    kept.keep("the token of a page", &csrf);

    let addresses = browser.addresses.join("\n");
    assert!(addresses.lines().count() > 20 && addresses.contains("/oauth/authorize?"));
    kept.assert_not_in(&addresses, "an address");
    // It goes to the app by its address, and is good for nothing without the app's key and verifier; but it is nobody else's.
    kept.keep("the code of an app", &code);
    pds.stop().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("signed in in a browser") && log.contains("/oauth/token") && log.contains("DEBUG"), "{log}");
    kept.assert_not_in(&log, "the log");
}

fn cookie(browser: &Browser) -> String {
    browser.cookie("device").unwrap().to_owned()
}

fn between(text: &str, before: &str, after: &str) -> String {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0.to_owned()
}

/// Returns the code of a mail that is not known yet, once it has come.
async fn mailed(post: &MailServer, kept: &mut Kept) -> String {
    loop {
        // Mails about new devices have no code.
        let codes = post.mails().into_iter().filter(|mail| has_code(&mail.data));
        let fresh = codes.map(|mail| mail.code()).find(|code| kept.0.iter().all(|(_, known)| known != code));
        if let Some(code) = fresh {
            return kept.keep("a mailed code", code);
        }
        tokio::task::yield_now().await;
    }
}

fn has_code(mail: &str) -> bool {
    mail.lines().map(str::trim).any(|line| line.len() == 11 && line.as_bytes()[5] == b'-')
}
