//! Why an identity could not be resolved.

use common::{Did, Handle};

use super::document::DocumentError;
use super::fetch::FetchError;
use super::lookups::LookupError;

/// Why a DID or a handle did not resolve. It is cloned into caches.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ResolveError {
    /// There is no such DID.
    #[error("{0} does not exist")]
    DidNotFound(Did),
    /// The DID was, and is no more.
    #[error("{0} was deactivated by its owner")]
    DidDeactivated(Did),
    /// Neither did:plc nor did:web of a host.
    #[error("{0} is of a method that is not supported")]
    Unsupported(Did),
    #[error("the DID document of {did} cannot be used: {source}")]
    Document { did: Did, source: DocumentError },
    #[error("the host of {did}'s document answered with status {status}")]
    Status { did: Did, status: u16 },
    #[error("{0}")]
    Fetch(FetchError),
    /// No answer within the time that a resolution may take.
    #[error("the document of {0} did not come in time")]
    Slow(Did),
    /// Both ways of resolving a handle gave no DID; what each said.
    #[error("{handle} does not resolve: DNS: {dns}; HTTPS: {https}")]
    HandleNotFound { handle: Handle, dns: String, https: String },
    /// The question was lost when the server stopped.
    #[error("the resolution was cut off")]
    Lost,
}

impl LookupError for ResolveError {
    fn is_absence(&self) -> bool {
        match self {
            Self::DidNotFound(_) | Self::DidDeactivated(_) | Self::Unsupported(_) => true,
            // Among them a handle: a new record takes a while to be seen, so its absence is believed for seconds only.
            Self::HandleNotFound { .. }
            | Self::Document { .. }
            | Self::Status { .. }
            | Self::Fetch(_)
            | Self::Slow(_)
            | Self::Lost => false,
        }
    }

    fn lost() -> Self {
        Self::Lost
    }
}

impl From<FetchError> for ResolveError {
    fn from(err: FetchError) -> Self {
        Self::Fetch(err)
    }
}
