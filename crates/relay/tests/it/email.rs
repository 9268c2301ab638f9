//! Mail, and what takes a code out of it.

use relay::config::{Config, MailAddress, MailLogin, MailRoute, MailServer as Server, MailTls, Secret};
use serde_json::{Value, json};

use crate::support::{MailServer, Policy, Reply, TestPds, User, relay};

impl TestPds {
    /// Returns the mails to `<name>@example.com`, the newest first.
    pub(crate) async fn mails(&self, name: &str) -> Vec<Value> {
        let client = self.anonymous();
        let reply = client.send(client.request("GET", &format!("/_dev/mail?format=json&to={name}@example.com"))).await;
        reply.good().json()["mails"].as_array().unwrap().clone()
    }

    /// Returns the code in the newest mail to `<name>@example.com`.
    pub(crate) async fn code(&self, name: &str) -> String {
        self.mails(name).await[0]["code"].as_str().unwrap().to_owned()
    }

    /// Starts a server that sends through `mail`.
    async fn start_mailing(mail: &MailServer, tls: MailTls, login: Option<(&'static str, &'static str)>) -> Self {
        let address = mail.address;
        Self::start_with(move |config: &mut Config| {
            let login = login.map(|(user, password)| MailLogin { user: user.into(), password: Secret::new(password) });
            let server = Server { host: address.ip().to_string(), port: address.port(), tls, login };
            config.mail.ordinary = Some(MailRoute { server, from: MailAddress::new("pds@example.org").unwrap() });
        })
        .await
    }

    async fn sign_in(&self, identifier: &str, password: &str) -> Reply {
        let body = json!({ "identifier": identifier, "password": password });
        self.anonymous().post("com.atproto.server.createSession", &body).await
    }

    async fn reset_password(&self, token: &str, password: &str) -> Reply {
        let body = json!({ "token": token, "password": password });
        self.anonymous().post("com.atproto.server.resetPassword", &body).await
    }

    async fn request_password_reset(&self, email: &str) -> Reply {
        self.anonymous().post("com.atproto.server.requestPasswordReset", &json!({ "email": email })).await
    }

    async fn delete_account(&self, did: &str, password: &str, token: &str) -> Reply {
        let body = json!({ "did": did, "password": password, "token": token });
        self.anonymous().post("com.atproto.server.deleteAccount", &body).await
    }
}

impl User {
    async fn request(&self, what: &str) -> Reply {
        self.post_nothing(&format!("com.atproto.server.request{what}")).await
    }

    async fn confirm_email(&self, email: &str, token: &str) -> Reply {
        self.post("com.atproto.server.confirmEmail", &json!({ "email": email, "token": token })).await
    }

    async fn update_email(&self, email: &str, token: Option<&str>) -> Reply {
        let mut body = json!({ "email": email });
        if let Some(token) = token {
            body["token"] = json!(token);
        }
        self.post("com.atproto.server.updateEmail", &body).await
    }

    /// Returns address and whether it is confirmed.
    async fn email(&self) -> (String, bool) {
        let session = self.get("com.atproto.server.getSession", &[]).await.good().json();
        (session["email"].as_str().unwrap().to_owned(), session["emailConfirmed"].as_bool().unwrap())
    }

    async fn renew(&self) -> Reply {
        self.with_token(&self.refresh).post_nothing("com.atproto.server.refreshSession").await
    }
}

#[tokio::test]
async fn a_mailed_code_confirms_an_address_once() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    assert!(pds.mails("alice").await.is_empty(), "a new account gets no mail");
    alice.request("EmailConfirmation").await.good();
    let code = pds.code("alice").await;
    let mail = &pds.mails("alice").await[0];
    assert_eq!(mail["subject"], "Confirm your e-mail address");
    for part in ["text", "html"] {
        assert!(mail[part].as_str().unwrap().contains(&code) && mail[part].as_str().unwrap().contains("@alice.test"), "{mail}");
    }
    let parts: Vec<&str> = code.split('-').collect();
    assert!(parts.len() == 2 && parts.iter().all(|part| part.len() == 5), "{code}");

    assert_eq!(alice.confirm_email("bob@example.com", &code).await.summary(), "400 InvalidEmail");
    assert_eq!(alice.confirm_email("alice@example.com", "AAAAA-AAAAA").await.summary(), "400 InvalidToken");
    assert_eq!(bob.confirm_email("bob@example.com", &code).await.summary(), "400 InvalidToken");
    assert_eq!(alice.update_email("x@example.com", Some(&code)).await.status, 200, "nothing was confirmed yet");
    alice.update_email("alice@example.com", None).await.good();
    // A code goes with the address that it was sent to.
    assert_eq!(alice.confirm_email("alice@example.com", &code).await.summary(), "400 InvalidToken");

    alice.request("EmailConfirmation").await.good();
    let code = pds.code("alice").await.to_lowercase().replace('-', " ");
    alice.confirm_email("Alice@Example.com", &code).await.good();
    assert_eq!(alice.email().await, ("alice@example.com".into(), true));
    assert_eq!(alice.confirm_email("alice@example.com", &code).await.summary(), "400 InvalidToken");
}

