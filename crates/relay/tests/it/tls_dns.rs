//! DNS-01: one wildcard for all handles, proved by a record that is set through the domain's DNS provider. The providers are
//! stand-ins that put what they are told into the DNS that the certificate authority asks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{Pebble, Quirks, SecurePds, Settings, client, free_port};

const HOST: &str = "pds.example.com";
const ALICE: &str = "alice.pds.example.com";
const CHALLENGE: &str = "_acme-challenge.pds.example.com";

/// Calls of a provider, in order, as `POST /path body`.
type Calls = Arc<Mutex<Vec<String>>>;

#[derive(Clone)]
struct Provider {
    calls: Calls,
    /// Where the authority's DNS server is told what to say.
    dns: String,
}

impl Provider {
    async fn say(&self, value: Option<&str>) {
        let (path, body) = match value {
            Some(value) => ("set-txt", json!({ "host": format!("{CHALLENGE}."), "value": value })),
            None => ("clear-txt", json!({ "host": format!("{CHALLENGE}.") })),
        };
        client(&[], &[]).post(format!("{}/{path}", self.dns)).json(&body).send().await.unwrap();
    }

    fn note(&self, method: &Method, uri: &Uri, body: &[u8]) {
        self.calls.lock().unwrap().push(format!("{method} {uri} {}", String::from_utf8_lossy(body)));
    }
}

async fn cloudflare(
    State(provider): State<Provider>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    provider.note(&method, &uri, &body);
    if headers.get("authorization").is_none_or(|value| value != "Bearer a-token") {
        return (StatusCode::FORBIDDEN, "{\"errors\":[{\"message\":\"Invalid token\"}]}").into_response();
    }
    let ids = |ids: &[&str]| {
        let ids: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        axum::Json(json!({ "success": true, "result": ids })).into_response()
    };
    match (method, uri.path(), uri.query().unwrap_or_default()) {
        (Method::GET, "/v4/zones", "name=example.com") => ids(&["zone1"]),
        (Method::POST, "/v4/zones/zone1/dns_records", _) => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body["type"], &body["name"]), (&json!("TXT"), &json!(CHALLENGE)));
            provider.say(Some(body["content"].as_str().unwrap().trim_matches('"'))).await;
            axum::Json(json!({ "success": true, "result": { "id": "record1" } })).into_response()
        }
        (Method::GET, "/v4/zones/zone1/dns_records", _) => ids(&["record1"]),
        (Method::DELETE, "/v4/zones/zone1/dns_records/record1", _) => {
            provider.say(None).await;
            ids(&[])
        }
        _ => ids(&[]),
    }
}

async fn desec(
    State(provider): State<Provider>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    provider.note(&method, &uri, &body);
    assert_eq!(headers["authorization"], "Token a-token");
    match (method, uri.path()) {
        (Method::GET, "/v4/domains/") => axum::Json(json!([{ "name": "example.com" }])).into_response(),
        (Method::PUT, "/v4/domains/example.com/rrsets/") => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body[0]["type"], &body[0]["subname"]), (&json!("TXT"), &json!("_acme-challenge.pds")));
            provider.say(body[0]["records"][0].as_str().map(|value| value.trim_matches('"'))).await;
            axum::Json(body).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Starts a server whose DNS provider is the stand-in `api`.
async fn start(name: &str, token: &str, api: impl FnOnce(Provider) -> Router) -> (SecurePds, Pebble, Calls) {
    let (http, https) = (free_port(), free_port());
    // The authority finds neither port open.
    let pebble = Pebble::start(free_port(), free_port(), Quirks::default()).await;
    let provider = Provider { calls: Calls::default(), dns: pebble.dns_management() };
    let calls = Arc::clone(&provider.calls);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, api(provider)).into_future());
    let mut settings = SecurePds::settings_for(&pebble);
    settings.extend([
        ("tls.dns_provider", name.to_owned()),
        ("tls.dns_secret", token.to_owned()),
        ("tls.dns_api", format!("http://{address}/v4")),
    ]);
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    (SecurePds::start_at(at(http), at(https), settings).await, pebble, calls)
}

