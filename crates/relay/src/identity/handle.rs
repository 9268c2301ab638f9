//! Resolving handles: a DNS record and a file at the host, asked for at once; DNS wins.
//!
//! Spec: <https://atproto.com/specs/handle#handle-resolution>

use std::sync::Arc;
use std::time::Duration;

use common::{Clock, Did, Handle};
use http::StatusCode;
use url::Url;

use super::ResolveError;
use super::dns::{Dns, DnsFailure};
use super::fetch::FetchError;
use super::http::HttpClient;
use super::lookups::{CacheOptions, Lookups};

/// Most bytes of `/.well-known/atproto-did`.
const MAX_BYTES: usize = 4096;

/// Why one of the two ways gave no DID.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HandleFault {
    #[error("no answer in time")]
    Slow,
    #[error("handles under .{0} never resolve")]
    Tld(String),
    #[error("there is no TXT record at {0}")]
    NoRecord(String),
    #[error("the TXT record at {0} does not begin with did=")]
    OtherRecord(String),
    #[error("there are several did= records at {0}; there must be one")]
    SeveralRecords(String),
    #[error(transparent)]
    Dns(DnsFailure),
    #[error(transparent)]
    Fetch(FetchError),
    #[error("{url} answered with status {}", status.as_u16())]
    Status { url: Url, status: StatusCode },
    /// A record or a file that names no account; where it is, and what is wrong with it.
    #[error("{place} does not hold a DID: {problem}")]
    NotADid { place: String, problem: String },
}

/// Resolves handles of other hosts, and remembers for a short while.
#[derive(Debug, Clone)]
pub struct HandleResolver {
    lookups: Arc<Lookups<Handle, Did, ResolveError>>,
    dns: Dns,
    guarded: HttpClient,
    timeout: Duration,
}

impl HandleResolver {
    pub fn new(dns: Dns, guarded: HttpClient, allow_local: bool, timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        let options = CacheOptions {
            capacity: 10_000,
            fresh_for: Duration::from_secs(300),
            max_age: Duration::from_secs(3600),
            absence_for: Duration::from_secs(30),
            failure_for: Duration::from_secs(5),
        };
        let (own_dns, own_guarded) = (dns.clone(), guarded.clone());
        let ask = move |handle: Handle| {
            let (dns, guarded) = (dns.clone(), guarded.clone());
            async move {
                if handle.has_disallowed_tld() && !allow_local {
                    let reason = HandleFault::Tld(handle.tld().to_owned()).to_string();
                    return Err(ResolveError::HandleNotFound { handle, dns: reason.clone(), https: reason });
                }
                let url = format!("https://{handle}/.well-known/atproto-did");
                ask(&dns, &guarded, timeout, &handle, &url).await
            }
        };
        Self { lookups: Lookups::new(options, clock, ask), dns: own_dns, guarded: own_guarded, timeout }
    }

    pub async fn resolve(&self, handle: &Handle) -> Result<Did, ResolveError> {
        self.lookups.get(handle).await
    }

    /// Asks both ways to the end, for someone who sets a handle up.
    pub async fn look(&self, handle: &Handle) -> (Result<Did, HandleFault>, Result<Did, HandleFault>) {
        let slow = |_| Err(HandleFault::Slow);
        let url = format!("https://{handle}/.well-known/atproto-did");
        let by_dns = tokio::time::timeout(self.timeout, by_dns(&self.dns, handle));
        let by_https = tokio::time::timeout(self.timeout, by_https(&self.guarded, &url));
        let (dns, https) = tokio::join!(by_dns, by_https);
        (dns.unwrap_or_else(slow), https.unwrap_or_else(slow))
    }

    /// Asks anew, as when its owner says that the handle was just set up.
    pub async fn refresh(&self, handle: &Handle) -> Result<Did, ResolveError> {
        self.lookups.refresh(handle).await
    }
}

async fn ask(dns: &Dns, guarded: &HttpClient, timeout: Duration, handle: &Handle, url: &str) -> Result<Did, ResolveError> {
    let by_dns = tokio::time::timeout(timeout, by_dns(dns, handle));
    let by_https = tokio::time::timeout(timeout, by_https(guarded, url));
    let (mut by_dns, mut by_https) = (std::pin::pin!(by_dns), std::pin::pin!(by_https));
    // DNS wins, so its answer alone is enough; an answer of the host has to wait for DNS to have none.
    let (said_dns, said_https) = tokio::select! {
        said = by_dns.as_mut() => match said.unwrap_or(Err(HandleFault::Slow)) {
            Ok(did) => return Ok(did),
            Err(reason) => (Err(reason), by_https.await.unwrap_or(Err(HandleFault::Slow))),
        },
        said = by_https.as_mut() => (by_dns.await.unwrap_or(Err(HandleFault::Slow)), said.unwrap_or(Err(HandleFault::Slow))),
    };
    match (said_dns, said_https) {
        (Ok(did), _) | (Err(_), Ok(did)) => Ok(did),
        (Err(dns), Err(https)) => {
            let (dns, https) = (dns.to_string(), https.to_string());
            Err(ResolveError::HandleNotFound { handle: handle.clone(), dns, https })
        }
    }
}

