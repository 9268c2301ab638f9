//! The pages: what guards them, and signing up, in and out.

use relay::config::Config;

use crate::support::{Browser, BrowserPage, TestPds};

/// The pages that anyone may open.
const OPEN: [&str; 4] = ["/account/sign-in", "/account/sign-up", "/account/forgot-password", "/account/reset-password?sent=1"];

/// Asserts that someone is not signed in.
async fn assert_stranger(browser: &mut Browser) {
    assert_eq!(browser.open("/account").await.leads_to(), "/account/sign-in?next=%2Faccount");
}

#[tokio::test]
async fn signing_in_and_out() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut browser = Browser::new(&pds);

    let page = browser.open("/account").await;
    assert_eq!(page.leads_to(), "/account/sign-in?next=%2Faccount");
    let page = browser.follow(&page).await.good();
    let wrong = [("identifier", "alice.test"), ("password", "wrong")];
    let page = browser.submit(&page, "/account/sign-in", &wrong).await;
    assert_eq!(page.status(), 401);
    assert!(page.text().contains("The name or the password is wrong"));
    // What was typed is there still, but for the password.
    assert!(page.text().contains("value=\"alice.test\"") && !page.text().contains("value=\"wrong\""));

    let right = [("identifier", "@Alice.test"), ("password", &*alice.password)];
    let page = browser.submit(&page, "/account/sign-in", &right).await;
    assert_eq!(page.leads_to(), "/account");
    let page = browser.follow(&page).await.good();
    assert!(page.text().contains("alice.test") && page.text().contains(&alice.did));
    // Who is signed in need not do it again.
    assert_eq!(browser.open("/account/sign-in").await.leads_to(), "/account");

    let page = browser.submit(&page, "/account/sign-out", &[]).await;
    let page = browser.follow(&page).await.good();
    assert!(page.text().contains("You are signed out."));
    assert_stranger(&mut browser).await;
}

#[tokio::test]
async fn whoever_fails_to_sign_in_does_not_learn_why() {
    let pds = TestPds::start().await;
    pds.create_account("alice").await;
    let mut browser = Browser::new(&pds);
    let mut texts = Vec::new();
    for identifier in
        ["alice.test", "nobody.test", "alice@example.com", "nobody@example.com", "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "?"]
    {
        let page = browser.sign_in(identifier, "wrong").await;
        assert_eq!(page.status(), 401, "{identifier}");
        let text = page.text();
        let problem = text.split_once("role=\"alert\"").unwrap().1.split_once("</p>").unwrap().0.to_owned();
        texts.push(problem);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test]
async fn an_app_password_is_no_password_of_a_page() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let body = serde_json::json!({ "name": "an app" });
    let reply = alice.post("com.atproto.server.createAppPassword", &body).await.good().json();
    let page = Browser::new(&pds).sign_in("alice.test", reply["password"].as_str().unwrap()).await;
    assert_eq!(page.status(), 401);
    assert!(page.text().contains("This looks like an app password"));
}

#[tokio::test]
async fn several_accounts_are_signed_in_in_one_browser() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let mut browser = Browser::new(&pds);
    browser.sign_in("alice.test", &alice.password).await.leads_to();
    browser.sign_in("bob.test", &bob.password).await.leads_to();
    let page = browser.open("/account").await.good();
    assert!(page.text().contains(&format!("<code>{}</code>", bob.did)));
    let page = browser.submit(&page, "/account/switch", &[("did", &*alice.did)]).await;
    let page = browser.follow(&page).await.good();
    assert!(page.text().contains(&format!("<code>{}</code>", alice.did)));
    // Signing out leaves the other one.
    browser.submit(&page, "/account/sign-out", &[]).await.leads_to();
    assert!(browser.open("/account").await.good().text().contains(&format!("<code>{}</code>", bob.did)));
}

