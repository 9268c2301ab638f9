//! Traces: the real program, built with the feature `otel`, and a real collector that speaks OTLP over HTTP.
//!
//! A process has one log, and with it one set of traces, so each server here is a process.

#![expect(clippy::unwrap_used, reason = "a test panics when what it relies on is not so, helpers included")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, Uri, header};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(30);

/// What the collector was sent.
struct Post {
    headers: HeaderMap,
    body: Bytes,
}

/// Starts what is a collector, and an AppView as well.
async fn start_collector() -> (String, mpsc::UnboundedReceiver<Post>) {
    let (sender, posts) = mpsc::unbounded_channel();
    let answer = async |State(sender): State<mpsc::UnboundedSender<Post>>, uri: Uri, headers: HeaderMap, body: Bytes| {
        if uri.path() == "/v1/traces" {
            drop(sender.send(Post { headers, body }));
            // An answer of OTLP without a word: all was taken.
            ([(header::CONTENT_TYPE, "application/x-protobuf")], Bytes::new())
        } else {
            ([(header::CONTENT_TYPE, "application/json")], Bytes::from_static(b"{\"actors\":[]}"))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer).with_state(sender)).into_future());
    (url, posts)
}

/// A `relay dev`.
struct Server {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Server {
    fn start(settings: &[String]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
        command.args(["dev", "--json-ready", "--bind", "127.0.0.1:0", "--plc-bind", "127.0.0.1:0"]).env_remove("RELAY_CONFIG");
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Some(ready) = line.strip_prefix("READY ") else { panic!("it does not start: {line}") };
        let ready: Value = serde_json::from_str(ready).unwrap();
        Self { child, url: ready["pds"].as_str().unwrap().to_owned(), http: client() }
    }

    async fn sign_in(&self) -> Value {
        let body = json!({ "identifier": "alice.test", "password": "alice-password" });
        let request = self.http.post(format!("{}/xrpc/com.atproto.server.createSession", self.url)).json(&body);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    async fn post(&self, session: &Value, text: &str, traceparent: &str) {
        let record = json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-01-01T00:00:00Z" });
        let body = json!({ "repo": session["did"], "collection": "app.bsky.feed.post", "record": record });
        let request = self.http.post(format!("{}/xrpc/com.atproto.repo.createRecord", self.url)).json(&body);
        let request = request.bearer_auth(session["accessJwt"].as_str().unwrap()).header("traceparent", traceparent);
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// Ends it as a service manager does, and returns what it logged.
    fn stop(mut self) -> String {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let mut log = String::new();
        self.child.stderr.as_mut().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where a test failed before it stopped it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "a test talks to its own server")]
fn client() -> reqwest::Client {
    let tls = relay::identity::http::tls_config(&[]).unwrap();
    reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Returns an attribute as text.
fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    let value = found.and_then(|attribute| attribute.value.as_ref()?.value.clone());
    value.map(|value| format!("{value:?}")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_traces_and_hold_no_secret() {
    let (url, mut posts) = start_collector().await;
    let appview = url.strip_prefix("http://127.0.0.1:").unwrap();
    let server = Server::start(&[
        format!("telemetry.otlp_endpoint={url}"),
        "telemetry.otlp_headers=authorization=Bearer for-the-collector".to_owned(),
        "telemetry.service_name=pds-under-test".to_owned(),
        format!("services.appview_url={url}"),
        format!("services.appview_did=did:web:localhost%3A{appview}"),
    ]);
    let session = server.sign_in().await;
    server.post(&session, "nobody's business", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01").await;
    let proxied = format!("{}/xrpc/app.bsky.actor.searchActors?q=a-private-question", server.url);
    let token = session["accessJwt"].as_str().unwrap();
    server.http.get(&proxied).bearer_auth(token).send().await.unwrap().error_for_status().unwrap();
    server.http.get(format!("{}/a-path-by-a-stranger", server.url)).send().await.unwrap();
    // They come while it runs, not only at its end.
    let first = tokio::time::timeout(PATIENCE, posts.recv()).await.expect("traces come").unwrap();
    // What is left is sent then.
    let log = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    let mut all = vec![first];
    all.extend(std::iter::from_fn(|| posts.try_recv().ok()));

    let mut spans = Vec::new();
    for post in &all {
        assert_eq!(post.headers["authorization"], "Bearer for-the-collector");
        assert_eq!(post.headers["content-type"], "application/x-protobuf");
        for resource in ExportTraceServiceRequest::decode(post.body.clone()).unwrap().resource_spans {
            assert!(format!("{:?}", resource.resource).contains("pds-under-test"));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let [write] = named("com.atproto.repo.createRecord")[..] else { panic!("{spans:#?}") };
    // It is part of its caller's trace, and its steps are part of it.
    assert_eq!(write.trace_id, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes());
    assert_eq!(write.parent_span_id, 0x0123_4567_89ab_cdef_u64.to_be_bytes());
    assert!(attribute(write, "rpc.method").contains("com.atproto.repo.createRecord"), "{write:#?}");
    assert!(attribute(write, "http.response.status_code").contains("IntValue(200)"), "{write:#?}");
    assert!(write.end_time_unix_nano > write.start_time_unix_nano);
    for step in ["wait for the repo", "prepare the commit", "make the commit durable"] {
        let of_write = |span: &&&Span| span.parent_span_id == write.span_id && span.trace_id == write.trace_id;
        assert_eq!(named(step).iter().filter(of_write).count(), 1, "{step}: {spans:#?}");
    }
    // A call that another service answers is a span of its own.
    let searches = named("app.bsky.actor.searchActors");
    let call = searches.iter().find(|span| attribute(span, "server.address").contains("127.0.0.1")).expect("a call");
    assert!(searches.iter().any(|span| span.span_id == call.parent_span_id && span.trace_id == call.trace_id), "{searches:#?}");
    assert_eq!(searches.len(), 2);

    let secrets = [
        token,
        session["refreshJwt"].as_str().unwrap(),
        session["did"].as_str().unwrap(),
        "alice",
        "nobody's business",
        "a-private-question",
        "a-path-by-a-stranger",
        "for-the-collector",
    ];
    for secret in secrets {
        assert!(!all.iter().any(|post| contains(&post.body, secret)), "{secret} is in a trace");
    }
    assert!(!log.contains("make the commit durable") && !log.contains("for-the-collector"), "{log}");
}

/// A collector that is away costs traces and one line in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_holds_nothing_up() {
    // A port that is taken and that nobody listens at.
    let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    taken.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let gone = taken.local_addr().unwrap().as_socket().unwrap();
    let server = Server::start(&[format!("telemetry.otlp_endpoint=http://{gone}")]);
    let session = server.sign_in().await;
    let begun = Instant::now();
    // Longer than a batch waits, so that several are in vain.
    while begun.elapsed() < Duration::from_secs(3) {
        server.post(&session, "hello", "").await;
    }
    let begun = Instant::now();
    let log = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(log.matches("the collector takes no traces").count(), 1, "{log}");
    assert_eq!(log.matches("spans of traces were lost").count(), 1, "{log}");
}
