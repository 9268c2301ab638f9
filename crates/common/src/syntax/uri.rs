//! URIs of any scheme, as records hold them.
//!
//! Spec: <https://atproto.com/specs/lexicon#uri>

use super::text::{borrow_text, text_type};

/// A URI with a scheme. The rest is not looked into; letters beyond ASCII are taken, as clients send them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri(Box<str>);

/// Why text is not a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("a URI has at most {} bytes", Uri::MAX_BYTES)]
    TooLong,
    #[error("a URI begins with a scheme, such as https:")]
    Scheme,
    #[error("a URI has something after its scheme")]
    Empty,
    #[error("a URI has no spaces or control characters")]
    Character,
}

impl Uri {
    /// The most bytes that a URI may have.
    pub const MAX_BYTES: usize = 8 * 1024;
    const MAX_SCHEME_CHARS: usize = 81;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what stands before the first colon.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').expect("a URI has a scheme").0
    }

    fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > Self::MAX_BYTES {
            return Err(UriError::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-');
        if scheme.len() > Self::MAX_SCHEME_CHARS
            || !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            || !scheme.bytes().all(allowed)
        {
            return Err(UriError::Scheme);
        }
        if rest.trim_start_matches('/').is_empty() {
            return Err(UriError::Empty);
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UriError::Character);
        }
        Ok(Self(text.into()))
    }
}

text_type!(Uri, UriError, "a URI");
borrow_text!(Uri);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_needs_a_scheme_and_something_after_it() {
        let error = |text: &str| text.parse::<Uri>().unwrap_err();
        assert_eq!(error("example.com"), UriError::Scheme);
        assert_eq!(error("4x://example.com"), UriError::Scheme);
        assert_eq!(error("https://"), UriError::Empty);
        assert_eq!(error("https://a b"), UriError::Character);
        assert_eq!("file:///tmp/ä".parse::<Uri>().unwrap().scheme(), "file");
    }
}
