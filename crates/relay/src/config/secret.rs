//! Texts that never print.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::Wrong;

/// A text that is wiped from memory and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Tells whether `offered` is the secret, in a time that depends on lengths alone.
    pub fn matches(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The 256-bit key that seals all other keys at rest.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Wraps the bytes of a key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads 64 hexadecimal digits, or 32 bytes in base64; surrounding white space is ignored. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().as_bytes();
        let encodings = [HEXLOWER_PERMISSIVE, BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD];
        encodings.iter().find_map(|encoding| {
            let bytes = Zeroizing::new(encoding.decode(text).ok()?);
            Some(Self::new(bytes.as_slice().try_into().ok()?))
        })
    }

    /// Returns the key's bytes, for the sealing cipher.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Writes the key as [`MasterKey::parse`] reads it: 64 hexadecimal digits.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(HEXLOWER_PERMISSIVE.encode(self.0.as_slice()))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[master key]")
    }
}

pub(super) fn parse_master_key(text: &str) -> Result<MasterKey, Wrong> {
    MasterKey::parse(text).ok_or_else(|| {
        Wrong::new("is not a key of 32 bytes", "Write 64 hexadecimal digits, such as `openssl rand -hex 32` prints, or base64.")
    })
}

/// How short an admin password or bypass key may be.
const MIN_SECRET_CHARS: usize = 8;

pub(super) fn parse_strong(text: &str) -> Result<Secret, Wrong> {
    if text.chars().count() < MIN_SECRET_CHARS {
        return Err(Wrong::new("is shorter than 8 characters", "Choose a longer one, such as `openssl rand -hex 16` prints."));
    }
    Ok(Secret::new(text))
}

#[expect(clippy::unnecessary_wraps, reason = "has the signature of a parser")]
pub(super) fn parse_any(text: &str) -> Result<Secret, Wrong> {
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_is_read_from_hex_and_base64() {
        let key = MasterKey::new([0xab; 32]);
        for text in [
            key.to_hex().to_string(),
            key.to_hex().to_uppercase(),
            BASE64.encode(key.expose()),
            format!("{}\n", key.to_hex().as_str()),
        ] {
            assert_eq!(MasterKey::parse(&text).unwrap().expose(), key.expose(), "{text}");
        }
        for text in ["", "abcd", &"g".repeat(64), &"a".repeat(66)] {
            assert!(MasterKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?} {:?}", Secret::new("hunter22"), MasterKey::new([1; 32])), "[secret] [master key]");
        assert!(Secret::new("hunter22").matches("hunter22"));
        assert!(!Secret::new("hunter22").matches("hunter23"));
    }
}