#[tokio::test]
async fn a_session_that_is_not_to_be_remembered_ends_with_the_day() {
    const HOUR_MICROS: i64 = 3600 * 1_000_000;
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let (mut brief, mut lasting) = (Browser::new(&pds), Browser::new(&pds));
    brief.sign_in("alice.test", &alice.password).await.leads_to();
    let page = lasting.open("/account/sign-in").await;
    let fields = [("identifier", "alice.test"), ("password", &*alice.password), ("remember", "yes")];
    lasting.submit(&page, "/account/sign-in", &fields).await.leads_to();
    pds.clock().shift_micros(11 * HOUR_MICROS);
    brief.open("/account").await.good();
    pds.clock().shift_micros(2 * HOUR_MICROS);
    assert_stranger(&mut brief).await;
    // One that is remembered lasts for as long as it is used.
    for _ in 0..3 {
        pds.clock().shift_micros(80 * 24 * HOUR_MICROS);
        lasting.open("/account").await.good();
    }
    pds.clock().shift_micros(91 * 24 * HOUR_MICROS);
    assert_stranger(&mut lasting).await;
}

#[tokio::test]
async fn a_form_without_its_token_does_nothing() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut browser = Browser::new(&pds);
    let (identifier, password) =
        (("identifier".to_owned(), "alice.test".to_owned()), ("password".to_owned(), alice.password.clone()));
    let next = ("next".to_owned(), "/account".to_owned());
    browser.open("/account/sign-in").await;
    let mut stranger = Browser::new(&pds);
    let page = stranger.open("/account/sign-in").await;
    let foreign = page.hidden_fields("/account/sign-in").into_iter().find(|(name, _)| name == "csrf").unwrap().1;
    for token in [None, Some(String::new()), Some("AAAA".to_owned()), Some("A".repeat(64)), Some(foreign)] {
        let mut form = vec![identifier.clone(), password.clone(), next.clone()];
        form.extend(token.clone().map(|token| ("csrf".to_owned(), token)));
        let page = browser.post("/account/sign-in", &form).await;
        assert_eq!(page.status(), 403, "{token:?}");
        assert!(page.text().contains("This page is out of date"));
    }
    assert_stranger(&mut browser).await;

    // A token is of no use once someone has signed in or out.
    let page = browser.sign_in("alice.test", &alice.password).await;
    let home = browser.follow(&page).await.good();
    let old = home.hidden_fields("/account/sign-out");
    browser.submit(&home, "/account/sign-out", &[]).await.leads_to();
    browser.sign_in("alice.test", &alice.password).await.leads_to();
    assert_eq!(browser.post("/account/sign-out", &old).await.status(), 403);
    browser.open("/account").await.good();
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut browser = Browser::new(&pds);
    let page = browser.sign_in("alice.test", &alice.password).await;
    let home = browser.follow(&page).await.good();
    let body =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(home.hidden_fields("/account/sign-out")).finish();
    let post = |browser: &Browser| {
        browser
            .request("POST", "/account/sign-out")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.clone())
    };
    let foreign: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://localhost.evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site"), ("origin", &pds.url())],
    ];
    for headers in foreign {
        let request = headers.iter().fold(post(&browser), |request, (name, value)| request.header(*name, *value));
        let page = browser.send("/account/sign-out", request).await;
        assert_eq!(page.status(), 403, "{headers:?}");
    }
    browser.open("/account").await.good();
    let request = post(&browser).header("sec-fetch-site", "same-origin");
    browser.send("/account/sign-out", request).await.leads_to();
}

