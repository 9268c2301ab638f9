//! The clients against real sockets: what they refuse, what they bound, and the directory behind the resolver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{Html, Redirect};
use axum::routing::get;
use axum::{Json, Router};
use common::{AtIdentifier, Did, Handle};
use crypto::plc::{Operation, PlcOperation, Service, Tombstone, UnsignedOperation};
use crypto::{Curve, SigningKey};
use http::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use super::did::DidResolver;
use super::dns::{Dns, DnsFailure};
use super::fetch::FetchError;
use super::http::{HttpClients, HttpOptions, roots_from_pem};
use super::lookups::CacheOptions;
use super::test_support::{DnsServer, TestClock, WebServer, Zone, clients};
use super::{PlcClient, PlcClientError, ResolveError};
use crate::plc_directory::{self, PlcStore};

const TIMEOUT: Duration = Duration::from_secs(3);

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

async fn nowhere() -> DnsServer {
    DnsServer::start([]).await
}

#[tokio::test]
async fn the_guarded_client_opens_no_url_of_a_private_address() {
    let guarded = clients(&nowhere().await, true).guarded;
    let private = [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
    ];
    for text in private {
        let err = guarded.get_bounded(&url(text), 100).await.unwrap_err();
        assert!(matches!(err, FetchError::PrivateAddress { .. }), "{text}: {err}");
    }
    for text in ["http://example.com/", "ftp://example.com/"] {
        let err = guarded.get_bounded(&url(text), 100).await.unwrap_err();
        assert!(matches!(err, FetchError::NotHttps { .. }), "{text}: {err}");
    }
    let err = guarded.get_bounded(&url("https://user:password@example.com/"), 100).await.unwrap_err();
    assert!(matches!(err, FetchError::BadUrl { .. }), "{err}");
}

#[tokio::test]
async fn the_guarded_client_drops_private_addresses_that_dns_gives() {
    let server = DnsServer::start([
        ("loopback.test", Zone::addresses(&["127.0.0.1", "::1"])),
        ("metadata.test", Zone::addresses(&["169.254.169.254"])),
        ("mapped.test", Zone::addresses(&["::ffff:10.0.0.1"])),
    ])
    .await;
    let guarded = clients(&server, true).guarded;
    for name in ["loopback.test", "metadata.test", "mapped.test", "localhost"] {
        let err = guarded.get_bounded(&url(&format!("https://{name}/")), 100).await.unwrap_err();
        assert!(matches!(err, FetchError::PrivateAddress { .. }), "{name}: {err}");
    }
    let err = guarded.get_bounded(&url("https://nobody.test/"), 100).await.unwrap_err();
    assert!(matches!(err, FetchError::UnknownHost { .. }), "{err}");
    assert_eq!(err.to_string(), "the host nobody.test was not found: there is no such DNS record");
}

#[tokio::test]
async fn without_protection_local_hosts_answer() {
    let host = WebServer::start(Router::new().route("/", get(async || "hello"))).await;
    let server = DnsServer::start([("local.test", Zone::addresses(&["127.0.0.1"]))]).await;
    let HttpClients { guarded, trusted } = clients(&server, false);
    let by_name = url(&format!("http://local.test:{}/", host.address.port()));
    assert_eq!(guarded.get_bounded(&by_name, 5).await.unwrap().body, "hello");
    assert_eq!(guarded.get_bounded(&host.url("/"), 5).await.unwrap().body, "hello");
    // What the operator configured is reached even where strangers' hosts are not.
    assert_eq!(trusted.get_bounded(&host.url("/"), 5).await.unwrap().status, StatusCode::OK);
    let trusted = clients(&server, true).trusted;
    assert_eq!(trusted.get_bounded(&host.url("/"), 5).await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn ipv4_is_tried_when_ipv6_fails() {
    // Nobody listens on this port of ::1; if the machine has no IPv6 at all, that fails as well.
    let host = WebServer::start(Router::new().route("/", get(async || "hello"))).await;
    let server = DnsServer::start([("both.test", Zone::addresses(&["::1", "127.0.0.1"]))]).await;
    let guarded = clients(&server, false).guarded;
    let reply = guarded.get_bounded(&url(&format!("http://both.test:{}/", host.address.port())), 5).await.unwrap();
    assert_eq!(reply.body, "hello");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let host = WebServer::start(
        Router::new()
            .route("/", get(async || Redirect::temporary("/secret")))
            .route("/secret", get(async || "what only the server should see")),
    )
    .await;
    let guarded = clients(&nowhere().await, false).guarded;
    let err = guarded.get_bounded(&host.url("/"), 100).await.unwrap_err();
    assert!(matches!(err, FetchError::Redirect { status: StatusCode::TEMPORARY_REDIRECT, .. }), "{err}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_by_its_word_and_in_fact() {
    let endless = async || {
        let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[b'x'; 1024])));
        axum::body::Body::from_stream(chunks)
    };
    let host = WebServer::start(
        Router::new()
            .route("/announced", get(async || "x".repeat(1001)))
            .route("/exact", get(async || "x".repeat(1000)))
            .route("/endless", get(endless)),
    )
    .await;
    let guarded = clients(&nowhere().await, false).guarded;
    for path in ["/announced", "/endless"] {
        let err = guarded.get_bounded(&host.url(path), 1000).await.unwrap_err();
        assert!(matches!(err, FetchError::TooLarge { max_bytes: 1000, .. }), "{path}: {err}");
    }
    assert_eq!(guarded.get_bounded(&host.url("/exact"), 1000).await.unwrap().body.len(), 1000);
}

