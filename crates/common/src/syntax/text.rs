//! What all types that are checked text have in common.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Visitor};

/// Implements the traits of checked text for a type that has `parse(&str) -> Result<Self, $error>` and `as_str`.
macro_rules! text_type {
    ($name:ident, $error:ident, $expecting:literal) => {
        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(&text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(crate::syntax::text::Parse::new($expecting))
            }
        }
    };
}

/// Implements `Borrow<str>`, for types whose order and hash are those of their text.
macro_rules! borrow_text {
    ($name:ident) => {
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
    };
}

pub(crate) use {borrow_text, text_type};

/// Deserialises by parsing, without a `String` in between.
pub(crate) struct Parse<T> {
    expecting: &'static str,
    parsed: PhantomData<T>,
}

impl<T> Parse<T> {
    pub(crate) const fn new(expecting: &'static str) -> Self {
        Self { expecting, parsed: PhantomData }
    }
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Parse<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|err| E::custom(format_args!("expected {}: {err}", self.expecting)))
    }
}

/// Why text is not a domain name as handles and NSIDs need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelError {
    Length,
    Character,
    Hyphen,
}

/// Checks one part of a domain name: 1 to 63 letters, digits and inner hyphens.
pub(crate) fn check_label(label: &str) -> Result<(), LabelError> {
    let bytes = label.as_bytes();
    if !bytes.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(LabelError::Character);
    }
    if !(1..=63).contains(&bytes.len()) {
        return Err(LabelError::Length);
    }
    if bytes[0] == b'-' || bytes[bytes.len() - 1] == b'-' {
        return Err(LabelError::Hyphen);
    }
    Ok(())
}
