//! AT Protocol's vocabulary as types.
//!
//! Identifiers ([`Did`], [`Handle`], [`Nsid`], ...) have one constructor, parsing, so that a value in hand is valid. The data
//! model ([`Value`]) has two views: JSON ([`json`]) and DAG-CBOR ([`cbor`]). [`Clock`] is how the layers above are given time.
//!
//! **Invariant:** no I/O, no system clock, no randomness; nothing of HTTP, SQL or configuration.

pub mod blob_ref;
pub mod cbor;
pub mod cid;
pub mod clock;
pub mod json;
pub mod lexicon;
pub mod syntax;
pub mod value;

pub use cid::{Cid, Codec};
pub use clock::Clock;
pub use syntax::{AtIdentifier, AtUri, Datetime, Did, Handle, Language, Nsid, RecordKey, Tid, Uri};
pub use value::{Map, Value};
