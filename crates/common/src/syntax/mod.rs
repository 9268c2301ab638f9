//! The identifiers of AT Protocol, one type per file.
//!
//! Parsing is the only constructor of each, so a value in hand is valid. They hold the text that was given, with one
//! exception: a [`Handle`] is lower-cased. All parsers look at bytes once, from left to right, and bound the length first.
//!
//! Spec: <https://atproto.com/specs/lexicon#string-formats>

mod at_identifier;
mod at_uri;
mod datetime;
mod did;
mod handle;
mod language;
mod nsid;
mod record_key;
mod text;
mod tid;
mod uri;

pub use at_identifier::{AtIdentifier, AtIdentifierError};
pub use at_uri::{AtUri, AtUriError};
pub use datetime::{Datetime, DatetimeError};
pub use did::{Did, DidError};
pub use handle::{Handle, HandleError};
pub use language::{Language, LanguageError};
pub use nsid::{Nsid, NsidError};
pub use record_key::{RecordKey, RecordKeyError};
pub use tid::{Tid, TidError};
pub use uri::{Uri, UriError};
