//! URIs of repositories, collections and records.
//!
//! Only the restricted form of the lexicon format `at-uri` is taken: no query, no fragment, no trailing slash.
//!
//! Spec: <https://atproto.com/specs/at-uri-scheme>

use super::text::{borrow_text, text_type};
use super::{AtIdentifier, Did, DidError, HandleError, Nsid, NsidError, RecordKey, RecordKeyError};
use super::{handle, nsid, record_key};

const SCHEME: &str = "at://";

/// `at://authority`, and then perhaps `/collection`, and then perhaps `/rkey`.
///
/// The text is kept as it was given, so a handle in it may have upper-case letters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AtUri(Box<str>);

/// Why text is not an AT URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtUriError {
    #[error("an AT URI has at most {} characters", AtUri::MAX_CHARS)]
    TooLong,
    #[error("an AT URI begins with at://")]
    Scheme,
    #[error("the authority of the AT URI is wrong: {0}")]
    Did(DidError),
    #[error("the authority of the AT URI is wrong: {0}")]
    Handle(HandleError),
    #[error("the collection of the AT URI is wrong: {0}")]
    Collection(NsidError),
    #[error("the record key of the AT URI is wrong: {0}")]
    RecordKey(RecordKeyError),
    #[error("an AT URI ends with its record key")]
    TooManyParts,
}

impl AtUri {
    /// The most characters that an AT URI may have.
    pub const MAX_CHARS: usize = 8 * 1024;

    /// Names a record.
    pub fn record(did: &Did, collection: &Nsid, rkey: &RecordKey) -> Self {
        let (did, collection, rkey) = (did.as_str(), collection.as_str(), rkey.as_str());
        Self([SCHEME, did, "/", collection, "/", rkey].concat().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whose repository it is.
    pub fn authority(&self) -> AtIdentifier {
        self.parts().0.parse().expect("the authority was checked when the URI was parsed")
    }

    pub fn collection(&self) -> Option<Nsid> {
        self.parts().1.map(|text| text.parse().expect("the collection was checked when the URI was parsed"))
    }

    pub fn rkey(&self) -> Option<RecordKey> {
        self.parts().2.map(|text| text.parse().expect("the record key was checked when the URI was parsed"))
    }

    fn parts(&self) -> (&str, Option<&str>, Option<&str>) {
        let mut parts = self.0[SCHEME.len()..].split('/');
        (parts.next().expect("splitting yields a part"), parts.next(), parts.next())
    }

    fn parse(text: &str) -> Result<Self, AtUriError> {
        if text.len() > Self::MAX_CHARS {
            return Err(AtUriError::TooLong);
        }
        let mut parts = text.strip_prefix(SCHEME).ok_or(AtUriError::Scheme)?.split('/');
        let authority = parts.next().expect("splitting yields a part");
        if authority.starts_with("did:") {
            authority.parse::<Did>().map_err(AtUriError::Did)?;
        } else {
            handle::check(authority).map_err(AtUriError::Handle)?;
        }
        if let Some(collection) = parts.next() {
            nsid::check(collection).map_err(AtUriError::Collection)?;
        }
        if let Some(rkey) = parts.next() {
            record_key::check(rkey).map_err(AtUriError::RecordKey)?;
        }
        if parts.next().is_some() {
            return Err(AtUriError::TooManyParts);
        }
        Ok(Self(text.into()))
    }
}

text_type!(AtUri, AtUriError, "an AT URI");
borrow_text!(AtUri);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_uri_is_made_of_parts_and_tells_them() {
        let did: Did = "did:plc:asdf123".parse().unwrap();
        let collection: Nsid = "app.bsky.feed.post".parse().unwrap();
        let rkey: RecordKey = "3jzfcijpj2z2a".parse().unwrap();
        let uri = AtUri::record(&did, &collection, &rkey);
        assert_eq!(uri, "at://did:plc:asdf123/app.bsky.feed.post/3jzfcijpj2z2a");
        assert_eq!(uri.as_str().parse(), Ok(uri.clone()));
        assert_eq!((uri.authority(), uri.collection(), uri.rkey()), (did.into(), Some(collection), Some(rkey)));
    }

    #[test]
    fn short_uris_have_fewer_parts_and_keep_their_text() {
        let uri: AtUri = "at://Alice.test".parse().unwrap();
        assert_eq!(uri, "at://Alice.test");
        assert_eq!(uri.authority().as_str(), "alice.test");
        assert_eq!((uri.collection(), uri.rkey()), (None, None));
    }

    #[test]
    fn errors_name_the_part_that_is_wrong() {
        let error = |text: &str| text.parse::<AtUri>().unwrap_err();
        assert_eq!(error("AT://alice.test"), AtUriError::Scheme);
        assert_eq!(error("at://alice"), AtUriError::Handle(HandleError::TooFewParts));
        assert_eq!(error("at://did:plc:"), AtUriError::Did(DidError::Identifier));
        assert_eq!(error("at://alice.test/"), AtUriError::Collection(NsidError::TooFewParts));
        assert_eq!(error("at://alice.test/a.b.c/"), AtUriError::RecordKey(RecordKeyError::Length));
        assert_eq!(error("at://alice.test/a.b.c/d/"), AtUriError::TooManyParts);
    }
}
