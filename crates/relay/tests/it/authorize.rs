//! The pages on which people say yes or no to an app.

use serde_json::json;

use crate::support::{Browser, BrowserPage, TestPds};

const REDIRECT: &str = "http://127.0.0.1:4000/callback";
const SCOPES: &str = "atproto transition:generic transition:email";

/// An app in development on this machine, which has pushed a request.
struct Asked {
    /// Where it sends its user.
    path: String,
    request_uri: String,
}

/// Has an app ask for something.
async fn ask(pds: &TestPds, scopes: &str, more: &[(&str, &str)]) -> Asked {
    let mut client_id = url::Url::parse("http://localhost").unwrap();
    client_id.query_pairs_mut().append_pair("scope", scopes).append_pair("redirect_uri", REDIRECT);
    let client_id = client_id.as_str().replacen("localhost/?", "localhost?", 1);
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let fields = [
        ("client_id", &*client_id),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        ("state", "the state"),
        ("scope", scopes),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).extend_pairs(more).finish();
    let client = pds.anonymous();
    let request = client.request("POST", "/oauth/par").header("content-type", "application/x-www-form-urlencoded").body(body);
    let reply = client.send(request).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let request_uri = reply.json()["request_uri"].as_str().unwrap().to_owned();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &client_id)
        .append_pair("request_uri", &request_uri)
        .finish();
    Asked { path: format!("/oauth/authorize?{query}"), request_uri }
}

/// What the app is told in the end.
fn answer(page: &BrowserPage) -> Vec<(String, String)> {
    let url = url::Url::parse(&page.leads_to()).unwrap();
    assert!(url.as_str().starts_with(REDIRECT), "{url}");
    url.query_pairs().into_owned().collect()
}

fn told(page: &BrowserPage, name: &str) -> String {
    answer(page).into_iter().find(|(found, _)| found == name).map(|(_, value)| value).unwrap_or_default()
}

/// Follows a page to where it leads.
async fn led(browser: &mut Browser, page: &BrowserPage) -> BrowserPage {
    browser.follow(page).await.good()
}

#[tokio::test]
async fn someone_signs_in_and_lets_an_app_in() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let asked = ask(&pds, SCOPES, &[("login_hint", "alice.test")]).await;
    let mut browser = Browser::new(&pds);
    let page = browser.open(&asked.path).await;
    let page = led(&mut browser, &page).await;
    // Who is expected stands there already, and so does the app.
    assert!(page.path.starts_with("/account/sign-in?") && page.text().contains("value=\"alice.test\""));
    assert!(page.text().contains("to go on to localhost"), "{}", page.text());
    // The form leads on to the app in the end, which browsers hold against the policy.
    assert!(page.header("content-security-policy").contains("form-action 'self' http://127.0.0.1:4000;"));
    let fields = [("identifier", "alice.test"), ("password", &*alice.password)];
    let page = browser.submit(&page, "/account/sign-in", &fields).await;
    let page = led(&mut browser, &page).await;
    let text = page.text();
    for words in [
        "Let localhost use your account?",
        "alice.test",
        "Always included",
        "Do almost everything in your name",
        "See your e-mail address",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // What is always included cannot be unticked.
    assert_eq!(text.matches("type=\"checkbox\"").count(), 2);
    let fields = [("scope", "transition:generic"), ("decision", "allow")];
    let page = browser.submit(&page, "/oauth/authorize", &fields).await;
    assert!(told(&page, "code").starts_with("cod-"));
    assert_eq!(
        (&*told(&page, "state"), &*told(&page, "iss")),
        ("the state", &*format!("http://localhost:{}", pds.address().port()))
    );

    // It is answered once.
    let page = browser.open(&asked.path).await;
    assert_eq!(page.status(), 400);
    assert!(page.text().contains("This sign-in is over"));
}

