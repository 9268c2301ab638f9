//! Language tags.
//!
//! BCP 47, with the primary language of two or three lower-case letters that the network's test vectors ask for. Whether the
//! subtags are registered is not looked into.
//!
//! Spec: <https://atproto.com/specs/lexicon#language> and <https://www.rfc-editor.org/rfc/rfc5646#section-2.1>

use std::iter::Peekable;
use std::str::Split;

use super::text::{borrow_text, text_type};

/// A language tag such as `pt-BR`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Box<str>);

/// Why text is not a language tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LanguageError {
    #[error("a language tag has at most {} characters", Language::MAX_CHARS)]
    TooLong,
    #[error("a language tag begins with two or three lower-case letters")]
    Primary,
    #[error("a part of the language tag is none of script, region, variant, extension and private use, or out of order")]
    Subtag,
    #[error("a language tag names no variant or extension twice")]
    Repeated,
}

/// Tags from before the grammar that the grammar does not cover.
const IRREGULAR: [&str; 17] = [
    "en-GB-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-BE-FR",
    "sgn-BE-NL",
    "sgn-CH-DE",
];

impl Language {
    /// The most characters that a language tag may have.
    pub const MAX_CHARS: usize = 128;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what stands before the first hyphen: `pt` of `pt-BR`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().expect("splitting yields a part")
    }

    fn parse(text: &str) -> Result<Self, LanguageError> {
        if text.len() > Self::MAX_CHARS {
            return Err(LanguageError::TooLong);
        }
        if !IRREGULAR.iter().any(|tag| tag.eq_ignore_ascii_case(text)) {
            check(text)?;
        }
        Ok(Self(text.into()))
    }
}

text_type!(Language, LanguageError, "a language tag");
borrow_text!(Language);

type Subtags<'a> = Peekable<Split<'a, char>>;

fn check(text: &str) -> Result<(), LanguageError> {
    let mut subtags = text.split('-').peekable();
    if subtags.peek().is_some_and(|first| is_private(first)) {
        return private_use(&mut subtags);
    }
    let primary = subtags.next().expect("splitting yields a part");
    if !matches!(primary.len(), 2 | 3) || !primary.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err(LanguageError::Primary);
    }
    let mut extended_languages = 0;
    while extended_languages < 3 && subtags.next_if(|s| s.len() == 3 && is_alphabetic(s)).is_some() {
        extended_languages += 1;
    }
    let _script = subtags.next_if(|s| s.len() == 4 && is_alphabetic(s));
    let _region = subtags.next_if(|s| (s.len() == 2 && is_alphabetic(s)) || (s.len() == 3 && is_digits(s)));
    let mut variants = Vec::new();
    while let Some(variant) = subtags.next_if(|s| is_variant(s)) {
        add_once(&mut variants, variant)?;
    }
    let mut extensions = Vec::new();
    while let Some(singleton) = subtags.next_if(|s| s.len() == 1 && is_alphanumeric(s) && !is_private(s)) {
        add_once(&mut extensions, singleton)?;
        let mut parts = 0;
        while subtags.next_if(|s| (2..=8).contains(&s.len()) && is_alphanumeric(s)).is_some() {
            parts += 1;
        }
        if parts == 0 {
            return Err(LanguageError::Subtag);
        }
    }
    match subtags.peek() {
        None => Ok(()),
        Some(subtag) if is_private(subtag) => private_use(&mut subtags),
        Some(_) => Err(LanguageError::Subtag),
    }
}

/// Checks `x` and what follows it, to the end.
fn private_use(subtags: &mut Subtags<'_>) -> Result<(), LanguageError> {
    subtags.next();
    let mut parts = 0;
    for subtag in subtags {
        if !(1..=8).contains(&subtag.len()) || !is_alphanumeric(subtag) {
            return Err(LanguageError::Subtag);
        }
        parts += 1;
    }
    if parts == 0 { Err(LanguageError::Subtag) } else { Ok(()) }
}

fn add_once<'a>(seen: &mut Vec<&'a str>, subtag: &'a str) -> Result<(), LanguageError> {
    if seen.iter().any(|earlier| earlier.eq_ignore_ascii_case(subtag)) {
        return Err(LanguageError::Repeated);
    }
    seen.push(subtag);
    Ok(())
}

fn is_variant(subtag: &str) -> bool {
    let long_enough = match subtag.len() {
        5..=8 => true,
        4 => subtag.as_bytes()[0].is_ascii_digit(),
        _ => false,
    };
    long_enough && is_alphanumeric(subtag)
}

fn is_private(subtag: &str) -> bool {
    subtag.eq_ignore_ascii_case("x")
}

fn is_alphabetic(subtag: &str) -> bool {
    subtag.bytes().all(|b| b.is_ascii_alphabetic())
}

fn is_digits(subtag: &str) -> bool {
    subtag.bytes().all(|b| b.is_ascii_digit())
}

fn is_alphanumeric(subtag: &str) -> bool {
    subtag.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtags_come_in_their_order() {
        for text in ["en", "zh-cmn-Hans-CN", "de-1996", "sl-IT-nedis", "en-a-bb-cc-x-y", "x-whatever", "i-klingon", "sgn-be-fr"]
        {
            assert!(text.parse::<Language>().is_ok(), "{text}");
        }
        for text in ["de-419-DE", "en-Latn-Cyrl", "en-x", "x", "en-a", "en-a-x-y", "en--US", "en-U_S", "en-abcdefghi"] {
            assert_eq!(text.parse::<Language>().unwrap_err(), LanguageError::Subtag, "{text}");
        }
        assert_eq!("sl-nedis-NEDIS".parse::<Language>().unwrap_err(), LanguageError::Repeated);
        assert_eq!("".parse::<Language>().unwrap_err(), LanguageError::Primary);
        assert_eq!("pt-BR".parse::<Language>().unwrap().primary(), "pt");
    }
}
