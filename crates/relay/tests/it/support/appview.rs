//! A service that calls are passed on to: an AppView, labeler and feed generator in one, which remembers what it was asked.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use relay::config::{Config, Override, Services};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The DID by which the service takes reports.
pub(crate) const REPORTS: &str = "did:web:reports.example.com";

/// The service, and what it knows.
#[derive(Clone)]
pub(crate) struct AppView {
    address: SocketAddr,
    known: Arc<Known>,
}

#[derive(Default)]
struct Known {
    asked: Mutex<Vec<Asked>>,
    answers: Mutex<HashMap<String, Value>>,
    /// Up to which commit it has seen the repo of whoever asks.
    rev: Mutex<Option<String>>,
}

/// A call that reached the service.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// Returns the names of the headers, in order.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.headers.keys().map(header::HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn token(&self) -> &str {
        self.headers[header::AUTHORIZATION].to_str().unwrap().strip_prefix("Bearer ").unwrap()
    }
}

impl AppView {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let appview = Self { address: listener.local_addr().unwrap(), known: Arc::default() };
        let router = axum::Router::new().fallback(answer).with_state(appview.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        appview
    }

    pub(crate) fn did(&self) -> String {
        format!("did:web:localhost%3A{}", self.address.port())
    }

    /// Returns it as a header names it.
    pub(crate) fn named(&self) -> String {
        format!("{}#bsky_appview", self.did())
    }

    /// Makes it the AppView of a server, and its service for reports.
    pub(crate) fn configure(&self, config: &mut Config) {
        config.services = Services { crawlers: Vec::new(), ..self.services() };
    }

    fn services(&self) -> Services {
        let url = format!("http://{}", self.address);
        let set =
            |path: &str, value: &str| Override { flag: "test".to_owned(), path: path.to_owned(), value: value.to_owned() };
        let overrides = [
            set("server.public_url", "http://localhost:1"),
            set("services.appview_url", &url),
            set("services.appview_did", &self.did()),
            set("services.appview_cdn_url_pattern", "https://cdn.example.com/%s/%s/%s"),
            set("services.report_url", &url),
            set("services.report_did", REPORTS),
        ];
        Config::load(None, [], &overrides).unwrap().config.services
    }

    /// Sets what a method answers from now on.
    pub(crate) fn say(&self, nsid: &str, answer: Value) {
        self.known.answers.lock().unwrap().insert(nsid.to_owned(), answer);
    }

    /// Sets up to which commit it has seen the repo of whoever asks.
    pub(crate) fn has_seen(&self, rev: &str) {
        *self.known.rev.lock().unwrap() = Some(rev.to_owned());
    }

    /// Returns the calls so far, and forgets them.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.known.asked.lock().unwrap())
    }

    /// Returns the one call so far, and forgets it.
    #[track_caller]
    pub(crate) fn asked_once(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }

    fn document(&self) -> Value {
        let endpoint = format!("http://localhost:{}", self.address.port());
        let entry = |id: &str| json!({ "id": format!("#{id}"), "type": "Any", "serviceEndpoint": endpoint });
        json!({ "id": self.did(), "service": [entry("bsky_appview"), entry("other"), entry("bsky_notif")] })
    }
}

async fn answer(State(appview): State<AppView>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let path = parts.uri.to_string();
    let asked =
        Asked { method: parts.method.to_string(), path: path.clone(), headers: parts.headers.clone(), body: body.clone() };
    appview.known.asked.lock().unwrap().push(asked);
    if path == "/.well-known/did.json" {
        return axum::Json(appview.document()).into_response();
    }
    let nsid = parts.uri.path().trim_start_matches("/xrpc/");
    if nsid == "com.example.slow" {
        return std::future::pending().await;
    }
    if nsid.starts_with("com.example.") {
        return odd(nsid, &body);
    }
    let answer = appview.known.answers.lock().unwrap().get(nsid).cloned();
    let mut response = match answer {
        Some(answer) => axum::Json(answer).into_response(),
        None => {
            (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": "NotFound", "message": "no such thing" }))).into_response()
        }
    };
    if let Some(rev) = &*appview.known.rev.lock().unwrap() {
        response.headers_mut().insert("atproto-repo-rev", rev.parse().unwrap());
    }
    response
}

/// The ways of services that are not well.
fn odd(nsid: &str, body: &[u8]) -> Response {
    let error = |status: u16, error: &str| {
        let body = json!({ "error": error, "message": "as it was said", "more": 1 });
        (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
    };
    let endless = |chunks: usize| {
        let chunk = Bytes::from(vec![b' '; 64 << 10]);
        Body::from_stream(futures_util::stream::iter((0..chunks).map(move |_| Ok::<_, Infallible>(chunk.clone()))))
    };
    match nsid.trim_start_matches("com.example.") {
        "echo" => axum::Json(json!({ "bytes": body.len() })).into_response(),
        "headers" => {
            let cookie = [("set-cookie", "a=b"), ("x-powered-by", "x"), ("atproto-content-labelers", "did:web:a.example")];
            (cookie, axum::Json(json!({}))).into_response()
        }
        "refuse" => error(403, "NotForYou"),
        "later" => ([("retry-after", "7")], error(429, "RateLimitExceeded")).into_response(),
        "broken" => error(500, "InternalServerError"),
        "page" => axum::response::Html("<html><script>alert(1)</script></html>").into_response(),
        "errorPage" => (StatusCode::SERVICE_UNAVAILABLE, axum::response::Html("<html>")).into_response(),
        "redirect" => axum::response::Redirect::temporary("/xrpc/com.example.echo").into_response(),
        "hugeAnnounced" => ([("content-length", (20 << 20).to_string())], endless(320)).into_response(),
        "huge" => endless(320).into_response(),
        "slowBody" => Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>()).into_response(),
        _ => error(501, "MethodNotImplemented"),
    }
}