#[tokio::test]
async fn saying_no_is_told_to_the_app_at_any_step() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut browser = Browser::new(&pds);
    // While signing in.
    let asked = ask(&pds, SCOPES, &[]).await;
    let page = browser.open(&asked.path).await;
    let page = led(&mut browser, &page).await;
    let page = browser.submit(&page, "/oauth/authorize", &[("decision", "deny")]).await;
    assert_eq!((&*told(&page, "error"), &*told(&page, "state"), &*told(&page, "code")), ("access_denied", "the state", ""));
    // When asked.
    browser.sign_in("alice.test", &alice.password).await.leads_to();
    let asked = ask(&pds, SCOPES, &[("response_mode", "fragment")]).await;
    let page = browser.open(&asked.path).await.good();
    let page = browser.submit(&page, "/oauth/authorize", &[("decision", "deny"), ("scope", "transition:generic")]).await;
    assert!(page.leads_to().starts_with(&format!("{REDIRECT}#iss=")) && page.leads_to().contains("error=access_denied"));
}

#[tokio::test]
async fn what_the_app_wants_shown_is_shown() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let mut browser = Browser::new(&pds);

    // Nobody is signed in.
    let asked = ask(&pds, SCOPES, &[("prompt", "none")]).await;
    assert_eq!(told(&browser.open(&asked.path).await, "error"), "login_required");
    let asked = ask(&pds, SCOPES, &[("prompt", "create")]).await;
    assert!(browser.open(&asked.path).await.leads_to().starts_with("/account/sign-up?next=%2Foauth%2Fauthorize"));

    // One is.
    browser.sign_in("alice.test", &alice.password).await.leads_to();
    let asked = ask(&pds, SCOPES, &[]).await;
    assert!(browser.open(&asked.path).await.good().text().contains("Let localhost use your account?"));
    let asked = ask(&pds, SCOPES, &[("prompt", "none")]).await;
    assert_eq!(told(&browser.open(&asked.path).await, "error"), "consent_required");
    let asked = ask(&pds, SCOPES, &[("prompt", "none"), ("login_hint", "bob.test")]).await;
    assert_eq!(told(&browser.open(&asked.path).await, "error"), "login_required");
    let asked = ask(&pds, SCOPES, &[("prompt", "select_account")]).await;
    assert!(browser.open(&asked.path).await.good().text().contains("Choose an account"));
    // The password is asked for again, once.
    pds.clock().shift_micros(1_000_000);
    let asked = ask(&pds, SCOPES, &[("prompt", "login")]).await;
    let page = browser.open(&asked.path).await;
    let page = led(&mut browser, &page).await;
    assert!(page.path.starts_with("/account/sign-in?") && page.text().contains("value=\"alice.test\""));
    let fields = [("identifier", "alice.test"), ("password", &*alice.password)];
    let page = browser.submit(&page, "/account/sign-in", &fields).await;
    assert!(led(&mut browser, &page).await.text().contains("Let localhost use your account?"));

    // Two are.
    browser.sign_in("bob.test", &bob.password).await.leads_to();
    let asked = ask(&pds, SCOPES, &[("prompt", "none")]).await;
    assert_eq!(told(&browser.open(&asked.path).await, "error"), "account_selection_required");
    let asked = ask(&pds, SCOPES, &[]).await;
    let page = browser.open(&asked.path).await.good();
    assert!(page.text().contains("Choose an account") && page.text().contains("Use another account"));
    let page = browser.open(&format!("{}&account={}", asked.path, alice.did)).await.good();
    assert!(page.text().contains(&format!("name=\"account\" value=\"{}\"", alice.did)));
    let asked = ask(&pds, SCOPES, &[("login_hint", &bob.did)]).await;
    let page = browser.open(&asked.path).await.good();
    assert!(page.text().contains(&format!("name=\"account\" value=\"{}\"", bob.did)));

    // After a week the password is asked for in any case.
    pds.clock().shift_micros(8 * 24 * 3600 * 1_000_000);
    let asked = ask(&pds, SCOPES, &[]).await;
    assert_eq!(browser.open(&format!("{}&account={}", asked.path, alice.did)).await.status(), 303);
}

