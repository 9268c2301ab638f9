//! Why a lexicon was not found.

use common::{Did, Nsid};

use crate::identity::ResolveError;
use crate::identity::dns::DnsFailure;
use crate::identity::fetch::FetchError;
use crate::identity::lookups::LookupError;

/// Why a lexicon was not found. It is cloned into caches.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LexiconError {
    #[error("no DNS answer for {name}: {source}")]
    Dns { name: String, source: DnsFailure },
    #[error("the TXT records at {name} do not name one DID: {reason}")]
    Authority { name: String, reason: String },
    #[error("the authority's DID does not resolve: {0}")]
    Did(ResolveError),
    #[error("the document of {did} has no {missing}")]
    Document { did: Did, missing: &'static str },
    #[error("the host of {did} could not be asked: {source}")]
    Fetch { did: Did, source: FetchError },
    #[error("the host of {did} answered with status {status}")]
    Status { did: Did, status: u16 },
    #[error("the answer of the host of {did} proves nothing: {reason}")]
    Proof { did: Did, reason: String },
    #[error("{did} publishes no lexicon {nsid}")]
    Absent { did: Did, nsid: Nsid },
    #[error("what {did} publishes as {nsid} is no lexicon: {reason}")]
    Invalid { did: Did, nsid: Nsid, reason: String },
    #[error("{0} is no schema of records")]
    NotARecord(Nsid),
    #[error("{nsid} refers to {missing}, which is not there")]
    Reference { nsid: Nsid, missing: String },
    #[error("{nsid} refers to more than {most} other lexicons")]
    TooMany { nsid: Nsid, most: usize },
    /// A row of this server's database could not be read.
    #[error("the lexicon is hosted here, and could not be read")]
    Store,
    #[error("the lexicon did not come in time")]
    Slow,
    /// The question was lost when the server stopped.
    #[error("the question was cut off")]
    Lost,
}

impl LookupError for LexiconError {
    fn is_absence(&self) -> bool {
        match self {
            Self::Dns { source, .. } => match source {
                DnsFailure::Absent | DnsFailure::BadName => true,
                DnsFailure::Slow | DnsFailure::Failed(_) => false,
            },
            Self::Did(err) => err.is_absence(),
            Self::Authority { .. }
            | Self::Document { .. }
            | Self::Proof { .. }
            | Self::Absent { .. }
            | Self::Invalid { .. }
            | Self::NotARecord(_)
            | Self::Reference { .. }
            | Self::TooMany { .. } => true,
            Self::Fetch { .. } | Self::Status { .. } | Self::Store | Self::Slow | Self::Lost => false,
        }
    }

    fn lost() -> Self {
        Self::Lost
    }
}