/// Answers each request with `reply` and then does nothing.
async fn stuck_host(reply: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // The first byte is enough to know that the request is on its way.
                stream.read_u8().await.ok();
                stream.write_all(reply).await.ok();
                // Until the client goes away.
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.ok();
            });
        }
    });
    address
}

#[tokio::test]
async fn a_slow_answer_ends_in_a_timeout() {
    let server = nowhere().await;
    let options = HttpOptions { protect: false, timeout: Duration::from_millis(200), ..HttpOptions::default() };
    let guarded = HttpClients::new(&options, server.dns()).unwrap().guarded;
    for reply in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"] {
        let host = stuck_host(reply).await;
        let err = guarded.get_bounded(&url(&format!("http://{host}/")), 1000).await.unwrap_err();
        assert!(matches!(err, FetchError::Timeout { .. }), "{err}");
    }
}

#[tokio::test]
async fn a_closed_port_and_a_host_that_speaks_no_http_are_told_apart() {
    let guarded = clients(&nowhere().await, false).guarded;
    let closed = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap()
    };
    let err = guarded.get_bounded(&url(&format!("http://{closed}/")), 1000).await.unwrap_err();
    assert!(matches!(err, FetchError::Connect { .. }), "{err}");
    let odd = stuck_host(b"SSH-2.0-OpenSSH_9.9\r\n").await;
    let err = guarded.get_bounded(&url(&format!("http://{odd}/")), 1000).await.unwrap_err();
    assert!(matches!(err, FetchError::Interrupted { .. }), "{err}");
    // TLS with a host that speaks HTTP.
    let host = WebServer::start(Router::new()).await;
    let err = guarded.get_bounded(&url(&format!("https://{}/", host.address)), 1000).await.unwrap_err();
    assert!(matches!(err, FetchError::Connect { .. }), "{err}");
}

