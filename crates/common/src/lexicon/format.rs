//! The formats of strings.

use serde::Deserialize;

use crate::cid::is_cid_text;
use crate::syntax::{AtIdentifier, AtUri, Datetime, Did, Handle, Language, Nsid, RecordKey, Tid, Uri};

/// What a string holds.
///
/// Spec: <https://atproto.com/specs/lexicon#string-formats>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    AtIdentifier,
    AtUri,
    Cid,
    Datetime,
    Did,
    Handle,
    Language,
    Nsid,
    RecordKey,
    Tid,
    Uri,
    /// A format that this server does not know; every text has it.
    #[serde(other)]
    Other,
}

impl Format {
    /// Whether `text` has this format.
    pub fn matches(self, text: &str) -> bool {
        match self {
            Self::AtIdentifier => text.parse::<AtIdentifier>().is_ok(),
            Self::AtUri => text.parse::<AtUri>().is_ok(),
            Self::Cid => is_cid_text(text),
            Self::Datetime => text.parse::<Datetime>().is_ok(),
            Self::Did => text.parse::<Did>().is_ok(),
            Self::Handle => text.parse::<Handle>().is_ok(),
            Self::Language => text.parse::<Language>().is_ok(),
            Self::Nsid => text.parse::<Nsid>().is_ok(),
            Self::RecordKey => text.parse::<RecordKey>().is_ok(),
            Self::Tid => text.parse::<Tid>().is_ok(),
            Self::Uri => text.parse::<Uri>().is_ok(),
            Self::Other => true,
        }
    }

    /// Returns how to name the format in "must be ...".
    pub(super) const fn wanted(self) -> &'static str {
        match self {
            Self::AtIdentifier => "a DID or a handle",
            Self::AtUri => "an at:// URI",
            Self::Cid => "a CID string",
            Self::Datetime => "a datetime such as \"2026-01-31T12:00:00.000Z\" (RFC 3339 with a time zone)",
            Self::Did => "a DID",
            Self::Handle => "a handle",
            Self::Language => "a BCP 47 language tag",
            Self::Nsid => "an NSID",
            Self::RecordKey => "a record key",
            Self::Tid => "a TID",
            Self::Uri => "a URI",
            Self::Other => "text",
        }
    }
}