#[tokio::test]
async fn someone_signs_up_on_the_way_to_an_app() {
    let pds = TestPds::start().await;
    let mut browser = Browser::new(&pds);
    let asked = ask(&pds, "atproto", &[("prompt", "create")]).await;
    let page = browser.open(&asked.path).await;
    let page = led(&mut browser, &page).await;
    let fields = [("handle", "carol"), ("email", "carol@example.com"), ("password", "carol-password")];
    let page = browser.submit(&page, "/account/sign-up", &fields).await;
    let page = led(&mut browser, &page).await;
    assert!(page.text().contains("Let localhost use your account?") && page.text().contains("carol.test"));
    // Signing in is all that is asked: there is nothing to untick.
    assert!(!page.text().contains("type=\"checkbox\"") && !page.text().contains("Untick"));
    let page = browser.submit(&page, "/oauth/authorize", &[("decision", "allow")]).await;
    assert!(told(&page, "code").starts_with("cod-"));
}

#[tokio::test]
async fn a_request_belongs_to_the_browser_that_opened_it() {
    let pds = TestPds::start().await;
    let (alice, mallory) = (pds.create_account("alice").await, pds.create_account("mallory").await);
    let (mut victim, mut attacker) = (Browser::new(&pds), Browser::new(&pds));
    victim.sign_in("alice.test", &alice.password).await.leads_to();
    attacker.sign_in("mallory.test", &mallory.password).await.leads_to();
    let asked = ask(&pds, SCOPES, &[]).await;
    attacker.open(&asked.path).await.good();
    let page = victim.open(&asked.path).await;
    assert_eq!(page.status(), 400);
    assert!(page.text().contains("This sign-in began elsewhere"));
    // Also when the form is sent without the page.
    let other = ask(&pds, SCOPES, &[]).await;
    let page = victim.open(&other.path).await.good();
    let mut form = page.hidden_fields("/oauth/authorize");
    for field in &mut form {
        if field.0 == "request_uri" {
            field.1.clone_from(&asked.request_uri);
        }
    }
    form.push(("decision".to_owned(), "allow".to_owned()));
    assert_eq!(victim.post("/oauth/authorize", &form).await.status(), 400);
}

#[tokio::test]
async fn only_who_is_signed_in_answers_for_an_account() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let mut browser = Browser::new(&pds);
    browser.sign_in("alice.test", &alice.password).await.leads_to();
    let asked = ask(&pds, SCOPES, &[]).await;
    let page = browser.open(&asked.path).await.good();
    let mut form = page.hidden_fields("/oauth/authorize");
    form.push(("decision".to_owned(), "allow".to_owned()));
    for field in &mut form {
        if field.0 == "account" {
            field.1.clone_from(&bob.did);
        }
    }
    // Led back, to who may.
    assert!(browser.post("/oauth/authorize", &form).await.leads_to().starts_with("/oauth/authorize?"));
    // Without a token nothing is said, neither yes nor no.
    form.retain(|(name, _)| name != "csrf");
    assert_eq!(browser.post("/oauth/authorize", &form).await.status(), 403);
    // Who has signed out meanwhile cannot say yes.
    let home = browser.open("/account").await.good();
    let page = browser.open(&asked.path).await.good();
    let mut form = page.hidden_fields("/oauth/authorize");
    form.push(("decision".to_owned(), "allow".to_owned()));
    browser.submit(&home, "/account/sign-out", &[]).await.leads_to();
    let fresh = browser.open("/account/sign-in").await.good();
    form[0] = fresh.hidden_fields("/account/sign-in").remove(0);
    let page = browser.post("/oauth/authorize", &form).await;
    assert!(page.leads_to().starts_with("/oauth/authorize?"));
    assert!(browser.follow(&page).await.leads_to().starts_with("/account/sign-in?"));
}

