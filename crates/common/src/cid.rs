//! Content identifiers in the one shape that AT Protocol blesses: version 1, DAG-CBOR or raw, SHA-256.
//!
//! Spec: <https://atproto.com/specs/data-model#link-and-cid-formats>

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// What the bytes behind a [`Cid`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Codec {
    /// Opaque bytes: a blob.
    Raw = 0x55,
    /// DAG-CBOR: a record, a tree node or a commit.
    DagCbor = 0x71,
}

/// A CIDv1 over a SHA-256 digest; 36 bytes in binary, 59 characters as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cid {
    codec: Codec,
    digest: [u8; 32],
}

/// Why bytes or text are not a CID that AT Protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidError {
    #[error("a CID has 36 bytes, this has {0}")]
    Length(usize),
    #[error("only version 1 CIDs with a 32-byte SHA-256 are allowed")]
    Kind,
    #[error("only the DAG-CBOR and raw codecs are allowed in CIDs, not {0:#x}")]
    Codec(u8),
    #[error("a CID is text in lower-case base32 that begins with 'b'")]
    Text,
}

impl Cid {
    /// Length of the binary form, in bytes.
    pub const BYTES: usize = 36;
    const TEXT_CHARS: usize = 59;

    /// Names content by a digest that is already known.
    pub const fn new(codec: Codec, digest: [u8; 32]) -> Self {
        Self { codec, digest }
    }

    /// Hashes `content`.
    pub fn of(codec: Codec, content: &[u8]) -> Self {
        Self::new(codec, Sha256::digest(content).into())
    }

    /// Hashes a DAG-CBOR block.
    pub fn dag_cbor(block: &[u8]) -> Self {
        Self::of(Codec::DagCbor, block)
    }

    /// Hashes a blob.
    pub fn raw(blob: &[u8]) -> Self {
        Self::of(Codec::Raw, blob)
    }

    pub const fn codec(&self) -> Codec {
        self.codec
    }

    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns the binary form, without the multibase prefix of links in DAG-CBOR.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&[1, self.codec as u8, 0x12, 0x20]);
        bytes[4..].copy_from_slice(&self.digest);
        bytes
    }

    /// Parses the binary form; the whole of `bytes` must be the CID.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CidError> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| CidError::Length(bytes.len()))?;
        let [version, codec, hash, length, digest @ ..] = bytes;
        if (*version, *hash, *length) != (1, 0x12, 0x20) {
            return Err(CidError::Kind);
        }
        let codec = match codec {
            0x55 => Codec::Raw,
            0x71 => Codec::DagCbor,
            other => return Err(CidError::Codec(*other)),
        };
        Ok(Self::new(codec, *digest))
    }

    /// Whether `content` hashes to this CID.
    pub fn matches(&self, content: &[u8]) -> bool {
        self.digest == <[u8; 32]>::from(Sha256::digest(content))
    }

    /// Appends the text form to `out` without allocating.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + Self::TEXT_CHARS, b'b');
        BASE32_NOPAD.encode_mut(&self.to_bytes(), &mut out[start + 1..]);
        out[start + 1..].make_ascii_lowercase();
    }
}

/// Whether `text` looks like a CID of any kind: the lexicon's string format `cid`.
///
/// This is the shape only: 8 to 256 characters of a multibase, and not the version 0. What the data model links with is a
/// [`Cid`], which is narrower.
///
/// Spec: <https://atproto.com/specs/lexicon#cid>
pub fn is_cid_text(text: &str) -> bool {
    (8..=256).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'='))
        && !text.starts_with("Qm")
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(Self::TEXT_CHARS);
        self.write_text(&mut text);
        f.pad(std::str::from_utf8(&text).expect("base32 is ASCII"))
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl FromStr for Cid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        let encoded = text.strip_prefix('b').ok_or(CidError::Text)?;
        // An upper-case letter would give one CID two spellings.
        if text.len() != Self::TEXT_CHARS || encoded.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(CidError::Text);
        }
        let bytes = BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes()).map_err(|_| CidError::Text)?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for Cid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a";

    #[test]
    fn text_and_bytes_agree() {
        let cid: Cid = TEXT.parse().unwrap();
        assert_eq!(cid.to_string(), TEXT);
        assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
        assert_eq!(serde_json::from_str::<Cid>(&serde_json::to_string(&cid).unwrap()).unwrap(), cid);
        assert_eq!(Cid::raw(b"").to_string(), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
    }

    #[test]
    fn a_cid_has_one_spelling() {
        let upper = format!("b{}", TEXT[1..].to_ascii_uppercase());
        let last_bits = format!("{}b", &TEXT[..TEXT.len() - 1]);
        for text in [upper.as_str(), &last_bits, &TEXT[1..], &TEXT[..58], "bä", ""] {
            assert_eq!(text.parse::<Cid>(), Err(CidError::Text), "{text}");
        }
    }

    #[test]
    fn other_kinds_of_cids_are_refused_but_look_like_cids() {
        let mut bytes = Cid::raw(b"").to_bytes();
        bytes[1] = 0x70;
        assert_eq!(Cid::from_bytes(&bytes), Err(CidError::Codec(0x70)));
        assert_eq!(Cid::from_bytes(&bytes[..35]), Err(CidError::Length(35)));
        bytes[0] = 0;
        assert_eq!(Cid::from_bytes(&bytes), Err(CidError::Kind));

        let dag_pb = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
        assert_eq!(dag_pb.parse::<Cid>(), Err(CidError::Codec(0x70)));
        assert!(is_cid_text(dag_pb) && is_cid_text(TEXT));
        assert!(!is_cid_text("QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR") && !is_cid_text("noop"));
    }
}
