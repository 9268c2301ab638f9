//! Multikey: a public key as multicodec prefix and compressed point, in base58btc; behind `did:key:` it is a DID.
//!
//! Spec: <https://atproto.com/specs/cryptography#public-key-encoding>

use zeroize::Zeroizing;

use super::{Curve, KeyError};

const DID_KEY: &str = "did:key:";
const COMPRESSED_BYTES: usize = 33;
const UNCOMPRESSED_BYTES: usize = 65;
/// How long a did:key of a kind that we cannot read may be; it leaves room for larger keys than those of the two curves.
const MAX_DID_KEY_CHARS: usize = 256;

impl Curve {
    /// Returns the multicodec of public keys, as a varint.
    const fn multicodec(self) -> [u8; 2] {
        match self {
            Self::K256 => [0xe7, 0x01],
            Self::P256 => [0x80, 0x24],
        }
    }
}

pub(super) fn encode(curve: Curve, compressed: &[u8; COMPRESSED_BYTES]) -> String {
    let mut bytes = [0; 2 + COMPRESSED_BYTES];
    bytes[..2].copy_from_slice(&curve.multicodec());
    bytes[2..].copy_from_slice(compressed);
    let mut text = String::with_capacity(49);
    text.push('z');
    bs58::encode(bytes).onto(&mut text).expect("a String grows as needed");
    text
}

/// Encodes a private key, as tools that sign PLC operations by hand take it.
pub(super) fn encode_secret(curve: Curve, secret: &[u8; 32]) -> Zeroizing<String> {
    // https://github.com/multiformats/multicodec/blob/master/table.csv: secp256k1-priv and p256-priv, as varints.
    let prefix = match curve {
        Curve::K256 => [0x81, 0x26],
        Curve::P256 => [0x86, 0x26],
    };
    let mut bytes = Zeroizing::new([0; 2 + 32]);
    bytes[..2].copy_from_slice(&prefix);
    bytes[2..].copy_from_slice(secret);
    // Large enough from the start, so that no copy stays behind when it grows.
    let mut text = Zeroizing::new(String::with_capacity(64));
    text.push('z');
    bs58::encode(&bytes[..]).onto(&mut *text).expect("a String grows as needed");
    text
}

pub(super) fn encode_did_key(curve: Curve, compressed: &[u8; COMPRESSED_BYTES]) -> String {
    format!("{DID_KEY}{}", encode(curve, compressed))
}

pub(super) fn strip_did_key(text: &str) -> Result<&str, KeyError> {
    text.strip_prefix(DID_KEY).ok_or(KeyError::NotDidKey)
}

/// Decodes a multikey into its curve and compressed point; whether the point is on the curve is not checked here.
pub(super) fn decode(text: &str) -> Result<(Curve, [u8; COMPRESSED_BYTES]), KeyError> {
    let mut buffer = [0; UNCOMPRESSED_BYTES];
    let bytes = decode_multibase(text, &mut buffer)?;
    let (prefix, point) = bytes.split_first_chunk::<2>().ok_or(KeyError::Curve)?;
    let curve = [Curve::K256, Curve::P256].into_iter().find(|c| c.multicodec() == *prefix).ok_or(KeyError::Curve)?;
    Ok((curve, point.try_into().map_err(|_| KeyError::Point)?))
}

/// Decodes base58btc multibase of at most an uncompressed point's length.
pub(super) fn decode_multibase<'a>(text: &str, buffer: &'a mut [u8; UNCOMPRESSED_BYTES]) -> Result<&'a [u8], KeyError> {
    let encoded = text.strip_prefix('z').ok_or(KeyError::Multibase)?;
    // The buffer's size also bounds the work, which is quadratic.
    let len = bs58::decode(encoded).onto(&mut buffer[..]).map_err(|_| KeyError::Multibase)?;
    Ok(&buffer[..len])
}

/// Whether `text` has the form of a did:key, of whatever kind of key.
pub(crate) fn is_did_key_syntax(text: &str) -> bool {
    let is_base58 = |b: u8| b.is_ascii_alphanumeric() && !matches!(b, b'0' | b'O' | b'I' | b'l');
    text.len() <= MAX_DID_KEY_CHARS
        && text
            .strip_prefix(DID_KEY)
            .and_then(|multibase| multibase.strip_prefix('z'))
            .is_some_and(|encoded| !encoded.is_empty() && encoded.bytes().all(is_base58))
}
