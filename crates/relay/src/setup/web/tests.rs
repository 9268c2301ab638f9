//! The pages over the wire, with a clock that is set.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::{Request, StatusCode, header};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::super::place::Place;
use super::super::work::Setup;
use super::{Door, Web, router};

/// A set-up in a folder of its own, and a browser that looks at it.
struct Visit {
    _dir: tempfile::TempDir,
    app: Arc<Web>,
    token: String,
    cookie: String,
    host: &'static str,
}

impl Visit {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { data_dir: dir.path().join("data"), container: false };
        let setup = Setup::open(place, Vec::new(), Vec::new()).unwrap();
        let mut door = Door::closed();
        let token = door.new_link(common::Clock::millis(&**setup.clock()));
        let app = Arc::new(Web {
            setup: Arc::new(setup),
            door: Arc::new(Mutex::new(door)),
            hosts: vec!["setup.example.com".to_owned()],
            env: Vec::new(),
            install: |_, _| Ok(()),
            ending: watch::channel(None).0,
        });
        Self { _dir: dir, app, token, cookie: String::new(), host: "localhost:2583" }
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> Response {
        let request = request.header(header::HOST, self.host).header(header::COOKIE, &self.cookie);
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 4000))));
        router(&self.app).oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.send(Request::get(path), "").await
    }

    async fn post(&self, path: &str, body: &str) -> Response {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.header(header::ORIGIN, format!("http://{}", self.host)), body).await
    }

    /// Follows the link.
    async fn enter(mut self) -> Self {
        let answer = self.post("/setup/begin", &format!("token={}", self.token)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        self.cookie = cookie.split(';').next().unwrap().to_owned();
        self
    }

    async fn csrf(&self) -> String {
        let page = text(self.get("/setup/name").await).await;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

async fn text(response: Response) -> String {
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_link_opens_the_set_up_once_and_not_for_long() {
    let visit = Visit::new();
    assert!(text(visit.get("/setup").await).await.contains("Open the link that it printed"));
    assert!(text(visit.get("/setup?token=AAAA").await).await.contains("not the one that the server printed"));
    let link = format!("/setup?token={}", visit.token);
    let looked = visit.get(&link).await;
    assert_eq!(looked.status(), StatusCode::OK);
    assert!(looked.headers().get(header::SET_COOKIE).is_none(), "a program that looks at links does not use it up");

    visit.app.setup.clock().shift_micros(29 * 60 * 1_000_000);
    assert_eq!(visit.get(&link).await.status(), StatusCode::OK);
    visit.app.setup.clock().shift_micros(2 * 60 * 1_000_000);
    let late = visit.get(&link).await;
    assert_eq!(late.status(), StatusCode::FORBIDDEN);
    assert!(text(late).await.contains("older than half an hour"));
    assert_eq!(visit.post("/setup/begin", &format!("token={}", visit.token)).await.status(), StatusCode::FORBIDDEN);

    let visit = Visit::new().enter().await;
    let answer = visit.get("/setup").await;
    assert_eq!(answer.headers()[header::LOCATION], "/setup/name");
    let other = Visit { cookie: String::new(), ..visit };
    let used = other.get(&format!("/setup?token={}", other.token)).await;
    assert!(text(used).await.contains("used already"));
    assert_eq!(other.get("/setup/name").await.status(), StatusCode::FORBIDDEN, "without the cookie there is no step");
}

#[tokio::test]
async fn guesses_are_counted() {
    let visit = Visit::new();
    for _ in 0..20 {
        visit.get("/setup?token=AAAA").await;
    }
    let right = visit.get(&format!("/setup?token={}", visit.token)).await;
    assert!(text(right).await.contains("Too many wrong links"));
}

#[tokio::test]
async fn a_name_of_somebody_else_that_leads_here_gets_nothing() {
    let visit = Visit::new().enter().await;
    for host in ["evil.example", "evil.example:2583", "localhost.evil.example"] {
        let visit = Visit { host, ..Visit::new() };
        for path in ["/setup", "/setup/name", "/", "/assets/pages.css", "/xrpc/_health"] {
            let answer = visit.get(path).await;
            assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{host} {path}");
        }
    }
    for host in ["127.0.0.1:2583", "[::1]:2583", "nas.local", "setup.example.com"] {
        let visit = Visit { host, ..Visit::new() };
        let answer = visit.get(&format!("/setup?token={}", visit.token)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{host}");
    }
    drop(visit);
}

#[tokio::test]
async fn forms_come_from_the_page_of_this_browser() {
    let visit = Visit::new().enter().await;
    let csrf = visit.csrf().await;
    let good = format!("csrf={csrf}&host=pds.example.com");
    for body in ["host=pds.example.com", "csrf=&host=pds.example.com", "csrf=AAAA&host=pds.example.com"] {
        assert_eq!(visit.post("/setup/name", body).await.status(), StatusCode::FORBIDDEN, "{body}");
    }
    let form = || Request::post("/setup/name").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let foreign = [
        form().header(header::ORIGIN, "https://evil.example"),
        form().header("sec-fetch-site", "cross-site").header(header::ORIGIN, "http://localhost:2583"),
        form().header("sec-fetch-site", "same-site"),
        form(),
    ];
    for request in foreign {
        assert_eq!(visit.send(request, &good).await.status(), StatusCode::FORBIDDEN);
    }
    let framed = Request::get("/setup/name").header("sec-fetch-dest", "iframe");
    assert_eq!(visit.send(framed, "").await.status(), StatusCode::FORBIDDEN);
    assert!(visit.app.setup.answers().await.host.is_none(), "nothing was taken");
    assert_eq!(visit.post("/setup/name", &good).await.headers()[header::LOCATION], "/setup/dns");
    assert_eq!(visit.app.setup.answers().await.host.as_deref(), Some("pds.example.com"));
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_it_may_do() {
    let visit = Visit::new();
    for path in ["/setup", "/setup?token=x", "/setup/name", "/nothing"] {
        let answer = visit.get(path).await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "same-origin");
    }
}

#[tokio::test]
async fn wrong_names_are_told_in_the_language_of_the_browser() {
    let visit = Visit::new().enter().await;
    let csrf = visit.csrf().await;
    let wrong = visit.post("/setup/name", &format!("csrf={csrf}&host=%22%3Epds")).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let page = text(wrong).await;
    assert!(page.contains("This is not a host name") && page.contains("value=\"&#34;&#62;pds\""), "{page}");
    let german = Request::get("/setup/name").header(header::ACCEPT_LANGUAGE, "de");
    assert!(text(visit.send(german, "").await).await.contains("Wie heißt dein Server?"));
    let later = visit.get("/setup/finish").await;
    assert_eq!(later.headers()[header::LOCATION], "/setup/name", "a step before its time leads to the one that is next");
}
