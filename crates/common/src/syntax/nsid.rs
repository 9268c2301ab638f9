//! Namespaced identifiers: the names of record types, queries and procedures.
//!
//! Spec: <https://atproto.com/specs/nsid>

use std::sync::Arc;

use super::text::{LabelError, borrow_text, check_label, text_type};

/// An NSID such as `app.bsky.feed.post`; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nsid(Arc<str>);

/// Why text is not an NSID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NsidError {
    #[error("an NSID has at most {} characters", Nsid::MAX_CHARS)]
    TooLong,
    #[error("an NSID has at least three parts, with dots between them")]
    TooFewParts,
    #[error("the parts of an NSID have 1 to 63 characters")]
    PartLength,
    #[error("the authority of an NSID is made of ASCII letters, digits, hyphens and dots")]
    Character,
    #[error("the parts of an NSID do not begin or end with a hyphen")]
    Hyphen,
    #[error("an NSID does not begin with a digit")]
    FirstPart,
    #[error("the name of an NSID, its last part, is made of ASCII letters and digits and begins with a letter")]
    Name,
}

impl Nsid {
    /// The most characters that an NSID may have. The authority alone may be longer than a domain name: the test vectors of
    /// the network have such an NSID, so nothing tighter is checked.
    pub const MAX_CHARS: usize = 317;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns all but the name, as written: `app.bsky.feed` of `app.bsky.feed.post`.
    pub fn authority(&self) -> &str {
        self.split().0
    }

    /// Returns the authority as the domain name that it stands for: `feed.bsky.app` of `app.bsky.feed.post`.
    pub fn authority_domain(&self) -> String {
        let mut parts: Vec<_> = self.authority().split('.').collect();
        parts.reverse();
        parts.join(".").to_ascii_lowercase()
    }

    /// Returns the last part: `post` of `app.bsky.feed.post`.
    pub fn name(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('.').expect("an NSID has an authority and a name")
    }

    fn parse(text: &str) -> Result<Self, NsidError> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

/// Checks that `text` is an NSID.
pub(super) fn check(text: &str) -> Result<(), NsidError> {
    if text.len() > Nsid::MAX_CHARS {
        return Err(NsidError::TooLong);
    }
    let (authority, name) = text.rsplit_once('.').ok_or(NsidError::TooFewParts)?;
    let mut parts = 0;
    for part in authority.split('.') {
        check_label(part).map_err(|err| match err {
            LabelError::Length => NsidError::PartLength,
            LabelError::Character => NsidError::Character,
            LabelError::Hyphen => NsidError::Hyphen,
        })?;
        parts += 1;
    }
    if parts < 2 {
        return Err(NsidError::TooFewParts);
    }
    // The first part is a top-level domain, and those have no leading digit.
    if authority.as_bytes()[0].is_ascii_digit() {
        return Err(NsidError::FirstPart);
    }
    if !(1..=63).contains(&name.len()) {
        return Err(NsidError::PartLength);
    }
    let name = name.as_bytes();
    if name[0].is_ascii_alphabetic() && name.iter().all(u8::is_ascii_alphanumeric) { Ok(()) } else { Err(NsidError::Name) }
}

text_type!(Nsid, NsidError, "an NSID");
borrow_text!(Nsid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_nsid_tells_its_parts() {
        let nsid: Nsid = "app.bsky.feed.post".parse().unwrap();
        assert_eq!((nsid.authority(), nsid.name()), ("app.bsky.feed", "post"));
        assert_eq!(nsid.authority_domain(), "feed.bsky.app");
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let error = |text: &str| text.parse::<Nsid>().unwrap_err();
        assert_eq!(error("post"), NsidError::TooFewParts);
        assert_eq!(error("example.post"), NsidError::TooFewParts);
        assert_eq!(error("com.example.fo-o"), NsidError::Name);
        assert_eq!(error("com.example."), NsidError::PartLength);
        assert_eq!(error("com..foo"), NsidError::PartLength);
        assert_eq!(error("com.exa_mple.foo"), NsidError::Character);
        assert_eq!(error("com.example-.foo"), NsidError::Hyphen);
        assert_eq!(error("4com.example.foo"), NsidError::FirstPart);
        assert_eq!(error(&format!("com.{}foo", "example.".repeat(40))), NsidError::TooLong);
    }
}
