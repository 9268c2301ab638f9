//! The site of an app, by TLS, with what the app publishes there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use crypto::SigningKey;
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use relay::config::{Config, ExtraRoots};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Where the users of an app are sent back to.
pub(crate) const CALLBACK: &str = "https://app.example.com/callback";

/// What is at a path: status, media type, text. A status of 0 stands for an answer that never comes.
type Pages = Arc<Mutex<HashMap<String, (u16, &'static str, String)>>>;

/// A site on `https://localhost`.
pub(crate) struct AppSite {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    pages: Pages,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Site {
    pages: Pages,
    asked: Arc<Mutex<Vec<String>>>,
}

impl AppSite {
    pub(crate) async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site { pages: Arc::default(), asked: Arc::default() };
        let router = axum::Router::new().fallback(answer).with_state(site.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = TowerToHyperService::new(router);
                    drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { address, certificate, pages: site.pages, asked: site.asked }
    }

    /// Makes a server trust the certificate of this site.
    pub(crate) fn trust(&self) -> impl Fn(&mut Config) + Send + Sync + use<> {
        let certificate = self.certificate.clone();
        move |config| {
            config.network.extra_roots = Some(ExtraRoots { file: "test".into(), certificates: vec![certificate.clone()] });
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    pub(crate) fn put(&self, path: &str, status: u16, media_type: &'static str, text: &str) {
        self.pages.lock().unwrap().insert(path.to_owned(), (status, media_type, text.to_owned()));
    }

    /// Returns how often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }

    /// Publishes the metadata of an app, with changes, and returns its id.
    pub(crate) fn publish(&self, path: &str, changes: &Value) -> String {
        let client_id = self.url(path);
        let mut document = json!({
            "client_id": client_id,
            "client_name": "An App",
            "redirect_uris": [CALLBACK],
            "scope": "atproto transition:generic",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "dpop_bound_access_tokens": true,
            "token_endpoint_auth_method": "none",
        });
        document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.put(path, 200, "application/json", &document.to_string());
        client_id
    }

    /// Publishes the metadata of an app that proves who it is by `key`.
    pub(crate) fn publish_confidential(&self, path: &str, key: &SigningKey, id: &str) -> String {
        self.publish(
            path,
            &json!({
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "ES256",
                "jwks": key_set(key, id),
            }),
        )
    }
}

/// Returns the key set with one key.
pub(crate) fn key_set(key: &SigningKey, id: &str) -> Value {
    let mut jwk = key.verifying_key().to_jwk();
    jwk["kid"] = id.into();
    json!({ "keys": [jwk] })
}

async fn answer(State(site): State<Site>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    site.asked.lock().unwrap().push(path.clone());
    let page = site.pages.lock().unwrap().get(&path).cloned();
    match page {
        Some((0, ..)) => std::future::pending().await,
        Some((status, media_type, text)) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("content-type", media_type), ("location", "/elsewhere")], Body::from(text)).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
