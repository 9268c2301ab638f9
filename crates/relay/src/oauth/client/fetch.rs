//! Fetches what apps publish: metadata and key sets.

use std::sync::Arc;
use std::time::Duration;

use common::Clock;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use url::Url;

use super::super::OauthError;
use super::{ClientId, ClientKey, Registered, keys, loopback, metadata};
use crate::identity::http::{HttpClient, Reply};
use crate::identity::lookups::{CacheOptions, LookupError, Lookups};

/// Most bytes of metadata, and of a key set. Those of real apps have a few thousand.
const MAX_BYTES: usize = 64 << 10;
const CACHE: CacheOptions = CacheOptions {
    capacity: 500,
    fresh_for: Duration::from_secs(600),
    max_age: Duration::from_secs(24 * 3600),
    // Whoever corrects a mistake wants to see at once whether that was it.
    absence_for: Duration::from_secs(5),
    failure_for: Duration::from_secs(5),
};

/// Why nothing is known of an app, in words for whoever wrote it.
#[derive(Clone, Debug)]
struct Unusable {
    problem: String,
    /// Whether the app's server said so, as opposed to not answering.
    is_certain: bool,
}

impl LookupError for Unusable {
    fn is_absence(&self) -> bool {
        self.is_certain
    }

    fn lost() -> Self {
        Self { problem: "could not be fetched; try again".to_owned(), is_certain: false }
    }
}

/// The apps that were seen lately.
#[derive(Debug)]
pub(crate) struct Clients {
    metadata: Arc<Lookups<Url, Arc<Registered>, Unusable>>,
    keys: Arc<Lookups<Url, Arc<[ClientKey]>, Unusable>>,
    /// Whether metadata may be on this machine.
    plain_hosts: bool,
}

impl Clients {
    /// Fetches with `http`, which must not go to private addresses but in development.
    pub(crate) fn new(http: &HttpClient, clock: &Arc<dyn Clock>, plain_hosts: bool) -> Self {
        let fetch = http.clone();
        let metadata = Lookups::new(CACHE, Arc::clone(clock), move |url: Url| {
            let http = fetch.clone();
            async move {
                let body = get(&http, &url).await?;
                metadata::read(&url, &body).map(Arc::new).map_err(certain)
            }
        });
        let fetch = http.clone();
        let keys = Lookups::new(CACHE, Arc::clone(clock), move |url: Url| {
            let http = fetch.clone();
            async move {
                let body = get(&http, &url).await?;
                let set = serde_json::from_slice(&body).map_err(|_| certain("is not JSON".to_owned()))?;
                keys::read(&set).map(Arc::from).map_err(|problem| certain(problem.to_owned()))
            }
        });
        Self { metadata, keys, plain_hosts }
    }

    /// Returns what is known of the app `client_id`. With `anew`, its metadata are fetched whatever is remembered.
    pub(crate) async fn find(&self, client_id: &str, anew: bool) -> Result<Arc<Registered>, OauthError> {
        match ClientId::parse(client_id, self.plain_hosts)? {
            ClientId::Loopback(url) => loopback::read(client_id, &url).map(Arc::new),
            ClientId::Discoverable(url) => {
                let found = if anew { self.metadata.refresh(&url).await } else { self.metadata.get(&url).await };
                found
                    .map_err(|err| OauthError::invalid_metadata(format!("The metadata of the client at {url} {}", err.problem)))
            }
        }
    }

    /// Returns the keys at `url`.
    pub(super) async fn keys_at(&self, url: &Url, anew: bool) -> Result<Arc<[ClientKey]>, OauthError> {
        let found = if anew { self.keys.refresh(url).await } else { self.keys.get(url).await };
        found.map_err(|err| OauthError::invalid_client(format!("The key set of the client at {url} {}", err.problem)))
    }
}

fn certain(problem: String) -> Unusable {
    Unusable { problem, is_certain: true }
}

async fn get(http: &HttpClient, url: &Url) -> Result<bytes::Bytes, Unusable> {
    let fetched = http.get_json(url, MAX_BYTES).await;
    let Reply { status, headers, body } =
        fetched.map_err(|err| Unusable { problem: format!("could not be fetched: {err}"), is_certain: false })?;
    if status != StatusCode::OK {
        let is_certain = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        return Err(Unusable { problem: format!("could not be fetched: the answer was {status}, not 200"), is_certain });
    }
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type != "application/json" && !media_type.ends_with("+json") {
        return Err(certain(format!("came with the Content-Type \"{media_type}\", not application/json")));
    }
    Ok(body)
}