/// Checks that the server has a certificate for its name and one wildcard for all handles.
async fn has_wildcard(pds: &SecurePds, pebble: &Pebble) {
    pds.app().renew_certificates().await;
    assert_eq!(pds.problem("*.pds.example.com"), None);
    let root = pebble.root().await;
    pds.certificate(&root, HOST).await;
    let wildcard = pds.certificate(&root, ALICE).await;
    pds.create_account("alice").await;
    assert_eq!(pds.certificate(&root, ALICE).await, wildcard);
    let names: Vec<_> = pds.app().certificates().into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["*.pds.example.com", HOST]);
}

#[tokio::test]
async fn a_wildcard_comes_through_cloudflare() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, pebble, calls) =
        start("cloudflare", "a-token", |provider| Router::new().fallback(cloudflare).with_state(provider)).await;
    has_wildcard(&pds, &pebble).await;
    let calls = calls.lock().unwrap();
    assert!(calls.last().unwrap().starts_with("DELETE"), "the record goes when it has been seen: {calls:?}");
}

#[tokio::test]
async fn a_wildcard_comes_through_desec() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, pebble, calls) = start("desec", "a-token", |provider| Router::new().fallback(desec).with_state(provider)).await;
    has_wildcard(&pds, &pebble).await;
    assert!(calls.lock().unwrap().last().unwrap().contains("\"records\":[]"));
}

#[tokio::test]
async fn a_provider_that_refuses_is_quoted() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, _pebble, _) =
        start("cloudflare", "not-a-token", |provider| Router::new().fallback(cloudflare).with_state(provider)).await;
    pds.app().renew_certificates().await;
    let problem = pds.problem("*.pds.example.com").unwrap();
    let start = "the DNS record for the challenge could not be set: the provider answered 403: ";
    assert!(problem.starts_with(start) && problem.contains("Invalid token"), "{problem}");
}

#[tokio::test]
async fn a_wildcard_comes_by_dynamic_updates() {
    if !Pebble::is_there() {
        return;
    }
    let pebble = Pebble::start(free_port(), free_port(), Quirks::default()).await;
    let provider = Provider { calls: Calls::default(), dns: pebble.dns_management() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(take_updates(listener, provider));
    let mut settings: Settings = SecurePds::settings_for(&pebble);
    settings.extend([
        ("tls.dns_provider", "rfc2136".to_owned()),
        ("tls.dns_server", server.to_string()),
        ("tls.dns_zone", "example.com".to_owned()),
        ("tls.dns_key_name", "relay-key".to_owned()),
        ("tls.dns_secret", "c2VjcmV0LW9mLWEta2V5".to_owned()),
    ]);
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let pds = SecurePds::start_at(at(free_port()), at(free_port()), settings).await;
    has_wildcard(&pds, &pebble).await;
}

/// Takes updates over TCP: the TXT record of each goes into DNS, or out of it.
async fn take_updates(listener: TcpListener, provider: Provider) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.unwrap();
        // Zone 1, update 1, and the signature.
        assert_eq!(message[2..12], [0x28, 0, 0, 1, 0, 0, 0, 1, 0, 1]);
        assert!(message.windows(9).any(|bytes| bytes == b"relay-key"));
        let owner = CHALLENGE.split('.').fold(Vec::new(), |mut name, label| {
            name.push(u8::try_from(label.len()).unwrap());
            name.extend_from_slice(label.as_bytes());
            name
        });
        let found = message.windows(owner.len()).position(|bytes| bytes == owner).unwrap();
        // After the name: its end, type, class, TTL, length.
        let rest = &message[found + owner.len() + 1..];
        assert_eq!(rest[..2], [0, 16]);
        let class = u16::from_be_bytes([rest[2], rest[3]]);
        let value = &rest[11..11 + usize::from(rest[10])];
        provider.say((class == 1).then(|| std::str::from_utf8(value).unwrap())).await;
        let answer = [message[0], message[1], 0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        stream.write_u16(12).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}