#[tokio::test]
async fn a_page_in_place_of_data_is_named_as_such() {
    let host = WebServer::start(
        Router::new()
            .route("/typed", get(async || (StatusCode::FORBIDDEN, Html("Just a moment..."))))
            .route("/untyped", get(async || "\n <!DOCTYPE html><title>Parked</title>"))
            .route("/data", get(async || Json(json!({"a": 1})))),
    )
    .await;
    let guarded = clients(&nowhere().await, false).guarded;
    for path in ["/typed", "/untyped"] {
        let err = guarded.get_json(&host.url(path), 1000).await.unwrap_err();
        assert!(matches!(err, FetchError::HtmlPage { .. }), "{path}: {err}");
    }
    assert_eq!(guarded.get_json(&host.url("/data"), 1000).await.unwrap().body, r#"{"a":1}"#);
}

#[test]
fn root_certificates_that_are_none_are_refused() {
    assert!(roots_from_pem(b"").is_err());
    assert!(roots_from_pem(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").is_err());
}

#[tokio::test]
async fn a_name_that_dns_cannot_hold_is_no_panic() {
    let server = nowhere().await;
    let err = server.dns().addresses(&format!("{}.test", "x".repeat(64))).await.unwrap_err();
    assert!(matches!(err, DnsFailure::BadName), "{err}");
}

/// Whichever clock ran out first, the library's or ours, decided what was said.
#[tokio::test]
async fn a_nameserver_that_says_nothing_is_slow() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dns = Dns::new(&[silent.local_addr().unwrap()], Duration::from_millis(20)).unwrap();
    let err = dns.texts("silent.test", true).await.unwrap_err();
    assert!(matches!(err, DnsFailure::Slow), "{err}");
}

// The PLC directory and the resolver.

struct Network {
    plc: PlcClient,
    dids: DidResolver,
    clock: Arc<TestClock>,
    server: DnsServer,
    directory: WebServer,
    _dir: TempDir,
}

impl Network {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(TestClock::default());
        let store = PlcStore::open(&dir.path().join("plc.sqlite"), clock.clone()).unwrap();
        let directory = WebServer::start(plc_directory::router(store)).await;
        let server = nowhere().await;
        let clients = clients(&server, false);
        let plc = PlcClient::new(clients.trusted, &directory.url("/"));
        let dids = DidResolver::new(plc.clone(), clients.guarded, true, TIMEOUT, CacheOptions::default(), clock.clone());
        Self { plc, dids, clock, server, directory, _dir: dir }
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(Curve::K256, &[7; 32]).unwrap()
}

fn operation(handle: &str, prev: Option<&Operation>) -> Operation {
    let did_key = key().verifying_key().to_did_key();
    let pds = Service { r#type: "AtprotoPersonalDataServer".into(), endpoint: "https://pds.test".into() };
    let operation = PlcOperation {
        rotation_keys: vec![did_key.clone()],
        verification_methods: [("atproto".to_owned(), did_key)].into(),
        also_known_as: vec![format!("at://{handle}")],
        services: [("atproto_pds".to_owned(), pds)].into(),
        prev: prev.map(Operation::cid),
    };
    UnsignedOperation::Plc(operation).sign(&key())
}

#[tokio::test]
async fn the_client_and_the_directory_agree() {
    let net = Network::start().await;
    let create = operation("alice.test", None);
    let did = create.derived_did();
    assert!(matches!(net.plc.data(&did).await, Err(PlcClientError::NotFound(_))));
    assert!(matches!(net.dids.resolve(&did).await, Err(ResolveError::DidNotFound(_))));

    net.plc.submit(&did, &create).await.unwrap();
    assert_eq!(net.plc.data(&did).await.unwrap(), create.data(&did).unwrap());
    assert_eq!(net.plc.last_operation(&did).await.unwrap(), create);
    let document = net.dids.refresh(&did).await.unwrap();
    assert_eq!(document.handle().unwrap(), "alice.test");
    assert_eq!(document.pds_endpoint(), Some("https://pds.test"));
    assert_eq!(document.signing_key(), Some(key().verifying_key()));

    // Refused in the directory's words: what it follows is not there.
    let stray = operation("mallory.test", Some(&operation("nobody.test", None)));
    let err = net.plc.submit(&did, &stray).await.unwrap_err();
    assert!(matches!(&err, PlcClientError::Refused { status: 400, message } if message.contains("in force")), "{err}");

    let update = operation("alicia.test", Some(&create));
    net.plc.submit(&did, &update).await.unwrap();
    assert_eq!(net.dids.resolve(&did).await.unwrap().handle().unwrap(), "alice.test");
    assert_eq!(net.dids.refresh(&did).await.unwrap().handle().unwrap(), "alicia.test");

    let end = UnsignedOperation::Tombstone(Tombstone { prev: update.cid() }).sign(&key());
    net.plc.submit(&did, &end).await.unwrap();
    assert!(matches!(net.dids.refresh(&did).await, Err(ResolveError::DidDeactivated(_))));
    assert!(matches!(net.plc.data(&did).await, Err(PlcClientError::Deactivated(_))));
}

#[tokio::test]
async fn a_directory_that_is_down_does_not_take_known_documents_along() {
    let net = Network::start().await;
    let create = operation("alice.test", None);
    let did = create.derived_did();
    net.plc.submit(&did, &create).await.unwrap();
    net.dids.resolve(&did).await.unwrap();

    let Network { directory, clock, dids, .. } = net;
    drop(directory);
    clock.advance(Duration::from_secs(2 * 3600));
    assert!(matches!(dids.refresh(&did).await, Err(ResolveError::Fetch(_))));
    assert_eq!(dids.resolve(&did).await.unwrap().handle().unwrap(), "alice.test");
    clock.advance(Duration::from_secs(23 * 3600));
    assert!(matches!(dids.resolve(&did).await, Err(ResolveError::Fetch(_))));
}

#[tokio::test]
async fn the_directory_may_fail_in_many_ways() {
    let did = operation("alice.test", None).derived_did();
    let server = nowhere().await;
    let trusted = clients(&server, false).trusted;
    let page = async || (StatusCode::BAD_GATEWAY, Html("<html>502"));
    let broken = WebServer::start(Router::new().route("/plc/{did}/data", get(async || "{}")).fallback(page)).await;
    let plc = PlcClient::new(trusted, &broken.url("/plc"));
    assert!(matches!(plc.data(&did).await, Err(PlcClientError::Answer(_))));
    assert!(matches!(plc.last_operation(&did).await, Err(PlcClientError::Fetch(FetchError::HtmlPage { .. }))));
    let err = plc.submit(&did, &operation("alice.test", None)).await.unwrap_err();
    assert!(matches!(err, PlcClientError::Failed { status: 502, .. }), "{err}");
}

#[tokio::test]
async fn a_did_web_of_localhost_is_read_in_development() {
    let net = Network::start().await;
    let document = get(async |headers: http::HeaderMap| {
        let port = headers["host"].to_str().unwrap().rsplit(':').next().unwrap().to_owned();
        Json(json!({"id": format!("did:web:localhost%3A{port}"), "alsoKnownAs": ["at://alice.test"]}))
    });
    let host = WebServer::start(Router::new().route("/.well-known/did.json", document)).await;
    let did: Did = format!("did:web:localhost%3A{}", host.address.port()).parse().unwrap();
    assert_eq!(net.dids.resolve(&did).await.unwrap().handle().unwrap(), "alice.test");

    let empty = WebServer::start(Router::new()).await;
    let absent: Did = format!("did:web:localhost%3A{}", empty.address.port()).parse().unwrap();
    assert!(matches!(net.dids.resolve(&absent).await, Err(ResolveError::DidNotFound(_))));
    let other =
        WebServer::start(Router::new().route("/.well-known/did.json", get(async || r#"{"id":"did:web:a.test"}"#))).await;
    let other: Did = format!("did:web:localhost%3A{}", other.address.port()).parse().unwrap();
    assert!(matches!(net.dids.resolve(&other).await, Err(ResolveError::Document { .. })));

    for odd in ["did:web:localhost:path", "did:key:zQ3sh", "did:web:a%2Fb"] {
        assert!(matches!(net.dids.resolve(&odd.parse().unwrap()).await, Err(ResolveError::Unsupported(_))), "{odd}");
    }
    // With protection, localhost is nowhere to go.
    let guarded = clients(&net.server, true).guarded;
    let dids = DidResolver::new(net.plc.clone(), guarded, false, TIMEOUT, CacheOptions::default(), net.clock.clone());
    assert!(matches!(dids.resolve(&did).await, Err(ResolveError::Fetch(FetchError::PrivateAddress { .. }))));
}

#[tokio::test]
async fn a_resolution_ends_at_its_own_timeout() {
    let stuck = stuck_host(b"").await;
    let server = nowhere().await;
    let HttpClients { guarded, trusted } = clients(&server, false);
    let plc = PlcClient::new(trusted, &url(&format!("http://{stuck}/")));
    let (options, clock) = (CacheOptions::default(), Arc::new(TestClock::default()));
    let dids = DidResolver::new(plc, guarded, true, Duration::from_millis(100), options, clock);
    let err = dids.resolve(&operation("alice.test", None).derived_did()).await.unwrap_err();
    assert!(matches!(err, ResolveError::Slow(_)), "{err}");
}

#[tokio::test]
async fn an_identity_leads_from_the_handle_to_the_did_and_back() {
    let create = operation("alice.test", None);
    let did = create.derived_did();
    let record = format!("did={did}");
    let server = DnsServer::start([
        ("_atproto.alice.test", Zone::texts(&[&record])),
        ("_atproto.impostor.test", Zone::texts(&[&record])),
    ])
    .await;
    let net = Network::start().await;
    net.plc.submit(&did, &create).await.unwrap();
    let identity = super::service::for_tests(&server, &net.directory.url("/"), net.clock.clone());

    let nobody_here = async |_: Handle| None;
    let at = |text: &str| text.parse::<AtIdentifier>().unwrap();
    for name in ["alice.test", did.as_str(), "impostor.test"] {
        let info = identity.resolve_identity(&at(name), false, nobody_here).await.unwrap();
        assert_eq!((&info.did, info.handle.as_str()), (&did, "alice.test"), "{name}");
    }
    // An account here with that handle has another DID, so the document's claim is wrong.
    let other: Did = "did:web:other.test".parse().unwrap();
    let info = identity.resolve_identity(&at(did.as_str()), true, async |_| Some(other.clone())).await.unwrap();
    assert!(info.handle.is_invalid());
    let err = identity.resolve_identity(&at("nobody.test"), true, nobody_here).await.unwrap_err();
    assert!(matches!(err, ResolveError::HandleNotFound { .. }), "{err}");
}
