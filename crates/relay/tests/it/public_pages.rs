//! What everyone may see: the front page, the status, the operator's texts, and invitations.

use relay::config::{Config, Document};
use serde_json::json;

use crate::support::{Browser, BrowserPage, Served, TestPds, configure, free_port, run, start_plc, verb_json};

const TERMS: &str = "# Our terms\n\nBe **kind**.\n\n## Rules\n\n- No spam\n- See [more](https://example.com/more)\n\n\
                     <script>alert(1)</script> [x](javascript:alert(2))";

impl TestPds {
    async fn invite_code(&self, uses: u32) -> String {
        let body = json!({ "useCount": uses });
        let reply = self.admin().post("com.atproto.server.createInviteCode", &body).await.good().json();
        reply["code"].as_str().unwrap().to_owned()
    }
}

/// Opens a page as a browser does.
async fn open(browser: &mut Browser, path: &str) -> BrowserPage {
    let request = browser.request("GET", path).header("accept", "text/html,*/*;q=0.8");
    browser.send(path, request).await
}

fn by_invite(config: &mut Config) {
    config.accounts.invite_required = true;
}

#[tokio::test]
async fn the_front_page_says_whose_server_it_is_and_who_may_join() {
    let pds = TestPds::start_with(|config| config.server.service_name = "<b>Our</b> server".to_owned()).await;
    let mut browser = Browser::new(&pds);
    let text = open(&mut browser, "/").await.good().text();
    assert!(text.contains("Anyone can make an account.") && text.contains("<code class=\"copy\">localhost</code>"), "{text}");
    assert!(!text.contains("<script") && !text.contains("<b>Our"), "{text}");
    assert!(text.contains("href=\"/status\""));
    let pds = TestPds::start_with(by_invite).await;
    let text = open(&mut Browser::new(&pds), "/").await.good().text();
    assert!(text.contains("By invitation") && text.contains("I have an invite code"));
}

#[tokio::test]
async fn the_status_is_for_everyone_and_tells_little() {
    let pds = TestPds::start().await;
    pds.create_account("alice").await;
    let text = Browser::new(&pds).open("/status").await.good().text();
    assert!(text.contains("The server is up.") && text.contains(env!("CARGO_PKG_VERSION")));
    assert!(!text.contains("Accounts"), "how many there are is told only if the operator wants it");
    let pds = TestPds::start_with(|config| config.server.show_account_count = true).await;
    pds.create_account("alice").await;
    pds.create_account("bob").await;
    let text = Browser::new(&pds).open("/status").await.good().text();
    assert!(text.contains("<dt>Accounts</dt><dd>2</dd>"), "{text}");
}

#[tokio::test]
async fn texts_of_the_operator_are_shown_and_run_nothing() {
    let pds = TestPds::start().await;
    for path in ["/terms", "/privacy"] {
        assert_eq!(Browser::new(&pds).open(path).await.status(), 404, "{path}");
    }
    let pds = TestPds::start_with(|config| {
        let german = "# Regeln\n\nSeid nett.".to_owned();
        let translations = [("de", german)].into();
        config.server.documents.terms = Some(Document { text: TERMS.to_owned(), translations });
    })
    .await;
    let mut browser = Browser::new(&pds);
    let text = browser.open("/terms").await.good().text();
    assert!(text.contains("<h1>Our terms</h1>") && text.contains("<h2>Rules</h2>") && text.contains("<strong>kind</strong>"));
    assert!(text.contains("<a href=\"https://example.com/more\">more</a>"));
    assert!(!text.contains("<script") && !text.contains("href=\"javascript"), "{text}");
    assert!(text.contains("alert(1)"), "it is shown as it stands");
    browser.language = "de";
    let text = browser.open("/terms").await.good().text();
    assert!(text.contains("<h1>Regeln</h1>") && text.contains("<article class=\"card prose\" lang=\"de\">"), "{text}");
}

