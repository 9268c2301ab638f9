//! A client of the PLC directory.
//!
//! API: <https://web.plc.directory/api/redoc>

use common::Did;
use crypto::plc::{DidData, Operation, Service};
use http::StatusCode;
use serde::Deserialize;
use url::Url;

use super::fetch::FetchError;
use super::http::{HttpClient, Reply};

/// Most bytes of an answer about one DID; a log of a hundred operations has about this much.
const MAX_BYTES: usize = 1 << 20;

/// Speaks to one directory.
#[derive(Debug, Clone)]
pub struct PlcClient {
    http: HttpClient,
    base: Url,
}

/// Why the directory did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlcClientError {
    #[error("the PLC directory does not know {0}")]
    NotFound(Did),
    #[error("{0} was deactivated")]
    Deactivated(Did),
    /// It refused, in its own words.
    #[error("the PLC directory refused: {message}")]
    Refused { status: u16, message: String },
    #[error("the PLC directory failed with status {status}: {message}")]
    Failed { status: u16, message: String },
    #[error("the PLC directory could not be asked: {0}")]
    Fetch(#[from] FetchError),
    #[error("the PLC directory's answer is not understood")]
    Answer(#[source] serde_json::Error),
}

impl PlcClientError {
    /// Whether an operation that was submitted with this outcome may have been taken.
    pub fn leaves_open(&self) -> bool {
        match self {
            Self::NotFound(_) | Self::Deactivated(_) => false,
            // A proxy in front of the directory that lost patience says 408.
            Self::Refused { status, .. } => *status == 408,
            Self::Failed { .. } | Self::Answer(_) => true,
            Self::Fetch(err) => match err {
                FetchError::BadUrl { .. }
                | FetchError::NotHttps { .. }
                | FetchError::PrivateAddress { .. }
                | FetchError::UnknownHost { .. }
                | FetchError::Connect { .. } => false,
                FetchError::Timeout { .. }
                | FetchError::Interrupted { .. }
                | FetchError::Redirect { .. }
                | FetchError::TooLarge { .. }
                | FetchError::HtmlPage { .. } => true,
            },
        }
    }
}

impl PlcClient {
    pub fn new(http: HttpClient, base: &Url) -> Self {
        let mut base = base.clone();
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Self { http, base }
    }

    fn url(&self, did: &Did, part: &str) -> Result<Url, FetchError> {
        // The colons of a DID would make it a URL of its own; "./" keeps it a path.
        self.base
            .join(&format!("./{did}{part}"))
            .map_err(|_| FetchError::BadUrl { url: did.to_string(), reason: "it is no path of the PLC directory" })
    }

    /// Returns the DID document as the directory gives it.
    pub(super) async fn document(&self, did: &Did) -> Result<Reply, FetchError> {
        self.http.get_json(&self.url(did, "")?, super::document::MAX_DOCUMENT_BYTES).await
    }

    /// Returns what the directory holds for a DID now.
    pub async fn data(&self, did: &Did) -> Result<DidData, PlcClientError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Data {
            rotation_keys: Vec<String>,
            verification_methods: std::collections::BTreeMap<String, String>,
            also_known_as: Vec<String>,
            services: std::collections::BTreeMap<String, Service>,
        }
        let reply = self.http.get_json(&self.url(did, "/data")?, MAX_BYTES).await?;
        let reply = check(did, reply)?;
        let data: Data = serde_json::from_slice(&reply.body).map_err(PlcClientError::Answer)?;
        Ok(DidData {
            did: did.clone(),
            rotation_keys: data.rotation_keys,
            verification_methods: data.verification_methods,
            also_known_as: data.also_known_as,
            services: data.services,
        })
    }

    /// Returns the last operation in force, on which the next one builds.
    pub async fn last_operation(&self, did: &Did) -> Result<Operation, PlcClientError> {
        let reply = self.http.get_json(&self.url(did, "/log/last")?, MAX_BYTES).await?;
        let reply = check(did, reply)?;
        serde_json::from_slice(&reply.body).map_err(PlcClientError::Answer)
    }

    /// Returns the operations in force, the first one first.
    pub async fn log(&self, did: &Did) -> Result<Vec<Operation>, PlcClientError> {
        let reply = self.http.get_json(&self.url(did, "/log")?, MAX_BYTES).await?;
        let reply = check(did, reply)?;
        serde_json::from_slice(&reply.body).map_err(PlcClientError::Answer)
    }

    /// Submits an operation. When the answer is lost, it is looked whether the operation was taken, which then is success.
    ///
    /// # Errors
    ///
    /// One of which [`PlcClientError::leaves_open`] says that the operation may still come to be in force.
    pub async fn submit(&self, did: &Did, operation: &Operation) -> Result<(), PlcClientError> {
        let Err(err) = self.post(did, operation).await else { return Ok(()) };
        if err.leaves_open() && self.last_operation(did).await.is_ok_and(|last| last.cid() == operation.cid()) {
            tracing::warn!(%did, error = %err, "the PLC directory took an operation, but its answer was lost");
            return Ok(());
        }
        Err(err)
    }

    /// The answer's body does not matter: it is a plain `OK` in the public directory.
    async fn post(&self, did: &Did, operation: &Operation) -> Result<(), PlcClientError> {
        let reply = self.http.post_json(&self.url(did, "")?, operation, MAX_BYTES).await?;
        check(did, reply).map(|_| ())
    }
}

/// Whether the body of a 404 says that the DID was, and has ended.
pub(super) fn says_unavailable(body: &[u8]) -> bool {
    let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    said.is_some_and(|said| said["message"].as_str().is_some_and(|message| message.starts_with("DID not available")))
}

fn check(did: &Did, reply: Reply) -> Result<Reply, PlcClientError> {
    if reply.status.is_success() {
        return Ok(reply);
    }
    let said: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
    let message = said.as_ref().and_then(|said| said["message"].as_str());
    let message = message.map_or_else(|| reply.status.to_string(), |message| message.chars().take(500).collect());
    let status = reply.status.as_u16();
    Err(match reply.status {
        StatusCode::NOT_FOUND if says_unavailable(&reply.body) => PlcClientError::Deactivated(did.clone()),
        StatusCode::NOT_FOUND => PlcClientError::NotFound(did.clone()),
        StatusCode::GONE => PlcClientError::Deactivated(did.clone()),
        other if other.is_client_error() => PlcClientError::Refused { status, message },
        _ => PlcClientError::Failed { status, message },
    })
}