#[tokio::test]
async fn a_confirmed_address_changes_only_with_a_code() {
    let pds = TestPds::start_with(|config| config.accounts.accept_disposable_mail = false).await;
    let (alice, _bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    assert_eq!(alice.request("EmailUpdate").await.good().json(), json!({ "tokenRequired": false }));
    alice.request("EmailConfirmation").await.good();
    alice.confirm_email("alice@example.com", &pds.code("alice").await).await.good();

    assert_eq!(alice.request("EmailUpdate").await.good().json(), json!({ "tokenRequired": true }));
    let code = pds.code("alice").await;
    assert_eq!(alice.update_email("new@example.com", None).await.summary(), "400 TokenRequired");
    assert_eq!(alice.update_email("new@example.com", Some("AAAAA-AAAAA")).await.summary(), "400 InvalidToken");
    for refused in ["bob@example.com", "new@mailinator.com", "not an address"] {
        assert_eq!(alice.update_email(refused, Some(&code)).await.summary(), "400 InvalidRequest", "{refused}");
    }
    assert_eq!(alice.email().await, ("alice@example.com".into(), true));
    alice.update_email("New@example.com", Some(&code)).await.good();
    assert_eq!(alice.email().await, ("new@example.com".into(), false));
    let factor = json!({ "email": "new@example.com", "emailAuthFactor": true });
    assert_eq!(alice.post("com.atproto.server.updateEmail", &factor).await.summary(), "400 InvalidRequest");

    let app = alice.post("com.atproto.server.createAppPassword", &json!({ "name": "app" })).await.good().json();
    let session = pds.sign_in("alice.test", app["password"].as_str().unwrap()).await.good().json();
    let app = pds.anonymous().with_token(session["accessJwt"].as_str().unwrap());
    for nsid in ["requestEmailUpdate", "requestAccountDelete"] {
        assert_eq!(app.post_nothing(&format!("com.atproto.server.{nsid}")).await.summary(), "400 InvalidToken", "{nsid}");
    }
}

/// Incident 16: a server answered 400 for addresses that no account has.
#[tokio::test]
async fn asking_for_a_password_reset_tells_nothing() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let known = pds.request_password_reset("Alice@example.com").await;
    for unknown in ["nobody@example.com", "not an address", ""] {
        let unknown = pds.request_password_reset(unknown).await;
        let headers = |reply: &Reply| {
            let mut names: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!((unknown.status, &unknown.bytes, headers(&unknown)), (200, &known.bytes, headers(&known)));
    }
    assert_eq!(known.status, 200);
    assert_eq!((pds.mails("alice").await.len(), pds.mails("nobody").await.len()), (1, 0));
    drop(alice);
}

#[tokio::test]
async fn a_new_password_ends_all_sessions() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    pds.request_password_reset("alice@example.com").await.good();
    let code = pds.code("alice").await;
    assert_eq!(pds.reset_password("AAAAA-AAAAA", "new").await.summary(), "400 InvalidToken");
    assert_eq!(pds.reset_password(&code, "").await.summary(), "400 InvalidRequest");
    assert_eq!(pds.reset_password(&code, &"x".repeat(257)).await.summary(), "400 InvalidRequest");
    pds.reset_password(&code.to_lowercase(), "a new password").await.good();
    assert_eq!(pds.reset_password(&code, "another").await.summary(), "400 InvalidToken");
    assert_eq!(alice.renew().await.summary(), "400 ExpiredToken");
    assert_eq!(pds.sign_in("alice.test", &alice.password).await.status, 401);
    assert_eq!(pds.sign_in("alice.test", "a new password").await.status, 200);
}