/// From the files to `describeServer` and the foot of each page.
#[tokio::test]
async fn texts_are_read_from_files_and_linked() {
    let dir = tempfile::TempDir::new().unwrap();
    let plc = start_plc(&dir.path().join("plc.sqlite"), &std::sync::Arc::default()).await;
    let port = free_port();
    configure(dir.path(), port, &format!("http://localhost:{}", plc.port()), "");
    let settings = std::fs::read_to_string(dir.path().join("relay.toml")).unwrap();
    let with = |more: &str| settings.replacen("[server]\n", &format!("[server]\n{more}"), 1);
    std::fs::write(dir.path().join("relay.toml"), with("terms_file = \"missing.md\"\n")).unwrap();
    let refused = run(dir.path(), &["config", "check", "--config", "relay.toml"]).await;
    let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
    assert!(!refused.status.success() && said.contains("server.terms_file") && said.contains("missing.md"), "{said}");

    std::fs::write(dir.path().join("terms.md"), TERMS).unwrap();
    std::fs::write(dir.path().join("privacy.txt"), "We keep your posts.").unwrap();
    std::fs::write(dir.path().join("privacy.de.txt"), "Wir bewahren Ihre Beiträge.").unwrap();
    let both = "terms_file = \"terms.md\"\nprivacy_policy_file = \"privacy.txt\"\n";
    std::fs::write(dir.path().join("relay.toml"), with(both)).unwrap();
    let served = Served::start(dir.path(), port).await;
    let about = served.anonymous().get("com.atproto.server.describeServer", &[]).await.good().json();
    let origin = format!("http://localhost:{port}");
    let links = json!({ "privacyPolicy": format!("{origin}/privacy"), "termsOfService": format!("{origin}/terms") });
    assert_eq!(about["links"], links);
    let client = served.anonymous();
    let get = |path: &str, language: &str| client.send(client.request("GET", path).header("accept-language", language));
    assert!(get("/privacy", "en").await.good().text().contains("We keep your posts."));
    let text = get("/privacy", "de").await.good().text();
    assert!(text.contains("Wir bewahren Ihre Beiträge.") && text.contains(&format!("href=\"{origin}/terms\"")), "{text}");

    // An invitation from the command line, beside the running server and without one.
    let invite = served.verb_json(&["invite", "--uses", "2"]).await;
    assert_eq!((&invite["uses"], &invite["required"]), (&json!(2), &json!(false)));
    let link = format!("{origin}/join/{}", invite["code"].as_str().unwrap());
    assert_eq!(invite["link"], link);
    let text = get(link.strip_prefix(&origin).unwrap(), "en").await.good().text();
    assert!(text.contains("You are invited to"));
    served.stop().await;
    let output = run(dir.path(), &["invite", "--config", "relay.toml"]).await;
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with(&format!("{origin}/join/localhost-")) && printed.lines().count() == 1, "{printed}");
    assert_eq!(verb_json(&run(dir.path(), &["invite", "--json", "--config", "relay.toml"]).await)["uses"], 1);
}

#[tokio::test]
async fn someone_who_is_invited_makes_an_account() {
    let pds = TestPds::start_with(by_invite).await;
    let code = pds.invite_code(1).await;
    let path = format!("/join/{code}");
    let mut browser = Browser::new(&pds);
    let page = browser.open(&path).await.good();
    assert!(page.text().contains("You are invited to") && page.text().contains("<svg class=\"qr\""));
    assert!(!page.text().contains("name=\"invite\""), "the code is in the link");
    let fields = [("handle", "al"), ("email", "alice@example.com"), ("password", "alice-password")];
    let wrong = browser.submit(&page, &path, &fields).await;
    assert!(wrong.status() == 400 && wrong.text().contains("This handle is too short"));
    let fields = [("handle", "alice"), ("email", "alice@example.com"), ("password", "alice-password")];
    let done = browser.submit(&wrong, &path, &fields).await;
    assert_eq!(done.leads_to(), "/account/welcome");
    let welcome = browser.follow(&done).await.good().text();
    assert!(welcome.contains("@alice.test") && welcome.contains("href=\"https://bsky.app/\""), "{welcome}");
    assert!(welcome.contains(&format!("<code class=\"copy\">http://localhost:{}</code>", pds.address().port())));

    // The code is used up, also for who had the page open.
    let late = Browser::new(&pds).open(&path).await;
    assert!(late.status() == 410 && late.text().contains("This invitation is not good"), "{}", late.text());
    let fields = [("handle", "bobby"), ("email", "bob@example.com"), ("password", "bobs-password")];
    let form = wrong.hidden_fields(&path).into_iter().filter(|(name, _)| name != "csrf");
    let csrf = browser.open("/account").await.good().hidden_fields("/language").remove(0);
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let form: Vec<_> = form.chain([csrf]).chain(fields.map(own)).collect();
    let late = browser.post(&path, &form).await;
    assert!(late.status() == 410 && late.text().contains("This invitation is not good"), "{}", late.text());
    let stranger = Browser::new(&pds).open("/account/welcome").await.leads_to();
    assert!(stranger.starts_with("/account/sign-in"), "{stranger}");
}

#[tokio::test]
async fn a_code_that_never_was_looks_like_one_that_is_used_up() {
    let pds = TestPds::start_with(|config| {
        config.accounts.invite_required = true;
        config.limits.rate_limits = true;
    })
    .await;
    let code = pds.invite_code(1).await;
    let body = json!({
        "handle": "alice.test", "email": "alice@example.com", "password": "alice-password", "inviteCode": code,
    });
    pds.anonymous().post("com.atproto.server.createAccount", &body).await.good();
    let mut browser = Browser::new(&pds);
    // The first answer brings the cookie that the token of the others is made from.
    browser.open("/account/sign-in").await.good();
    let mut seen = Vec::new();
    for path in [format!("/join/{code}"), "/join/localhost-aaaaa-bbbbb".to_owned(), format!("/join/{}", "x".repeat(3000))] {
        let page = browser.open(&path).await;
        assert_eq!(page.status(), 410);
        seen.push(page.text().split_once("<main").unwrap().1.split_once("</main>").unwrap().0.to_owned());
    }
    assert!(seen.iter().all(|text| *text == seen[0]));
    for _ in 3..60 {
        browser.open("/join/localhost-aaaaa-bbbbb").await;
    }
    assert_eq!(browser.open("/join/localhost-aaaaa-bbbbb").await.status(), 429);

    // Where nobody needs a code, a bad one is no hindrance.
    let pds = TestPds::start().await;
    assert_eq!(Browser::new(&pds).open("/join/localhost-aaaaa-bbbbb").await.leads_to(), "/account/sign-up");
}