#[tokio::test]
async fn a_link_that_is_no_good_says_what_to_do() {
    let pds = TestPds::start().await;
    let mut browser = Browser::new(&pds);
    let asked = ask(&pds, SCOPES, &[]).await;
    let unknown = asked.path.replace("req-", "req-0000");
    for (path, title) in [
        ("/oauth/authorize", "This link is not complete"),
        ("/oauth/authorize?client_id=https%3A%2F%2Fapp.example%2Fmeta.json", "This link is not complete"),
        (&*unknown, "This sign-in is over"),
        (&*asked.path.replace("client_id=http", "client_id=https"), "This link is not complete"),
    ] {
        let page = browser.open(path).await;
        assert_eq!(page.status(), 400, "{path}");
        assert!(page.text().contains(title), "{path}: {}", page.text());
    }
    pds.clock().shift_micros(6 * 60 * 1_000_000);
    assert!(browser.open(&asked.path).await.text().contains("This sign-in is over"));
}

/// The code in the latest mail to an address.
async fn mailed_code(pds: &TestPds, to: &str) -> String {
    let request = pds.anonymous().request("GET", &format!("/_dev/mail?format=json&to={to}"));
    let mails = pds.anonymous().send(request).await.good().json();
    mails["mails"].as_array().unwrap().iter().find_map(|mail| mail["code"].as_str()).unwrap().to_owned()
}

#[tokio::test]
async fn a_second_factor_is_asked_for_after_the_password() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    // Codes by mail take an address that was confirmed.
    alice.post_nothing("com.atproto.server.requestEmailConfirmation").await.good();
    let code = mailed_code(&pds, "alice@example.com").await;
    alice.post("com.atproto.server.confirmEmail", &json!({ "email": "alice@example.com", "token": code })).await.good();
    let body = json!({ "email": "alice@example.com", "emailAuthFactor": true });
    let reply = alice.post("com.atproto.server.updateEmail", &body).await;
    if reply.status != 200 {
        alice.post_nothing("com.atproto.server.requestEmailUpdate").await.good();
        let code = mailed_code(&pds, "alice@example.com").await;
        let body = json!({ "email": "alice@example.com", "emailAuthFactor": true, "token": code });
        alice.post("com.atproto.server.updateEmail", &body).await.good();
    }

    let asked = ask(&pds, SCOPES, &[]).await;
    let mut browser = Browser::new(&pds);
    let page = browser.open(&asked.path).await;
    let page = led(&mut browser, &page).await;
    let fields = [("identifier", "alice.test"), ("password", &*alice.password)];
    let page = browser.submit(&page, "/account/sign-in", &fields).await.good();
    assert!(page.text().contains("One more step") && page.text().contains("A code is on its way"));
    // The password alone opens nothing.
    assert!(browser.open("/account").await.leads_to().starts_with("/account/sign-in"));
    let wrong = browser.submit(&page, "/account/sign-in/code", &[("code", "AAAAA-AAAAA")]).await;
    assert_eq!(wrong.status(), 401);
    // What the form carries along is of use in this browser only, and not for long.
    let mut stranger = Browser::new(&pds);
    let theirs = stranger.open("/account/sign-in").await;
    let mut form = page.hidden_fields("/account/sign-in/code");
    form[0] = theirs.hidden_fields("/account/sign-in").remove(0);
    let code = mailed_code(&pds, "alice@example.com").await;
    form.push(("code".to_owned(), code.clone()));
    assert!(stranger.post("/account/sign-in/code", &form).await.leads_to().starts_with("/account/sign-in?"));
    let page = browser.submit(&wrong, "/account/sign-in/code", &[("code", &*code)]).await;
    assert!(led(&mut browser, &page).await.text().contains("Let localhost use your account?"));
}
