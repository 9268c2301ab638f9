//! Resolving DIDs: did:plc through the directory, did:web at its host.
//!
//! Spec: <https://atproto.com/specs/did>

use std::sync::Arc;
use std::time::Duration;

use common::{Clock, Did};
use http::StatusCode;
use url::Url;

use super::ResolveError;
use super::document::{DidDocument, MAX_DOCUMENT_BYTES};
use super::http::HttpClient;
use super::lookups::{CacheOptions, Lookups};
use super::plc::{PlcClient, says_unavailable};

/// Resolves DIDs, and remembers.
#[derive(Debug, Clone)]
pub struct DidResolver {
    lookups: Arc<Lookups<Did, Arc<DidDocument>, ResolveError>>,
}

impl DidResolver {
    /// `guarded` fetches did:web documents; with `allow_local`, those of localhost over plain http. A resolution takes `timeout`
    /// at most.
    pub fn new(
        plc: PlcClient,
        guarded: HttpClient,
        allow_local: bool,
        timeout: Duration,
        options: CacheOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let ask = move |did: Did| {
            let (plc, guarded) = (plc.clone(), guarded.clone());
            async move {
                let fetched = tokio::time::timeout(timeout, fetch(&plc, &guarded, allow_local, &did)).await;
                fetched.unwrap_or(Err(ResolveError::Slow(did))).map(Arc::new)
            }
        };
        Self { lookups: Lookups::new(options, clock, ask) }
    }

    /// Returns the document of a DID, from memory when it is fresh enough.
    pub async fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, ResolveError> {
        self.lookups.get(did).await
    }

    /// Returns the document of a DID as it is now.
    pub async fn refresh(&self, did: &Did) -> Result<Arc<DidDocument>, ResolveError> {
        self.lookups.refresh(did).await
    }

    /// Forgets a document that this server has just changed.
    pub fn forget(&self, did: &Did) {
        self.lookups.forget(did);
    }
}

async fn fetch(plc: &PlcClient, guarded: &HttpClient, allow_local: bool, did: &Did) -> Result<DidDocument, ResolveError> {
    let reply = if did.is_plc() {
        if !did.is_valid_plc() {
            return Err(ResolveError::DidNotFound(did.clone()));
        }
        plc.document(did).await?
    } else if did.is_web() {
        let url = web_url(did, allow_local).ok_or_else(|| ResolveError::Unsupported(did.clone()))?;
        guarded.get_json(&url, MAX_DOCUMENT_BYTES).await?
    } else {
        return Err(ResolveError::Unsupported(did.clone()));
    };
    match reply.status {
        StatusCode::OK => {
            DidDocument::parse(did, &reply.body).map_err(|source| ResolveError::Document { did: did.clone(), source })
        }
        // The public directory's program answers 404 for a DID that ended, and only its message tells.
        StatusCode::NOT_FOUND if did.is_plc() && says_unavailable(&reply.body) => {
            Err(ResolveError::DidDeactivated(did.clone()))
        }
        StatusCode::NOT_FOUND => Err(ResolveError::DidNotFound(did.clone())),
        StatusCode::GONE => Err(ResolveError::DidDeactivated(did.clone())),
        status => Err(ResolveError::Status { did: did.clone(), status: status.as_u16() }),
    }
}

/// Returns where the document of a did:web is; `None` for one with a path, or that is no host.
fn web_url(did: &Did, allow_local: bool) -> Option<Url> {
    let host = did.identifier();
    if host.contains(':') {
        return None;
    }
    let host = host.replace("%3A", ":").replace("%3a", ":");
    let name = host.split(':').next().unwrap_or_default();
    let scheme = if name == "localhost" && allow_local { "http" } else { "https" };
    let url = Url::parse(&format!("{scheme}://{host}/.well-known/did.json")).ok()?;
    // A host that is written in another way than the URL's own has a user name, a path or escapes in it.
    let same = url.host_str() == Some(name) && url.path() == "/.well-known/did.json" && url.username().is_empty();
    same.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn did_web_names_a_host_and_nothing_else() {
        let url = |did: &str, local| web_url(&did.parse().unwrap(), local).map(|url| url.to_string());
        assert_eq!(url("did:web:example.com", false).unwrap(), "https://example.com/.well-known/did.json");
        assert_eq!(url("did:web:localhost%3A2583", true).unwrap(), "http://localhost:2583/.well-known/did.json");
        assert_eq!(url("did:web:localhost%3A2583", false).unwrap(), "https://localhost:2583/.well-known/did.json");
        assert_eq!(url("did:web:example.com:users:alice", false), None);
        assert_eq!(url("did:web:example.com%2F..", false), None);
        assert_eq!(url("did:web:user%40example.com", false), None);
    }
}