#[tokio::test]
async fn codes_end_by_time_and_by_guessing() {
    const MINUTE_MICROS: i64 = 60_000_000;
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.request("EmailConfirmation").await.good();
    let first = pds.code("alice").await;
    pds.clock().shift_micros(5 * MINUTE_MICROS);
    alice.request("EmailConfirmation").await.good();
    assert_eq!(pds.code("alice").await, first, "of two mails, either will do");
    pds.request_password_reset("alice@example.com").await.good();
    let reset = pds.code("alice").await;
    pds.clock().shift_micros(10 * MINUTE_MICROS);
    assert_eq!(alice.confirm_email("alice@example.com", &first).await.summary(), "400 ExpiredToken");
    pds.clock().shift_micros(5 * MINUTE_MICROS);
    assert_eq!(pds.reset_password(&reset, "new").await.summary(), "400 ExpiredToken");

    alice.request("EmailConfirmation").await.good();
    let second = pds.code("alice").await;
    assert_ne!(second, first);
    for _ in 0..10 {
        assert_eq!(alice.confirm_email("alice@example.com", "AAAAA-AAAAA").await.summary(), "400 InvalidToken");
    }
    assert_eq!(alice.confirm_email("alice@example.com", &second).await.summary(), "400 InvalidToken");
    alice.request("EmailConfirmation").await.good();
    let third = pds.code("alice").await;
    assert_ne!(third, second);
    alice.confirm_email("alice@example.com", &third).await.good();
}

#[tokio::test]
async fn a_deleted_account_leaves_only_the_word_that_it_is_gone() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    for n in 0..30 {
        alice.create_post(&format!("post {n}")).await;
        bob.create_post(&format!("post {n}")).await;
    }
    let bytes = b"bytes of alice".to_vec();
    let blob = alice.post_bytes("com.atproto.repo.uploadBlob", "text/plain", bytes).await.good().json();
    let record = json!({ "$type": "com.example.file", "file": blob["blob"] });
    alice.create_record("com.example.file", record).await.good();

    alice.request("AccountDelete").await.good();
    let code = pds.code("alice").await;
    assert_eq!(pds.delete_account(&alice.did, "wrong", &code).await.summary(), "401 AuthenticationRequired");
    assert_eq!(pds.delete_account("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", &alice.password, &code).await.status, 401);
    assert_eq!(pds.delete_account(&alice.did, &alice.password, "AAAAA-AAAAA").await.summary(), "400 InvalidToken");
    assert_eq!(pds.delete_account(&bob.did, &bob.password, &code).await.summary(), "400 InvalidToken");
    pds.delete_account(&alice.did, &alice.password, &code).await.good();

    assert_eq!(pds.delete_account(&alice.did, &alice.password, &code).await.summary(), "401 AuthenticationRequired");
    assert_eq!(alice.get("com.atproto.server.getSession", &[]).await.summary(), "403 AccountNotFound");
    assert_eq!(alice.renew().await.status, 400);
    assert_eq!(alice.create_record("com.example.file", json!({ "$type": "com.example.file" })).await.status, 403);
    for nsid in ["getRepo", "getLatestCommit", "getRepoStatus"] {
        let reply = pds.anonymous().get(&format!("com.atproto.sync.{nsid}"), &[("did", &alice.did)]).await;
        assert_eq!(reply.summary(), "400 RepoNotFound", "{nsid}");
    }
    let last = bob.create_post("last").await;

    let mut follower = pds.follow(Some(0)).await;
    let frames = follower.until(|frame| frame.ops().iter().any(|op| op.contains(&last))).await;
    let of_alice: Vec<_> = frames.iter().filter(|frame| frame.did() == alice.did).collect();
    assert_eq!(of_alice.len(), 1);
    assert_eq!((of_alice[0].kind.as_str(), of_alice[0].text("status")), ("#account", "deleted"));
    assert!(frames.iter().filter(|frame| frame.did() == bob.did).count() > 30);

    // The frames above came from memory; the store has no more. Alice was the first account.
    let conn = rusqlite::Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    for (table, left) in [
        ("account", 1),
        ("repo", 1),
        ("record", 31),
        ("email_token", 0),
        ("refresh_token", 1),
        ("deletion", 0),
        ("event WHERE account = 1", 1),
    ] {
        let count: i64 = conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(count, left, "{table}");
    }
    let blobs: (i64, i64) =
        conn.query_row("SELECT count(*), sum(temporary) FROM blob", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(blobs, (1, 1), "the next collection takes it");

    let again = pds.create_account("alice").await;
    assert_ne!(again.did, alice.did);
}

#[tokio::test]
async fn mail_goes_through_a_mail_server() {
    let mail = MailServer::start(Policy::Open).await;
    let pds = TestPds::start_mailing(&mail, MailTls::None, None).await;
    let alice = pds.create_account("alice").await;
    alice.request("EmailConfirmation").await.good();
    let received = mail.mails().pop().unwrap();
    assert_eq!((received.from.as_str(), received.to.as_str()), ("pds@example.org", "alice@example.com"));
    assert_eq!(received.header("From"), Some("\"localhost PDS\" <pds@example.org>"));
    assert_eq!(received.header("To"), Some("alice@example.com"));
    assert_eq!(received.header("Subject"), Some("Confirm your e-mail address"));
    assert!(received.header("Date").is_some() && received.header("Message-ID").is_some());
    for kind in ["text/plain", "text/html"] {
        assert!(received.data.contains(&format!("Content-Type: {kind}; charset=utf-8")), "{}", received.data);
    }
    alice.confirm_email("alice@example.com", &received.code()).await.good();
    // With a mail server there is no mailbox for all to see.
    let client = pds.anonymous();
    assert_eq!(client.send(client.request("GET", "/_dev/mail")).await.status, 404);

    // What is sent in the background is sent before the server stops.
    pds.request_password_reset("alice@example.com").await.good();
    pds.stop().await;
    assert_eq!(mail.mails().len(), 2);
}