#[tokio::test]
async fn pages_are_not_framed_fetched_kept_or_mixed_with_anything_else() {
    let pds = TestPds::start().await;
    let mut browser = Browser::new(&pds);
    for path in OPEN.into_iter().chain(["/account", "/account/nothing-here"]) {
        let page = browser.open(path).await;
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(page.header("access-control-allow-origin"), "", "{path}");
        let text = page.text();
        assert!(!text.contains("<style") && !text.contains(" style=") && !text.contains("<script>"), "{path}");
        assert!(!text.contains(" onclick=") && !text.contains("//cdn"), "{path}");
    }
    let fetch: &[&[(&str, &str)]] = &[
        &[("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-dest", "object"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-site")],
        &[("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-dest", "image"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-site", "same-site")],
    ];
    for headers in fetch {
        let request = browser.request("GET", "/account/sign-in");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        assert_eq!(browser.send("/account/sign-in", request).await.status(), 403, "{headers:?}");
    }
    let link = browser.request("GET", "/account/sign-in").header("sec-fetch-dest", "document");
    let link = link.header("sec-fetch-mode", "navigate").header("sec-fetch-site", "cross-site");
    assert_eq!(browser.send("/account/sign-in", link).await.status(), 200);
}

#[tokio::test]
async fn there_is_no_page_under_the_name_of_a_handle() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut browser = Browser::new(&pds);
    let paths = OPEN.into_iter().chain(["/account", "/oauth/authorize", "/assets/pages.css"]);
    for (path, host) in paths
        .flat_map(|path| ["alice.test", "alice.test:2583", "evil.example", "localhost.evil.example"].map(|host| (path, host)))
    {
        let request = browser.request("GET", path).header("host", host);
        let page = browser.send(path, request).await;
        assert_eq!(page.status(), 404, "{host}{path}");
        assert!(!page.reply.headers.contains_key("set-cookie") && !page.text().contains("<form"), "{host}{path}");
    }
    let did = browser.request("GET", "/.well-known/atproto-did").header("host", "alice.test");
    assert_eq!(browser.send("/.well-known/atproto-did", did).await.good().text(), alice.did);
}

#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for next in [
        "https://evil.example/",
        "//evil.example/account",
        "/\\evil.example",
        "/account/../../evil",
        "/account//evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/account\r\nlocation: https://evil.example",
        " https://evil.example",
        "/xrpc/com.atproto.server.describeServer",
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
        let mut browser = Browser::new(&pds);
        let page = browser.open(&format!("/account/sign-in?{query}")).await.good();
        let fields = [("identifier", "alice.test"), ("password", &*alice.password)];
        assert_eq!(browser.submit(&page, "/account/sign-in", &fields).await.leads_to(), "/account", "{next:?}");
        // Also when the form was tampered with.
        let mut form = page.hidden_fields("/account/sign-in");
        form.retain(|(name, _)| name != "next");
        form.extend([("next".to_owned(), next.to_owned())]);
        form.extend(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut browser = Browser::new(&pds);
        let page = browser.open("/account/sign-in").await;
        form[0] = page.hidden_fields("/account/sign-in").remove(0);
        assert_eq!(browser.post("/account/sign-in", &form).await.leads_to(), "/account", "{next:?}");
        // And after choosing a language.
        let page = browser.open("/account").await;
        let mut form = page.hidden_fields("/language");
        form.retain(|(name, _)| name != "back");
        form.extend([("back".to_owned(), next.to_owned()), ("language".to_owned(), "de".to_owned())]);
        assert_eq!(browser.post("/language", &form).await.leads_to(), "/account", "{next:?}");
    }
}

/// Who plants a cookie in someone's browser, and so knows it, knows nothing once they have signed in.
#[tokio::test]
async fn a_planted_cookie_is_worth_nothing() {
    let pds = TestPds::start().await;
    let (alice, mallory) = (pds.create_account("alice").await, pds.create_account("mallory").await);
    let mut attacker = Browser::new(&pds);
    attacker.open("/account/sign-in").await;
    let planted = attacker.cookie("device").unwrap().to_owned();
    let mut victim = Browser::new(&pds);
    victim.set_cookie("device", &planted);
    victim.sign_in("alice.test", &alice.password).await.leads_to();
    assert_ne!(victim.cookie("device").unwrap(), planted);
    victim.open("/account").await.good();
    assert_stranger(&mut attacker).await;

    // Nor does signing in under the name of the browser give anything of it, or take anything from it.
    attacker.sign_in("mallory.test", &mallory.password).await.leads_to();
    let page = attacker.open("/account").await.good();
    assert!(page.text().contains("mallory.test") && !page.text().contains("alice.test"));
    assert!(victim.open("/account").await.good().text().contains("alice.test"));

    // The name with another secret is a stranger as well.
    let (id, _) = victim.cookie("device").unwrap().split_once('.').unwrap();
    let forged = format!("{id}.{}", planted.split_once('.').unwrap().1);
    let mut forger = Browser::new(&pds);
    forger.set_cookie("device", &forged);
    assert_stranger(&mut forger).await;

    // Signing out makes the cookie worthless, also a copy of it.
    let mut copy = victim.clone();
    let home = victim.open("/account").await;
    victim.submit(&home, "/account/sign-out", &[]).await.leads_to();
    assert_stranger(&mut copy).await;
}

#[tokio::test]
async fn cookies_are_for_this_server_alone() {
    fn flags(page: &BrowserPage) -> &str {
        page.header("set-cookie").split_once(';').unwrap().1
    }
    let pds = TestPds::start().await;
    let page = Browser::new(&pds).open("/account/sign-in").await;
    assert!(page.header("set-cookie").starts_with("device="));
    assert_eq!(flags(&page), " Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax");

    let pds = TestPds::start_with(|config| {
        let env = [("RELAY_SERVER_PUBLIC_URL".to_owned(), "https://pds.example.com".to_owned())];
        config.server.public_url = Config::load(None, env, &[]).unwrap().config.server.public_url;
    })
    .await;
    let mut browser = Browser::new(&pds);
    let request = browser.request("GET", "/account/sign-in").header("host", "pds.example.com");
    let page = browser.send("/account/sign-in", request).await.good();
    assert!(page.header("set-cookie").starts_with("__Host-device="));
    assert_eq!(flags(&page), " Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(page.header("strict-transport-security"), "max-age=63072000");
    let request = browser.request("GET", "/account").header("host", "pds.example.com");
    let page = browser.send("/account", request).await;
    assert_eq!(page.leads_to(), "https://pds.example.com/account/sign-in?next=%2Faccount");
}

#[tokio::test]
async fn signing_up_with_an_invite_code() {
    let pds = TestPds::start_with(|config| config.accounts.invite_required = true).await;
    let body = serde_json::json!({ "useCount": 1 });
    let reply = pds.admin().post("com.atproto.server.createInviteCode", &body).await.good().json();
    let code = reply["code"].as_str().unwrap().to_owned();
    let mut browser = Browser::new(&pds);
    let page = browser.open("/account/sign-in").await.good();
    assert!(page.text().contains("/account/sign-up?next=%2Faccount"));
    let mut page = browser.open("/account/sign-up?next=%2Faccount").await.good();
    let tries = [
        ("wrong", "carol", "carol@example.com", "carol-password", "This invite code is not good"),
        (&*code, "carol", "carol@example.com", "short", "This password is too short"),
        (&*code, "ca", "carol@example.com", "carol-password", "This handle is too short"),
        (&*code, "ca.rol", "carol@example.com", "carol-password", "A handle has letters"),
        (&*code, "admin", "carol@example.com", "carol-password", "This handle is taken. These are free: admin1.test"),
        (&*code, "carol", "carol", "carol-password", "Mail cannot be sent to this address"),
    ];
    for (invite, handle, email, password, problem) in tries {
        let fields = [("invite", invite), ("handle", handle), ("email", email), ("password", password)];
        page = browser.submit(&page, "/account/sign-up", &fields).await;
        assert_eq!(page.status(), 400, "{problem}");
        assert!(page.text().contains(problem), "{problem}: {}", page.text());
        assert!(!page.text().contains(&format!("value=\"{password}\"")));
    }
    let fields =
        [("invite", &*code), ("handle", "@Carol.test"), ("email", "carol@example.com"), ("password", "carol-password")];
    let done = browser.submit(&page, "/account/sign-up", &fields).await;
    assert_eq!(done.leads_to(), "/account");
    assert!(browser.follow(&done).await.good().text().contains("carol.test"));
    // The account is as one that an app makes.
    let body = serde_json::json!({ "identifier": "carol.test", "password": "carol-password" });
    pds.anonymous().post("com.atproto.server.createSession", &body).await.good();
}

/// The code in the latest mail to an address.
async fn mailed_code(pds: &TestPds, to: &str) -> String {
    let request = pds.anonymous().request("GET", &format!("/_dev/mail?format=json&to={to}"));
    let mails = pds.anonymous().send(request).await.good().json();
    mails["mails"][0]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_with_the_code_from_the_mail() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut elsewhere = Browser::new(&pds);
    elsewhere.sign_in("alice.test", &alice.password).await.leads_to();

    let mut browser = Browser::new(&pds);
    let page = browser.open("/account/forgot-password?next=%2Faccount").await.good();
    let unknown = browser.submit(&page, "/account/forgot-password", &[("email", "nobody@example.com")]).await.leads_to();
    let page = browser.submit(&page, "/account/forgot-password", &[("email", "alice@example.com")]).await;
    // The same whether someone has the address or not.
    assert_eq!(page.leads_to(), unknown);
    let page = browser.follow(&page).await.good();
    let code = mailed_code(&pds, "alice@example.com").await;
    let wrong =
        browser.submit(&page, "/account/reset-password", &[("code", "AAAAA-AAAAA"), ("password", "a new password")]).await;
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().contains("This code is wrong or too old"));
    let page = browser.submit(&page, "/account/reset-password", &[("code", &*code), ("password", "a new password")]).await;
    let page = browser.follow(&page).await.good();
    assert!(page.text().contains("Your new password is set"));

    // Whoever was signed in is no more.
    assert_stranger(&mut elsewhere).await;
    assert_eq!(browser.sign_in("alice.test", &alice.password).await.status(), 401);
    assert_eq!(browser.sign_in("alice.test", "a new password").await.leads_to(), "/account");
}

#[tokio::test]
async fn pages_speak_german_when_asked() {
    let pds = TestPds::start().await;
    let mut browser = Browser::new(&pds);
    browser.language = "de-CH, de;q=0.9, en;q=0.5";
    let page = browser.open("/account/sign-in?next=%2Faccount").await.good();
    assert!(page.text().contains("<html lang=\"de\">") && page.text().contains("<h1>Anmelden</h1>"));
    // By hand, back to the same page.
    let page = browser.submit(&page, "/language", &[("language", "en")]).await;
    assert_eq!(page.leads_to(), "/account/sign-in?next=%2Faccount");
    assert!(browser.follow(&page).await.good().text().contains("<h1>Sign in</h1>"));
    // Errors too.
    browser.set_cookie("language", "de");
    let page = browser.post("/account/sign-in", &[]).await;
    assert_eq!(page.status(), 403);
    assert!(page.text().contains("Diese Seite ist veraltet"));
}

#[tokio::test]
async fn too_many_attempts_get_a_page_that_says_so() {
    let pds = TestPds::start_with(|config| config.limits.rate_limits = true).await;
    let mut browser = Browser::new(&pds);
    let mut last = 0;
    for _ in 0..31 {
        let page = browser.sign_in("alice.test", "wrong").await;
        last = page.status();
        if last == 429 {
            assert!(page.text().contains("Too many attempts to sign in"), "{}", page.text());
            assert!(page.text().contains("<html lang=\"en\">"));
        }
    }
    assert_eq!(last, 429);
    // Pages that refuse as a whole say it as a page too.
    let page = browser.open("/account/forgot-password").await.good();
    for _ in 0..16 {
        let page = browser.submit(&page, "/account/forgot-password", &[("email", "alice@example.com")]).await;
        last = page.status();
        if last == 429 {
            assert!(page.text().contains("<h1>Too many attempts</h1>"));
            assert!(page.reply.headers.contains_key("retry-after"));
        }
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn an_account_that_was_taken_down_is_signed_out_and_told() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut browser = Browser::new(&pds);
    browser.sign_in("alice.test", &alice.password).await.leads_to();
    pds.admin().take_down(&alice.as_subject(), true).await.good();
    assert_stranger(&mut browser).await;
    let page = browser.sign_in("alice.test", &alice.password).await;
    assert_eq!(page.status(), 403);
    assert!(page.text().contains("This account was closed"));
}

#[tokio::test]
async fn the_front_page_is_a_page_for_browsers_and_text_for_others() {
    let pds = TestPds::start().await;
    let mut browser = Browser::new(&pds);
    let page = browser.open("/").await.good();
    assert!(page.header("content-type").starts_with("text/plain") && page.text().contains("/xrpc/"));
    let request = browser.request("GET", "/").header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let page = browser.send("/", request).await.good();
    assert!(page.text().contains("href=\"/account/sign-up\"") && page.header("x-frame-options") == "DENY");
    let page = browser.submit(&page, "/language", &[("language", "de")]).await;
    assert_eq!(page.leads_to(), "/");
    // Under the name of a handle there is no page.
    let request = browser.request("GET", "/").header("accept", "text/html").header("host", "alice.test");
    assert!(browser.send("/", request).await.good().header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn where_there_is_nothing_a_page_says_so() {
    let pds = TestPds::start().await;
    let mut browser = Browser::new(&pds);
    for (path, status) in [("/account/nothing-here", 404), ("/account/sign-out", 405), ("/language", 405)] {
        let page = browser.open(path).await;
        assert_eq!(page.status(), status, "{path}");
        assert!(page.text().contains("There is nothing at this address"), "{path}");
    }
}
