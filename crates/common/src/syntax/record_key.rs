//! Record keys: what names a record within its collection.
//!
//! Spec: <https://atproto.com/specs/record-key>

use super::text::{borrow_text, text_type};
use super::{Tid, TidError};

/// A record key of any kind: a TID, an NSID, `self` or other text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(Box<str>);

/// Why text is not a record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordKeyError {
    #[error("a record key has 1 to {} characters", RecordKey::MAX_CHARS)]
    Length,
    #[error("a record key is made of ASCII letters, digits and _~.:-")]
    Character,
    #[error("a record key is not . or ..")]
    Dots,
}

impl RecordKey {
    /// The most characters that a record key may have.
    pub const MAX_CHARS: usize = 512;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key as a TID; for other keys, why it is none.
    pub fn as_tid(&self) -> Result<Tid, TidError> {
        self.0.parse()
    }

    fn parse(text: &str) -> Result<Self, RecordKeyError> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

/// Checks that `text` is a record key.
pub(super) fn check(text: &str) -> Result<(), RecordKeyError> {
    if !(1..=RecordKey::MAX_CHARS).contains(&text.len()) {
        return Err(RecordKeyError::Length);
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'~' | b'.' | b':' | b'-')) {
        return Err(RecordKeyError::Character);
    }
    if matches!(text, "." | "..") { Err(RecordKeyError::Dots) } else { Ok(()) }
}

impl From<Tid> for RecordKey {
    fn from(tid: Tid) -> Self {
        Self(tid.to_string().into())
    }
}

text_type!(RecordKey, RecordKeyError, "a record key");
borrow_text!(RecordKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_keys_are_bounded_and_never_walk_up() {
        let parse = |text: &str| text.parse::<RecordKey>();
        assert_eq!(parse("").unwrap_err(), RecordKeyError::Length);
        assert_eq!(parse(&"o".repeat(513)).unwrap_err(), RecordKeyError::Length);
        assert_eq!(parse("..").unwrap_err(), RecordKeyError::Dots);
        assert_eq!(parse("a/b").unwrap_err(), RecordKeyError::Character);
        assert!(parse(&"o".repeat(512)).is_ok() && parse("...").is_ok());
    }

    #[test]
    fn a_tid_is_a_record_key() {
        let tid: Tid = "3jzfcijpj2z2a".parse().unwrap();
        assert_eq!(RecordKey::from(tid).as_tid(), Ok(tid));
        assert!("self".parse::<RecordKey>().unwrap().as_tid().is_err());
    }
}
