//! A stand-in for a crawler (a Relay), which counts what it is told and says what it is set to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the crawler is asked, in order: the method and the host that it is about.
type Asked = Vec<(String, String)>;

#[derive(Default)]
struct Shared {
    asked: watch::Sender<Asked>,
    /// How many requests to crawl it still refuses.
    refuses: Mutex<usize>,
    status: Mutex<Value>,
}

pub(crate) struct Crawler {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Crawler {
    pub(crate) async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, shared }
    }

    /// Refuses the next requests to crawl.
    pub(crate) fn refuse(&self, times: usize) {
        *self.shared.refuses.lock().unwrap() = times;
    }

    /// Sets what it says of a host; null when it knows none.
    pub(crate) fn set_status(&self, status: Value) {
        *self.shared.status.lock().unwrap() = status;
    }

    /// Waits until it was asked so often for `method`, and returns the hosts that it was asked about.
    pub(crate) async fn asked(&self, method: &str, times: usize) -> Vec<String> {
        let mut asked = self.shared.asked.subscribe();
        let of =
            |asked: &Asked| asked.iter().filter(|(name, _)| name == method).map(|(_, host)| host.clone()).collect::<Vec<_>>();
        let asked = asked.wait_for(|asked| of(asked).len() >= times).await.unwrap();
        of(&asked)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, body: String) -> Response {
    let method = uri.path().trim_start_matches("/xrpc/").to_owned();
    let host = match serde_json::from_str::<Value>(&body) {
        Ok(body) => body["hostname"].as_str().unwrap().to_owned(),
        Err(_) => uri.query().unwrap_or_default().trim_start_matches("hostname=").to_owned(),
    };
    shared.asked.send_modify(|asked| asked.push((method.clone(), host)));
    if method == "com.atproto.sync.getHostStatus" {
        let status = shared.status.lock().unwrap().clone();
        let unknown = (StatusCode::BAD_REQUEST, Json(json!({ "error": "HostNotFound", "message": "?" })));
        return if status.is_null() { unknown.into_response() } else { Json(status).into_response() };
    }
    let mut refuses = shared.refuses.lock().unwrap();
    if *refuses > 0 {
        *refuses -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    StatusCode::OK.into_response()
}
