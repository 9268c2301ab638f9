//! Decentralized identifiers, the lasting names of accounts and services.
//!
//! Spec: <https://atproto.com/specs/did>

use std::sync::Arc;

use super::text::{borrow_text, text_type};

/// A DID of any method, such as `did:plc:ewvi7nxzyoun6zhxrhs64oiz`; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did(Arc<str>);

/// Why text is not a DID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DidError {
    #[error("a DID has at most {} characters", Did::MAX_CHARS)]
    TooLong,
    #[error("a DID has the form did:method:identifier")]
    Form,
    #[error("the method of a DID is made of lower-case letters")]
    Method,
    #[error("the identifier of a DID is made of letters, digits and ._:%-, and does not end with : or %")]
    Identifier,
}

impl Did {
    /// The most characters that a DID may have.
    pub const MAX_CHARS: usize = 2048;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the method: `plc` of `did:plc:...`.
    pub fn method(&self) -> &str {
        self.split().0
    }

    /// Returns what follows the method: `example.com` of `did:web:example.com`.
    pub fn identifier(&self) -> &str {
        self.split().1
    }

    pub fn is_plc(&self) -> bool {
        self.method() == "plc"
    }

    pub fn is_web(&self) -> bool {
        self.method() == "web"
    }

    /// Whether this is a did:plc that the PLC directory could have given out: with 24 characters of base32.
    pub fn is_valid_plc(&self) -> bool {
        let (method, identifier) = self.split();
        method == "plc" && identifier.len() == 24 && identifier.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
    }

    fn split(&self) -> (&str, &str) {
        self.0["did:".len()..].split_once(':').expect("a DID has a method and an identifier")
    }

    fn parse(text: &str) -> Result<Self, DidError> {
        if text.len() > Self::MAX_CHARS {
            return Err(DidError::TooLong);
        }
        let (method, identifier) = text.strip_prefix("did:").and_then(|rest| rest.split_once(':')).ok_or(DidError::Form)?;
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(DidError::Method);
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'%' | b'-');
        if identifier.is_empty() || identifier.ends_with([':', '%']) || !identifier.bytes().all(allowed) {
            return Err(DidError::Identifier);
        }
        Ok(Self(text.into()))
    }
}

text_type!(Did, DidError, "a DID");
borrow_text!(Did);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_did_tells_its_parts() {
        let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
        assert_eq!((did.method(), did.identifier()), ("plc", "ewvi7nxzyoun6zhxrhs64oiz"));
        assert!(did.is_plc() && did.is_valid_plc() && !did.is_web());
        let web: Did = "did:web:localhost%3A1234".parse().unwrap();
        assert_eq!((web.method(), web.identifier(), web.is_web()), ("web", "localhost%3A1234", true));
    }

    #[test]
    fn the_plc_check_is_stricter_than_the_syntax() {
        for text in ["did:plc:short", "did:plc:EWVI7NXZYOUN6ZHXRHS64OIZ", "did:plc:0wvi7nxzyoun6zhxrhs64oiz", "did:web:a.b"] {
            assert!(!text.parse::<Did>().unwrap().is_valid_plc(), "{text}");
        }
    }

    #[test]
    fn errors_name_the_part_that_is_wrong() {
        let error = |text: &str| text.parse::<Did>().unwrap_err();
        assert_eq!(error("did:PLC:abc"), DidError::Method);
        assert_eq!(error("did:plc"), DidError::Form);
        assert_eq!(error("did:plc:"), DidError::Identifier);
        assert_eq!(error("did:plc:a b"), DidError::Identifier);
        assert_eq!(error(&format!("did:plc:{}", "a".repeat(2048))), DidError::TooLong);
        let message = serde_json::from_str::<Did>("\"did:plc\"").unwrap_err().to_string();
        assert!(message.starts_with("expected a DID: a DID has the form did:method:identifier"), "{message}");
    }
}
