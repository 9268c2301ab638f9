//! TLS in process: who gets a certificate, where it comes from, and how a connection begins with it.
//!
//! With `tls.mode = "files"` there is one certificate, read again when its files change ([`files`]). With `"auto"` certificates
//! are ordered by ACME ([`orders`] decides, [`acme`] speaks): for the server's own name, and for the handle of an account when
//! the account gets it or when a client asks for that name in its first message (SNI). With a DNS provider ([`dns`]) there
//! is one wildcard for each domain of handles instead.
//!
//! **Invariants:** nothing is ordered for a name that is neither the server's nor an account's ([`entitled`]), so strangers
//! cannot use up what the authority gives. A certificate is replaced by a better one only; while its renewal fails it stays.
//! Handshakes look certificates up anew each time, so no connection ends when one changes.

mod accept;
mod acme;
mod certificates;
mod challenges;
pub(crate) mod dns;
pub(crate) mod entitled;
mod files;
mod orders;
pub(crate) mod proxy_headers;
pub(crate) mod redirect;
mod renewal;

use std::sync::Arc;
use std::time::Duration;

use common::{Clock, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::accept::Acceptor;
use self::certificates::Certificates;
use self::files::Files;
pub(crate) use self::orders::Orders;
use crate::config::{Config, TlsMode};
use crate::identity::Identity;
use crate::secrets::Secrets;
use crate::store::Db;

/// What a certificate is about to do, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// The name, which may begin with `*.`.
    pub name: String,
    /// When the certificate ends, in milliseconds since 1970; `None` while there is none.
    pub not_after: Option<i64>,
    /// Why the last order failed, as sentences; `None` when it did not.
    pub problem: Option<String>,
    /// When the next order is made, in milliseconds since 1970, where the last one failed.
    #[serde(default)]
    pub retry_at: Option<i64>,
    /// Whether the authority, or this server's own bound, gives no more for now, so that there is nothing to mend.
    #[serde(default)]
    pub limited: bool,
}

/// The certificates of the server.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Source);

#[derive(Clone, Debug)]
enum Source {
    /// This server speaks plain HTTP.
    None,
    Files(Arc<Files>),
    Orders(Arc<Orders>),
}

/// Why the certificates could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Files(#[from] files::FilesError),
    #[error("the stored certificates could not be read: {0}")]
    Stored(String),
    #[error("the DNS provider cannot be used: {0}")]
    Dns(String),
}

impl Tls {
    pub(crate) async fn open(
        config: &Config,
        db: &Arc<Db>,
        secrets: &Arc<Secrets>,
        identity: &Identity,
        clock: Arc<dyn Clock>,
        stop: &CancellationToken,
    ) -> Result<Self, OpenError> {
        Ok(Self(match (config.tls.mode, &config.tls.files) {
            (TlsMode::Auto, _) => {
                let parts = orders::Parts {
                    db: Arc::clone(db),
                    secrets: Arc::clone(secrets),
                    identity: identity.clone(),
                    clock,
                    stop: stop.clone(),
                };
                Source::Orders(Orders::open(config, parts).await?)
            }
            (TlsMode::Files, Some(files)) => Source::Files(Arc::new(Files::open(files.clone())?)),
            (TlsMode::Files | TlsMode::Proxy | TlsMode::Off, _) => Source::None,
        }))
    }

    /// Returns what begins TLS on connections; `None` when this server speaks plain HTTP.
    pub(crate) fn acceptor(&self, config: &Config) -> Option<Arc<Acceptor>> {
        let (certificates, orders): (Arc<Certificates>, _) = match &self.0 {
            Source::None => return None,
            Source::Files(files) => (files.certificates(), None),
            Source::Orders(orders) => (orders.certificates(), Some(Arc::clone(orders))),
        };
        Some(Arc::new(Acceptor::new(certificates, orders, config.server.header_timeout)))
    }

    pub(crate) fn orders(&self) -> Option<&Arc<Orders>> {
        match &self.0 {
            Source::Orders(orders) => Some(orders),
            Source::None | Source::Files(_) => None,
        }
    }

    /// Starts what keeps certificates current.
    pub(crate) fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        match &self.0 {
            Source::None => {}
            Source::Files(files) => {
                tracker.spawn(stop.clone().run_until_cancelled_owned(Arc::clone(files).watch()));
            }
            Source::Orders(orders) => {
                tracker.spawn(stop.clone().run_until_cancelled_owned(Arc::clone(orders).keep_current()));
            }
        }
    }

    /// Sees to a certificate for the handle that an account has just got: waits for it for a while, after which it comes in
    /// the background.
    pub(crate) async fn prepare(&self, handle: &Handle) {
        const PATIENCE: Duration = Duration::from_secs(10);
        let Source::Orders(orders) = &self.0 else { return };
        orders.forget_refusal(handle.as_str());
        if tokio::time::timeout(PATIENCE, orders.obtain(handle.as_str())).await.is_err() {
            tracing::info!(%handle, "the certificate of a new handle takes its time; it comes in the background");
        }
    }

    /// Waits until no certificate is being ordered, so that nobody is sent to a name that does not answer yet; for a while.
    pub(crate) async fn settled(&self) {
        const PATIENCE: Duration = Duration::from_secs(60);
        let Source::Orders(orders) = &self.0 else { return };
        drop(tokio::time::timeout(PATIENCE, orders.settled()).await);
    }

    /// Lists the names that certificates are ordered for.
    pub(crate) fn status(&self) -> Vec<CertificateStatus> {
        self.orders().map(|orders| orders.status()).unwrap_or_default()
    }
}