async fn by_dns(dns: &Dns, handle: &Handle) -> Result<Did, HandleFault> {
    let name = format!("_atproto.{handle}");
    let texts = match dns.texts(&name, true).await {
        Ok(texts) => texts,
        Err(DnsFailure::Absent) => return Err(HandleFault::NoRecord(name)),
        Err(DnsFailure::Slow) => return Err(HandleFault::Slow),
        Err(err @ (DnsFailure::BadName | DnsFailure::Failed(_))) => return Err(HandleFault::Dns(err)),
    };
    let mut dids = texts.iter().filter_map(|text| text.trim().strip_prefix("did="));
    match (dids.next(), dids.next()) {
        (None, _) => Err(HandleFault::OtherRecord(name)),
        (Some(_), Some(_)) => Err(HandleFault::SeveralRecords(name)),
        (Some(did), None) => did.parse().map_err(|err| not_a_did(name, &err)),
    }
}

async fn by_https(guarded: &HttpClient, url: &str) -> Result<Did, HandleFault> {
    let url = Url::parse(url).map_err(|err| not_a_did(url.to_owned(), &err))?;
    let reply = guarded.get_bounded(&url, MAX_BYTES).await.map_err(HandleFault::Fetch)?;
    if reply.status != StatusCode::OK {
        return Err(HandleFault::Status { url, status: reply.status });
    }
    let text = String::from_utf8_lossy(&reply.body);
    text.trim().parse().map_err(|err| not_a_did(url.to_string(), &err))
}

fn not_a_did(place: String, problem: &dyn std::fmt::Display) -> HandleFault {
    HandleFault::NotADid { place, problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;
    use crate::identity::test_support::{DnsServer, WebServer, Zone, clients};

    const BY_DNS: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    const BY_HTTPS: &str = "did:plc:z72i7hdynmk6r22z27h6tvur";
    const PATH: &str = "/.well-known/atproto-did";

    /// Asks for `alice.test`, whose host is `router`.
    async fn resolve(zone: Option<Zone>, router: axum::Router) -> Result<Did, String> {
        let server = DnsServer::start(zone.map(|zone| ("_atproto.alice.test", zone))).await;
        let host = WebServer::start(router).await;
        let guarded = clients(&server, false).guarded;
        let (handle, url) = ("alice.test".parse().unwrap(), host.url(PATH));
        let timeout = Duration::from_millis(500);
        let found = ask(&server.dns(), &guarded, timeout, &handle, url.as_str()).await;
        found.map_err(|err| err.to_string().replace(&host.address.to_string(), "host"))
    }

    fn host(answer: &'static str) -> axum::Router {
        axum::Router::new().route(PATH, get(async move || answer))
    }

    #[tokio::test]
    async fn dns_wins_over_the_host() {
        let zone = Zone::texts(&["v=spf1 -all", "did=did:plc:ewvi7nxzyoun6zhxrhs64oiz"]);
        assert_eq!(resolve(Some(zone), host(BY_HTTPS)).await.unwrap(), BY_DNS);
    }

    #[tokio::test]
    async fn a_record_of_several_strings_is_one_text() {
        let zone = Zone::split_text(&["did=did:plc:ewvi7nx", "zyoun6zhxrhs64oiz"]);
        assert_eq!(resolve(Some(zone), axum::Router::new()).await.unwrap(), BY_DNS);
    }

    #[tokio::test]
    async fn without_a_record_the_host_answers() {
        assert_eq!(resolve(None, host("did:plc:z72i7hdynmk6r22z27h6tvur\n")).await.unwrap(), BY_HTTPS);
        assert_eq!(resolve(Some(Zone::texts(&["v=spf1 -all"])), host(BY_HTTPS)).await.unwrap(), BY_HTTPS);
        assert_eq!(resolve(Some(Zone::silent()), host(BY_HTTPS)).await.unwrap(), BY_HTTPS);
    }

    #[tokio::test]
    async fn the_error_says_what_both_answered() {
        let absent = resolve(None, axum::Router::new()).await.unwrap_err();
        assert_eq!(
            absent,
            "alice.test does not resolve: DNS: there is no TXT record at _atproto.alice.test; \
             HTTPS: http://host/.well-known/atproto-did answered with status 404"
        );
        let twice = Zone::texts(&["did=did:web:a.test", "did=did:web:b.test"]);
        let twice = resolve(Some(twice), host("<!doctype html>")).await.unwrap_err();
        assert!(twice.contains("several did= records") && twice.contains("does not hold a DID"), "{twice}");
        let wrong = resolve(Some(Zone::texts(&["did=alice"])), axum::Router::new()).await.unwrap_err();
        assert!(wrong.contains("_atproto.alice.test does not hold a DID"), "{wrong}");
        let slow = axum::Router::new().route(PATH, get(std::future::pending::<()>));
        let slow = resolve(Some(Zone::silent()), slow).await.unwrap_err();
        assert!(slow.ends_with("HTTPS: no answer in time"), "{slow}");
    }

    #[tokio::test]
    async fn an_answer_is_remembered_until_it_is_asked_for_anew() {
        let server = DnsServer::start([("_atproto.alice.test", Zone::texts(&["did=did:plc:ewvi7nxzyoun6zhxrhs64oiz"]))]).await;
        let clock = Arc::new(crate::identity::test_support::TestClock::default());
        let guarded = clients(&server, true).guarded;
        let resolver = HandleResolver::new(server.dns(), guarded, false, Duration::from_secs(3), clock);
        let handle = "alice.test".parse().unwrap();
        assert_eq!(resolver.resolve(&handle).await.unwrap(), BY_DNS);
        let asked = server.asked();
        assert_eq!(resolver.resolve(&handle).await.unwrap(), BY_DNS);
        assert_eq!(server.asked(), asked);
        assert_eq!(resolver.refresh(&handle).await.unwrap(), BY_DNS);
        assert!(server.asked() > asked);

        let never = resolver.resolve(&"laptop.local".parse().unwrap()).await.unwrap_err();
        assert!(never.to_string().contains("handles under .local never resolve"), "{never}");
    }
}
