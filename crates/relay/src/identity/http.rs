//! The one place where HTTP clients are made.
//!
//! [`HttpClients::guarded`] goes to hosts that strangers name (a did:web, a handle, a PDS in a DID document). It opens `https`
//! URLs only and connects to global unicast addresses only: host names pass [`GuardedResolver`], which drops every other address
//! *after* DNS, so that the checked address is the one connected to; literal addresses, which no resolver sees, are checked on
//! the URL. [`HttpClients::trusted`] goes to services that the operator configured, wherever they are.
//!
//! Both follow no redirects, use no proxy of the environment, and trust the roots of Mozilla plus those of the configuration.
//! Where a host has several addresses, the connector (hyper's happy eyeballs) tries the other family when the first fails.
//!
//! **Invariant:** a [`reqwest::Client`] never leaves this file, so no request goes around [`HttpClient::request`], but for those
//! that a library makes to the store that the operator named for backups ([`ObjectStoreClient`]).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use url::{Host, Url};

use crate::identity::address::is_global_unicast;
use crate::identity::dns::{Dns, DnsFailure};
use crate::identity::fetch::{FetchError, looks_like_html};

/// How the PDS introduces itself to other hosts.
const USER_AGENT: &str = concat!("ezpds/", env!("CARGO_PKG_VERSION"));
/// How long a peer may be silent in the middle of a response.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Kept connections are few, for guarded hosts are many and seldom seen again.
const IDLE_PER_HOST: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the HTTP clients could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A configured root certificate is not one.
    #[error("an extra root certificate cannot be used: {0}")]
    RootCertificate(String),
    /// The system refused what every client needs.
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
}

/// What the clients are made from.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Refuses private addresses and plain `http` on [`HttpClients::guarded`]; off only in development and tests.
    pub protect: bool,
    /// How long a whole bounded exchange may take; see [`HttpClient::get_bounded`].
    pub timeout: Duration,
    /// How long until a connection stands, all addresses of the host together.
    pub connect_timeout: Duration,
    /// Root certificates that are trusted besides those of Mozilla.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            protect: true,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            extra_roots: Vec::new(),
        }
    }
}