#[tokio::test]
async fn a_mail_server_that_wants_a_password_gets_it() {
    let mail = MailServer::start(Policy::Login("me@example.org", "p:äss")).await;
    for (login, status, received) in
        [(Some(("me@example.org", "wrong")), 502, 0), (None, 502, 0), (Some(("me@example.org", "p:äss")), 200, 1)]
    {
        let pds = TestPds::start_mailing(&mail, MailTls::None, login).await;
        let alice = pds.create_account("alice").await;
        assert_eq!(alice.request("AccountDelete").await.status, status);
        assert_eq!(mail.mails().len(), received);
    }
}

/// Nothing is sent in the clear where TLS is asked for.
#[tokio::test]
async fn a_mail_server_without_tls_gets_nothing_when_tls_is_configured() {
    let mail = MailServer::start(Policy::Open).await;
    let pds = TestPds::start_mailing(&mail, MailTls::StartTls, None).await;
    let alice = pds.create_account("alice").await;
    assert_eq!(alice.request("EmailConfirmation").await.summary(), "502 UpstreamFailure");
    assert!(mail.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_finds_codes_of_mails_that_were_refused() {
    let mail = MailServer::start(Policy::Refuse).await;
    let pds = TestPds::start_mailing(&mail, MailTls::None, None).await;
    let alice = pds.create_account("alice").await;
    let refused = alice.request("EmailConfirmation").await;
    assert_eq!(refused.summary(), "502 UpstreamFailure");
    assert!(!refused.text().contains("no mail for") && !refused.text().contains("alice@example.com"), "{}", refused.text());
    // Who is not signed in learns nothing of it.
    pds.request_password_reset("alice@example.com").await.good();
    pds.request_password_reset("nobody@example.com").await.good();

    let (dir, url) = (pds.data_dir(), pds.url());
    let show = async |account: &'static str| {
        let mut command = relay(dir.parent().unwrap());
        command.args(["code", "show", account, "--data-dir"]).arg(&dir);
        command.args(["--set", &format!("server.public_url={url}"), "--set", "network.protect_private_addresses=false"]);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    // The reset happens after its answer.
    let said = loop {
        let output = show("alice.test").await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        if said.contains("reset_password") {
            break said;
        }
    };
    let code_for = |purpose: &str| said.lines().find(|line| line.contains(purpose)).unwrap()[..11].to_owned();
    alice.confirm_email("alice@example.com", &code_for("confirm_email")).await.good();
    pds.reset_password(&code_for("reset_password"), "a new password").await.good();
    let output = show("alice@example.com").await;
    assert!(String::from_utf8_lossy(&output.stdout).contains("has no code that is good"));
    assert!(!show("nobody.test").await.status.success());
}

#[tokio::test]
async fn the_mailbox_page_shows_mail_as_text() {
    let pds = TestPds::start_with(|config| config.server.service_name = "<script>alert(1)</script>".into()).await;
    let alice = pds.create_account("alice").await;
    alice.request("EmailConfirmation").await.good();
    let client = pds.anonymous();
    let page = client.send(client.request("GET", "/_dev/mail")).await.good();
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.text().contains(&pds.code("alice").await) && !page.text().contains("<script>"), "{}", page.text());
    assert!(page.text().contains("&lt;script&gt;"));
}

#[tokio::test]
async fn a_reserved_key_is_the_same_for_a_did() {
    let pds = TestPds::start().await;
    let reserve = async |body: Value| {
        let reply = pds.anonymous().post("com.atproto.server.reserveSigningKey", &body).await.good().json();
        reply["signingKey"].as_str().unwrap().to_owned()
    };
    let (one, two) = (json!({ "did": "did:web:one.example" }), json!({ "did": "did:web:two.example" }));
    let key = reserve(one.clone()).await;
    assert!(key.starts_with("did:key:zQ3s"), "{key}");
    assert_eq!(reserve(one).await, key);
    assert_ne!(reserve(two).await, key);
    assert_ne!(reserve(json!({})).await, reserve(json!({})).await);
}
