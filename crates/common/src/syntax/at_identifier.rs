//! A DID or a handle: what parameters take that name an account.
//!
//! Spec: <https://atproto.com/specs/lexicon#at-identifier>

use super::text::text_type;
use super::{Did, DidError, Handle, HandleError};

/// Names an account in either of two ways.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtIdentifier {
    Did(Did),
    Handle(Handle),
}

/// Why text is neither a DID nor a handle; what begins with `did:` was meant as a DID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtIdentifierError {
    #[error(transparent)]
    Did(DidError),
    #[error(transparent)]
    Handle(HandleError),
}

impl AtIdentifier {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Did(did) => did.as_str(),
            Self::Handle(handle) => handle.as_str(),
        }
    }

    pub fn as_did(&self) -> Option<&Did> {
        if let Self::Did(did) = self { Some(did) } else { None }
    }

    pub fn as_handle(&self) -> Option<&Handle> {
        if let Self::Handle(handle) = self { Some(handle) } else { None }
    }

    fn parse(text: &str) -> Result<Self, AtIdentifierError> {
        if text.starts_with("did:") {
            text.parse().map(Self::Did).map_err(AtIdentifierError::Did)
        } else {
            text.parse().map(Self::Handle).map_err(AtIdentifierError::Handle)
        }
    }
}

impl From<Did> for AtIdentifier {
    fn from(did: Did) -> Self {
        Self::Did(did)
    }
}

impl From<Handle> for AtIdentifier {
    fn from(handle: Handle) -> Self {
        Self::Handle(handle)
    }
}

text_type!(AtIdentifier, AtIdentifierError, "a DID or a handle");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_decides_what_was_meant() {
        let did: AtIdentifier = "did:web:example.com".parse().unwrap();
        assert_eq!(did.as_did().map(Did::as_str), Some("did:web:example.com"));
        let handle: AtIdentifier = "Alice.test".parse().unwrap();
        assert_eq!(handle.as_handle().map(Handle::as_str), Some("alice.test"));
        assert_eq!("did:x".parse::<AtIdentifier>(), Err(AtIdentifierError::Did(DidError::Form)));
        assert_eq!("blah".parse::<AtIdentifier>(), Err(AtIdentifierError::Handle(HandleError::TooFewParts)));
    }
}
