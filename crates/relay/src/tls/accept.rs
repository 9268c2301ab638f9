//! How a connection begins: the client's first message says for which name, and whether it is the authority that asks.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{Acceptor as HelloReader, ResolvesServerCert};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::Certificates;
use super::challenges::{ACME_TLS, Challenges};
use super::orders::Orders;

/// Handshakes under way at once; further connections wait for their turn.
const MAX_HANDSHAKES: usize = 1024;
/// Connections that wait at once for a certificate to be ordered; further ones are refused.
const MAX_WAITING: usize = 64;
/// How long a connection waits for a certificate that is being ordered.
const ORDER_PATIENCE: Duration = Duration::from_secs(20);

/// Begins TLS on connections.
#[derive(Debug)]
pub(crate) struct Acceptor {
    certificates: Arc<Certificates>,
    orders: Option<Arc<Orders>>,
    ordinary: Arc<ServerConfig>,
    challenge: Arc<ServerConfig>,
    timeout: Duration,
    handshakes: Semaphore,
    waiting: Semaphore,
}

impl Acceptor {
    pub(super) fn new(certificates: Arc<Certificates>, orders: Option<Arc<Orders>>, timeout: Duration) -> Self {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Certificates>::clone(&certificates);
        let ordinary = server_config(resolver, &[b"h2", b"http/1.1"]);
        let challenges = orders.as_ref().map_or_else(Arc::<Challenges>::default, |orders| orders.challenges());
        let challenge = server_config(challenges, &[ACME_TLS]);
        Self {
            certificates,
            orders,
            ordinary,
            challenge,
            timeout,
            handshakes: Semaphore::new(MAX_HANDSHAKES),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Does the handshake; `None` when there is none, or nothing to say after it.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let hello = self.bounded(LazyConfigAcceptor::new(HelloReader::default(), stream)).await?;
        let name = hello.client_hello().server_name().map(str::to_ascii_lowercase);
        if hello.client_hello().alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == ACME_TLS)) {
            // The authority looks at the certificate and goes.
            self.bounded(hello.into_stream(Arc::clone(&self.challenge))).await;
            return None;
        }
        if let (Some(orders), Some(name)) = (&self.orders, name)
            && self.certificates.find(&name).is_none()
            // With all places taken it goes on, and is refused for want of a certificate.
            && let Ok(_place) = self.waiting.try_acquire()
        {
            drop(tokio::time::timeout(ORDER_PATIENCE, orders.obtain(&name)).await);
        }
        self.bounded(hello.into_stream(Arc::clone(&self.ordinary))).await
    }

    /// Waits for a turn and for a part of a handshake, within the time that a client has.
    async fn bounded<T>(&self, part: impl Future<Output = std::io::Result<T>>) -> Option<T> {
        let done = tokio::time::timeout(self.timeout, async {
            let _turn = self.handshakes.acquire().await.expect("the turns are never closed");
            part.await
        });
        match done.await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(err)) => {
                tracing::debug!(error = &err as &dyn std::error::Error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake was given up, since the client took too long");
                None
            }
        }
    }
}

fn server_config(resolver: Arc<dyn ResolvesServerCert>, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}
