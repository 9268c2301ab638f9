//! The keys of the tree.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use common::{Nsid, RecordKey};
use sha2::{Digest, Sha256};

/// A record's place in its repository: `<collection>/<rkey>`, together with its height in the tree.
///
/// A key obeys the syntax that the tree asks for, which is wider than that of an NSID and a record key: one slash, 1 to 1024
/// characters out of `A-Z a-z 0-9 . _ ~ : -`. Cloning is cheap.
#[derive(Clone)]
pub struct Key {
    text: Arc<str>,
    height: u8,
}

/// Why text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a key has at most {max} characters, this has {0}", max = Key::MAX_CHARS)]
    TooLong(usize),
    #[error("a key is a collection, one slash and a record key")]
    Parts,
    #[error("a key has only letters, digits and . _ ~ : - beside its slash")]
    Character,
}

impl Key {
    /// The most characters that a key may have.
    pub const MAX_CHARS: usize = 1024;

    /// Checks and hashes `text`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        check(text.as_bytes())?;
        Ok(Self { text: text.into(), height: height(text.as_bytes()) })
    }

    /// Makes the key of a record out of its collection and record key.
    pub fn new(collection: &Nsid, rkey: &RecordKey) -> Self {
        let (collection, rkey) = (collection.as_str(), rkey.as_str());
        let mut text = String::with_capacity(collection.len() + 1 + rkey.len());
        text.push_str(collection);
        text.push('/');
        text.push_str(rkey);
        Self::parse(&text).expect("the syntax of NSIDs and record keys is within that of keys")
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn collection(&self) -> &str {
        self.parts().0
    }

    pub fn rkey(&self) -> &str {
        self.parts().1
    }

    /// Returns the layer that the key is on, counted from the leaves.
    pub const fn height(&self) -> u8 {
        self.height
    }

    fn parts(&self) -> (&str, &str) {
        self.text.split_once('/').expect("a key has a slash")
    }
}

/// Returns the layer of a key: half the number of zero bits that its SHA-256 begins with, so that one key in four rises.
///
/// Spec: <https://atproto.com/specs/repository#mst-structure>
pub fn height(key: &[u8]) -> u8 {
    let mut zeros = 0;
    for byte in Sha256::digest(key) {
        zeros += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    (zeros / 2) as u8
}

/// Checks the syntax of a key.
pub(crate) fn check(text: &[u8]) -> Result<(), KeyError> {
    if text.len() > Key::MAX_CHARS {
        return Err(KeyError::TooLong(text.len()));
    }
    let mut slash = None;
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b':' | b'-' => {}
            b'/' if slash.is_none() => slash = Some(i),
            b'/' => return Err(KeyError::Parts),
            _ => return Err(KeyError::Character),
        }
    }
    match slash {
        Some(at) if at > 0 && at + 1 < text.len() => Ok(()),
        Some(_) | None => Err(KeyError::Parts),
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

// The text alone is the key, so a map of keys can be asked for text.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_those_of_the_spec() {
        for (key, expected) in
            [("asdf", 0), ("blue", 1), ("app.bsky.feed.post/454397e440ec", 4), ("app.bsky.feed.post/9adeb165882c", 8)]
        {
            assert_eq!(height(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn syntax_is_that_of_tree_keys() {
        let long = format!("a/{}", "b".repeat(1022));
        for good in ["a/b", "app.bsky.feed.post/3lo3kqqljmfe2", "a.b/self:~_-.", &long] {
            assert_eq!(good.parse::<Key>().unwrap().as_str(), good);
        }
        let too_long = format!("{long}b");
        for (bad, why) in [
            ("", KeyError::Parts),
            ("a", KeyError::Parts),
            ("/a", KeyError::Parts),
            ("a/", KeyError::Parts),
            ("a/b/c", KeyError::Parts),
            ("a/b c", KeyError::Character),
            ("a/\u{e9}", KeyError::Character),
            (&too_long, KeyError::TooLong(1025)),
        ] {
            assert_eq!(bad.parse::<Key>().unwrap_err(), why, "{bad:?}");
        }
        let key = Key::new(&"app.bsky.feed.post".parse().unwrap(), &"self".parse().unwrap());
        assert_eq!((key.collection(), key.rkey()), ("app.bsky.feed.post", "self"));
    }
}