/// Returns the certificates in a PEM file's text.
///
/// # Errors
///
/// [`ClientError::RootCertificate`] when it holds none, or one that is damaged.
pub fn roots_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let roots = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ClientError::RootCertificate(error.to_string()))?;
    if roots.is_empty() {
        return Err(ClientError::RootCertificate("the file holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// Returns the TLS configuration of outgoing connections: ring, the roots of Mozilla, and `extra_roots`.
///
/// # Errors
///
/// [`ClientError::RootCertificate`] when one of `extra_roots` is not a certificate.
pub fn tls_config(extra_roots: &[CertificateDer<'static>]) -> Result<rustls::ClientConfig, ClientError> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(root.clone()).map_err(|error| ClientError::RootCertificate(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The two clients of the PDS; cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClients {
    /// For hosts that strangers name.
    pub guarded: HttpClient,
    /// For services that the operator configured: PLC directory, crawlers, AppView, S3.
    pub trusted: HttpClient,
}

impl HttpClients {
    /// Makes both clients; host names of the guarded one are resolved by `dns`.
    #[expect(clippy::disallowed_methods, reason = "this is the constructor that the lint points to")]
    pub fn new(options: &HttpOptions, dns: Dns) -> Result<Self, ClientError> {
        let tls = tls_config(&options.extra_roots)?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(USER_AGENT)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .connect_timeout(options.connect_timeout)
                .read_timeout(READ_TIMEOUT)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .pool_idle_timeout(IDLE_TIMEOUT)
        };
        let guarded = builder()
            .https_only(options.protect)
            .dns_resolver(GuardedResolver { dns, protect: options.protect })
            .build()
            .map_err(ClientError::Setup)?;
        let trusted = builder().build().map_err(ClientError::Setup)?;
        let timeout = options.timeout;
        Ok(Self {
            guarded: HttpClient { client: guarded, protect: options.protect, timeout },
            trusted: HttpClient { client: trusted, protect: false, timeout },
        })
    }
}

/// The client of the store for backups, which the operator configured.
#[derive(Debug, Clone)]
pub(crate) struct ObjectStoreClient(reqwest::Client);

impl ObjectStoreClient {
    /// Makes the client.
    #[expect(clippy::disallowed_methods, reason = "this is the file that the lint points to")]
    pub(crate) fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, ClientError> {
        let mut tls = tls_config(extra_roots)?;
        // Stores are slower over one connection than over several.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self(client))
    }
}

impl object_store::client::HttpConnector for ObjectStoreClient {
    fn connect(&self, _: &object_store::ClientOptions) -> object_store::Result<object_store::client::HttpClient> {
        Ok(object_store::client::HttpClient::new(self.0.clone()))
    }
}

/// A client that has checked every URL that it opens.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    protect: bool,
    timeout: Duration,
}

/// A response with its whole body.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl HttpClient {
    /// Makes a client for one service that the operator configured, before there is a server.
    #[cfg(feature = "otel")]
    #[expect(clippy::disallowed_methods, reason = "this is the file that the lint points to")]
    pub(crate) fn for_operator(extra_roots: &[CertificateDer<'static>], timeout: Duration) -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config(extra_roots)?)
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(timeout)
            .pool_max_idle_per_host(1)
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self { client, protect: false, timeout })
    }

    /// Begins a request, for callers that stream; it has a limit on connecting and on silence, but none on the whole.
    ///
    /// # Errors
    ///
    /// [`FetchError::NotHttps`], [`FetchError::PrivateAddress`] and [`FetchError::BadUrl`], before anything is sent.
    pub fn request(&self, method: Method, url: &Url) -> Result<reqwest::RequestBuilder, FetchError> {
        self.check(url)?;
        Ok(self.client.request(method, url.clone()))
    }

    /// Sends a request and returns the response once its head has come, whatever its status.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, FetchError> {
        request.send().await.map_err(|error| FetchError::from_reqwest(&error))
    }

    /// Gets `url` with a body of at most `max_bytes`, within the client's timeout.
    ///
    /// # Errors
    ///
    /// Any [`FetchError`]; a redirect is [`FetchError::Redirect`]. Other statuses are for the caller to judge.
    pub async fn get_bounded(&self, url: &Url, max_bytes: usize) -> Result<Reply, FetchError> {
        let request = self.request(Method::GET, url)?;
        self.exchange(request, max_bytes).await
    }

    /// Gets JSON; a page in place of it (a challenge against bots, a parked domain) is [`FetchError::HtmlPage`].
    pub async fn get_json(&self, url: &Url, max_bytes: usize) -> Result<Reply, FetchError> {
        let request = self.request(Method::GET, url)?.header(http::header::ACCEPT, "application/json, */*;q=0.1");
        let reply = self.exchange(request, max_bytes).await?;
        if looks_like_html(&reply) {
            return Err(FetchError::HtmlPage { url: url.to_string(), status: reply.status });
        }
        Ok(reply)
    }

    /// Posts `body` as JSON and returns an answer of at most `max_bytes`, within the client's timeout.
    pub async fn post_json(&self, url: &Url, body: &(impl Serialize + Sync), max_bytes: usize) -> Result<Reply, FetchError> {
        let request = self.request(Method::POST, url)?.json(body);
        self.exchange(request, max_bytes).await
    }

    /// Sends a request and returns an answer of at most `max_bytes`, within the client's timeout.
    ///
    /// # Errors
    ///
    /// Any [`FetchError`]; a redirect is [`FetchError::Redirect`].
    pub async fn exchange(&self, request: reqwest::RequestBuilder, max_bytes: usize) -> Result<Reply, FetchError> {
        let response = self.send(request.timeout(self.timeout)).await?;
        if response.status().is_redirection() {
            return Err(FetchError::Redirect { url: response.url().to_string(), status: response.status() });
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_bounded(response, max_bytes).await?;
        Ok(Reply { status, headers, body })
    }

    fn check(&self, url: &Url) -> Result<(), FetchError> {
        let Some(host) = url.host() else {
            return Err(FetchError::BadUrl { url: url.to_string(), reason: "it has no host" });
        };
        match url.scheme() {
            "https" => {}
            "http" if !self.protect => {}
            _ => return Err(FetchError::NotHttps { url: url.to_string() }),
        }
        if !self.protect {
            return Ok(());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::BadUrl { url: url.to_string(), reason: "it holds a user name" });
        }
        let address: IpAddr = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
        };
        if is_global_unicast(address) { Ok(()) } else { Err(FetchError::PrivateAddress { host: host.to_string() }) }
    }
}

/// Reads a body of at most `max_bytes`; nothing beyond them is kept in memory.
///
/// # Errors
///
/// [`FetchError::TooLarge`] when there is more, by its own account or in fact.
pub async fn read_bounded(mut response: reqwest::Response, max_bytes: usize) -> Result<Bytes, FetchError> {
    let too_large = |response: &reqwest::Response| FetchError::TooLarge { url: response.url().to_string(), max_bytes };
    if response.content_length().is_some_and(|length| length > max_bytes as u64) {
        return Err(too_large(&response));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::from_reqwest(&error))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(too_large(&response));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// Why a host name gave no address to connect to; found again in the chain of a [`reqwest::Error`].
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum HostFailure {
    #[error("{host} has no address")]
    Unknown { host: String, source: DnsFailure },
    #[error("{host} has private addresses only")]
    Private { host: String },
}

/// Resolves host names to addresses that a stranger may send the PDS to.
struct GuardedResolver {
    dns: Dns,
    protect: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (dns, protect, host) = (self.dns.clone(), self.protect, name.as_str().to_owned());
        Box::pin(async move {
            let mut addresses = match dns.addresses(&host).await {
                Ok(addresses) => addresses,
                Err(source) => return Err(HostFailure::Unknown { host, source }.into()),
            };
            addresses.retain(|address| !protect || is_global_unicast(*address));
            if addresses.is_empty() {
                return Err(HostFailure::Private { host }.into());
            }
            // The connector prefers the family that comes first, and starts with the other one when that does not work out.
            addresses.sort_by_key(IpAddr::is_ipv4);
            // Port 0 stands for the URL's.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
