//! Records of DNS that answer DNS-01 challenges, set through whoever serves the domain.

mod cloudflare;
mod desec;
mod rfc2136;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::Clock;
use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::config::DnsProvider;
use crate::identity::dns::Dns;
use crate::identity::fetch::FetchError;
use crate::identity::http::HttpClient;

/// How long a record may take until it is seen; then the authority is asked all the same.
const PROPAGATION: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Most bytes of a provider's answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A TXT record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Without a dot at its end.
    pub(super) name: String,
    pub(super) value: String,
}

/// Why a record was not set or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DnsError {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("the provider answered {status}: {text}")]
    Refused { status: u16, text: String },
    #[error("the provider has no zone for {0}. Check that the token is for that domain")]
    NoZone(String),
    #[error("the DNS server cannot be reached: {0}")]
    Unreachable(#[source] std::io::Error),
    #[error("the DNS server answered {0}")]
    Rcode(&'static str),
    #[error("{0} cannot be written as a name of DNS")]
    Name(String),
    #[error("the secret of the TSIG key is not base64")]
    Secret,
}

/// Sets and removes TXT records.
trait Provider: Send + Sync {
    /// Adds a record; others of the same name may go.
    fn set<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), DnsError>>;

    /// Removes a record. That it is not there is no failure.
    fn clear<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), DnsError>>;
}

/// Answers challenges through a provider.
pub(super) struct DnsChallenges {
    provider: Box<dyn Provider>,
    dns: Dns,
}

impl DnsChallenges {
    pub(super) fn open(provider: &DnsProvider, http: HttpClient, dns: Dns, clock: Arc<dyn Clock>) -> Result<Self, DnsError> {
        let provider: Box<dyn Provider> = match provider {
            DnsProvider::Rfc2136 { server, zone, key } => {
                Box::new(rfc2136::Rfc2136::new(*server, zone.clone(), key.as_ref(), clock)?)
            }
            DnsProvider::Cloudflare { api, token } => {
                Box::new(cloudflare::Cloudflare { api: api.clone(), token: token.clone(), http })
            }
            DnsProvider::Desec { api, token } => Box::new(desec::Desec { api: api.clone(), token: token.clone(), http }),
        };
        Ok(Self { provider, dns })
    }

    /// Sets a record and waits until it is seen.
    pub(super) async fn set(&self, record: &Record) -> Result<(), DnsError> {
        self.provider.set(record).await?;
        let seen = async {
            while !self.dns.texts(&record.name, true).await.is_ok_and(|texts| texts.contains(&record.value)) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(PROPAGATION, seen).await.is_err() {
            tracing::debug!(name = record.name, "the record of a challenge is not seen from here yet");
        }
        Ok(())
    }

    pub(super) async fn clear(&self, record: &Record) -> Result<(), DnsError> {
        self.provider.clear(record).await
    }
}

/// Returns a name and all that it is below, from the longest on: `a.b.c`, `b.c`.
fn zones_above(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, above)| above)).filter(|name| name.contains('.'))
}

/// Sends a provider's API a request, with a body of JSON where there is one, and returns what it answers.
async fn ask(http: &HttpClient, request: RequestBuilder, body: Option<&Value>) -> Result<Bytes, DnsError> {
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let reply = http.exchange(request, MAX_ANSWER_BYTES).await?;
    if !reply.status.is_success() {
        return Err(DnsError::Refused { status: reply.status.as_u16(), text: excerpt(&reply.body) });
    }
    Ok(reply.body)
}

/// Returns the first part of an answer, for an error.
fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(300).filter(|c| !c.is_control()).collect()
}
