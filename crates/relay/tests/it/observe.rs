//! What the operator sees and hears: metrics, status, the deep health check, notices.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, Method, Uri};
use relay::config::Pace;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::{ADMIN_PASSWORD, Process, TestPds, relay};

#[tokio::test]
async fn metrics_are_for_the_operator_and_documented() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.create_post("hello").await;
    let anyone = pds.anonymous();
    assert_eq!(anyone.send(anyone.request("GET", "/metrics")).await.status, 401);
    let reply = anyone.send(anyone.request("GET", "/metrics").basic_auth("admin", Some(ADMIN_PASSWORD))).await.good();
    let text = reply.text();
    for line in [
        "relay_accounts{status=\"active\"} 1.0",
        "relay_http_requests_total{route=\"com.atproto.repo.createRecord\",status=\"200\"} 1",
        "relay_http_request_duration_seconds_count{route=\"com.atproto.repo.createRecord\"} 1",
        "relay_firehose_subscribers 0.0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OBSERVE.md")).unwrap();
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(documented.contains(&format!("`{name}")), "docs/OBSERVE.md says nothing of {name}");
    }
}

#[tokio::test]
async fn the_deep_health_check_is_for_the_operator() {
    let pds = TestPds::start().await;
    let anyone = pds.anonymous();
    // A proxy on this machine passes strangers on, and nginx as it comes neither says so nor names the host that they asked.
    let deep = || anyone.request("GET", "/xrpc/_health?deep");
    assert_eq!(anyone.send(deep()).await.status, 401);
    assert_eq!(anyone.send(deep().basic_auth("admin", Some("wrong"))).await.status, 401);
    let reply = anyone.send(deep().basic_auth("admin", Some(ADMIN_PASSWORD))).await.good();
    assert_eq!(reply.json()["ok"], true, "{}", reply.text());
    assert_eq!(reply.json()["checks"].as_array().unwrap().len(), 5);
    let plain = anyone.send(anyone.request("GET", "/xrpc/_health")).await.good();
    assert!(plain.json()["checks"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_is_shown_of_a_server_that_runs() {
    let dir = TempDir::new().unwrap();
    let server = Process::start(dir.path()).await;
    let run = async |args: &[&str]| {
        let mut command = relay(dir.path());
        command.arg("status").args(args).arg("--data-dir").arg(dir.path().join("data"));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let mut deep = relay(dir.path());
    deep.args(["health", "--deep", "--data-dir"]).arg(dir.path().join("data"));
    let deep = tokio::task::spawn_blocking(move || deep.output().unwrap()).await.unwrap();
    let health: Value = serde_json::from_slice(&deep.stdout).unwrap_or_else(|_| panic!("{deep:?}"));
    assert_eq!((&health["ok"], deep.status.code()), (&Value::Bool(true), Some(0)), "{health}");
    let output = run(&["--json"]).await;
    let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(status["accounts"]["active"].as_u64().unwrap() > 0 && status["disk"]["databaseBytes"].as_u64().unwrap() > 0);
    assert!(status["tasks"]["prune events"]["periodSeconds"].as_u64().unwrap() > 0);
    let text = String::from_utf8(run(&[]).await.stdout).unwrap();
    assert!(text.contains("write queue") && text.contains("Background tasks"), "{text}");
    assert_eq!(server.stop().await, Some(0));
    let output = run(&[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No server runs"), "{output:?}");
}

/// What a channel's server was asked.
#[derive(Debug)]
struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Clone)]
struct Calls {
    sender: mpsc::UnboundedSender<Call>,
    /// Answers of failure that are left.
    failures: Arc<Mutex<u32>>,
}

/// Starts a server that is told of notices, and fails the first time.
async fn start_listener() -> (String, mpsc::UnboundedReceiver<Call>) {
    let (sender, calls) = mpsc::unbounded_channel();
    let note = async |State(calls): State<Calls>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let mut failures = calls.failures.lock().unwrap();
        if uri.path() == "/webhook" && *failures > 0 {
            *failures -= 1;
            return http::StatusCode::SERVICE_UNAVAILABLE;
        }
        drop(calls.sender.send(Call { method, path: uri.path().to_owned(), headers, body }));
        http::StatusCode::OK
    };
    let routes = axum::Router::new().fallback(note).with_state(Calls { sender, failures: Arc::new(Mutex::new(1)) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes).into_future());
    (url, calls)
}

async fn next(calls: &mut mpsc::UnboundedReceiver<Call>) -> Call {
    tokio::time::timeout(Duration::from_secs(30), calls.recv()).await.expect("a call comes").unwrap()
}

/// A disk that has less room than the operator wants is told once by each channel, and not again after a restart; that there is
/// room again is told as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_state_is_told_once_by_each_channel() {
    let (url, mut calls) = start_listener().await;
    let floor = Arc::new(Mutex::new(u64::MAX));
    let wanted = Arc::clone(&floor);
    let pds = TestPds::start_with(move |config| {
        config.notices.webhook_url = Some(format!("{url}/webhook").parse().unwrap());
        config.notices.ntfy_url = Some(format!("{url}/ntfy").parse().unwrap());
        config.notices.ntfy_token = Some(relay::config::Secret::new("tk_secret"));
        config.notices.disk_free_below_bytes = *wanted.lock().unwrap();
        config.notices.pace = Pace { look: Duration::from_millis(20), first_retry: Duration::from_millis(20) };
    })
    .await;
    let mut told = [next(&mut calls).await, next(&mut calls).await];
    told.sort_by(|a, b| a.path.cmp(&b.path));
    let [ntfy, webhook] = told;
    assert_eq!((&*ntfy.path, ntfy.method), ("/ntfy", Method::POST));
    assert_eq!(ntfy.headers["authorization"], "Bearer tk_secret");
    assert_eq!(ntfy.headers["title"], "localhost: not well");
    assert!(String::from_utf8_lossy(&ntfy.body).starts_with("The disk of data.dir has only "));
    let body: Value = serde_json::from_slice(&webhook.body).unwrap();
    assert_eq!((&body["topic"], &body["state"]), (&Value::from("disk"), &Value::from("failing")), "{body}");
    assert!(body["remedy"].as_str().unwrap().starts_with("Make room"));

    // The restarted server sees the same, and keeps quiet; then there is room.
    let pds = pds.restart().await;
    *floor.lock().unwrap() = 0;
    let pds = pds.restart().await;
    for _ in 0..2 {
        let call = next(&mut calls).await;
        let text = String::from_utf8_lossy(&call.body).into_owned();
        assert!(text.contains("There is room on the disk again."), "{text}");
    }
    pds.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_mans_switch_is_held_while_all_is_well() {
    let (url, mut calls) = start_listener().await;
    let pds = TestPds::start_with(move |config| {
        config.notices.ping_url = Some(format!("{url}/ping").parse().unwrap());
        config.notices.ping_interval = Duration::from_millis(20);
    })
    .await;
    for _ in 0..2 {
        let call = next(&mut calls).await;
        assert_eq!((&*call.path, call.method), ("/ping", Method::GET));
    }
    pds.stop().await;
}
