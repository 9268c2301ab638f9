//! Handles, the names that people read: domain names.
//!
//! Spec: <https://atproto.com/specs/handle>

use std::sync::Arc;

use super::text::{LabelError, borrow_text, check_label, text_type};

/// A handle such as `alice.example.com`, in lower case; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(Arc<str>);

/// Why text is not a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    #[error("a handle has at most {} characters", Handle::MAX_CHARS)]
    TooLong,
    #[error("a handle has at least two parts, with a dot between them")]
    TooFewParts,
    #[error("the parts of a handle have 1 to 63 characters")]
    PartLength,
    #[error("a handle is made of ASCII letters, digits, hyphens and dots")]
    Character,
    #[error("the parts of a handle do not begin or end with a hyphen")]
    Hyphen,
    #[error("the last part of a handle does not begin with a digit")]
    LastPart,
}

impl Handle {
    /// The most characters that a handle may have.
    pub const MAX_CHARS: usize = 253;

    /// What stands where an account's handle does not lead back to it.
    pub const INVALID: &'static str = "handle.invalid";

    /// Top-level domains under which nobody can own a name in the public DNS.
    pub const DISALLOWED_TLDS: [&'static str; 8] =
        ["local", "arpa", "invalid", "localhost", "internal", "example", "alt", "onion"];

    /// Returns [`Handle::INVALID`] as a handle.
    pub fn invalid() -> Self {
        Self(Self::INVALID.into())
    }

    /// Whether this is [`Handle::INVALID`].
    pub fn is_invalid(&self) -> bool {
        *self.0 == *Self::INVALID
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last part: `com` of `alice.example.com`.
    pub fn tld(&self) -> &str {
        self.0.rsplit('.').next().expect("splitting yields a part")
    }

    /// Whether the handle can be written but never resolved; `.test` is allowed, for development.
    pub fn has_disallowed_tld(&self) -> bool {
        Self::DISALLOWED_TLDS.contains(&self.tld())
    }

    fn parse(text: &str) -> Result<Self, HandleError> {
        check(text)?;
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        Ok(Self(text.into()))
    }
}

/// Checks that `text` is a handle, in any case.
pub(super) fn check(text: &str) -> Result<(), HandleError> {
    if text.len() > Handle::MAX_CHARS {
        return Err(HandleError::TooLong);
    }
    let mut last = None;
    let mut parts = 0;
    for part in text.split('.') {
        check_label(part).map_err(|err| match err {
            LabelError::Length => HandleError::PartLength,
            LabelError::Character => HandleError::Character,
            LabelError::Hyphen => HandleError::Hyphen,
        })?;
        parts += 1;
        last = part.bytes().next();
    }
    if parts < 2 {
        return Err(HandleError::TooFewParts);
    }
    // An IPv4 address is thereby no handle.
    if last.is_some_and(|b| b.is_ascii_digit()) { Err(HandleError::LastPart) } else { Ok(()) }
}

text_type!(Handle, HandleError, "a handle");
borrow_text!(Handle);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_lower_cases() {
        let handle: Handle = "Alice.Test".parse().unwrap();
        assert_eq!(handle, "alice.test");
        assert_eq!(handle, Handle::try_from("alice.TEST".to_owned()).unwrap());
        assert_eq!(serde_json::from_str::<Handle>("\"ALICE.test\"").unwrap(), handle);
    }

    #[test]
    fn some_top_level_domains_are_for_nobody() {
        let disallowed = |text: &str| text.parse::<Handle>().unwrap().has_disallowed_tld();
        assert!(disallowed("laptop.local") && disallowed("a.b.ONION") && disallowed("a.example"));
        assert!(!disallowed("alice.test") && !disallowed("local.com"));
        assert!(Handle::invalid().is_invalid() && Handle::invalid().has_disallowed_tld());
        assert_eq!(Handle::INVALID.parse::<Handle>().unwrap(), Handle::invalid());
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let error = |text: &str| text.parse::<Handle>().unwrap_err();
        assert_eq!(error("alice"), HandleError::TooFewParts);
        assert_eq!(error("alice..test"), HandleError::PartLength);
        assert_eq!(error("al_ice.test"), HandleError::Character);
        assert_eq!(error("-alice.test"), HandleError::Hyphen);
        assert_eq!(error("127.0.0.1"), HandleError::LastPart);
        assert_eq!(error(&format!("{}test", "a.".repeat(126))), HandleError::TooLong);
    }
}
