//! Public keys.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use k256::ecdsa::signature::Verifier;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::{Curve, KeyError, SignatureError, multikey};

/// A public key: a point that is known to be on its curve, kept in the form that verification takes.
#[derive(Clone)]
pub struct VerifyingKey {
    point: Point,
    compressed: [u8; 33],
}

#[derive(Clone)]
enum Point {
    K256(k256::ecdsa::VerifyingKey),
    /// The uncompressed point: ring verifies about four times as fast as the `p256` crate, and takes this form.
    P256([u8; 65]),
}

impl VerifyingKey {
    /// Parses a point in SEC1 form, compressed or not.
    pub fn from_sec1(curve: Curve, bytes: &[u8]) -> Result<Self, KeyError> {
        match curve {
            Curve::K256 => k256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map(Self::from_k256),
            Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map(|key| Self::from_p256(&key)),
        }
        .map_err(|_| KeyError::Point)
    }

    /// Parses a did:key; the same as [`str::parse`].
    pub fn from_did_key(text: &str) -> Result<Self, KeyError> {
        Self::from_multikey(multikey::strip_did_key(text)?)
    }

    /// Parses the `publicKeyMultibase` of a `Multikey`, which says itself what curve it is on.
    pub fn from_multikey(text: &str) -> Result<Self, KeyError> {
        let (curve, compressed) = multikey::decode(text)?;
        Self::from_sec1(curve, &compressed)
    }

    /// Parses the `publicKeyMultibase` of the older `EcdsaSecp256k1VerificationKey2019` and
    /// `EcdsaSecp256r1VerificationKey2019`: a bare point, compressed or not.
    pub fn from_legacy_multibase(curve: Curve, text: &str) -> Result<Self, KeyError> {
        Self::from_sec1(curve, multikey::decode_multibase(text, &mut [0; 65])?)
    }

    /// Parses what a verification method of a DID document says: its `type` and `publicKeyMultibase`.
    pub fn from_verification_method(method_type: &str, public_key_multibase: &str) -> Result<Self, KeyError> {
        match method_type {
            "Multikey" => Self::from_multikey(public_key_multibase),
            "EcdsaSecp256k1VerificationKey2019" => Self::from_legacy_multibase(Curve::K256, public_key_multibase),
            "EcdsaSecp256r1VerificationKey2019" => Self::from_legacy_multibase(Curve::P256, public_key_multibase),
            _ => Err(KeyError::Curve),
        }
    }

    pub(super) fn from_k256(key: k256::ecdsa::VerifyingKey) -> Self {
        let compressed = compressed(key.to_sec1_point(true).as_bytes());
        Self { point: Point::K256(key), compressed }
    }

    pub(super) fn from_p256(key: &p256::ecdsa::VerifyingKey) -> Self {
        let compressed = compressed(key.to_sec1_point(true).as_bytes());
        let point = key.to_sec1_point(false).as_bytes().try_into().expect("an uncompressed point has 65 bytes");
        Self { point: Point::P256(point), compressed }
    }

    pub const fn curve(&self) -> Curve {
        match self.point {
            Point::K256(_) => Curve::K256,
            Point::P256(_) => Curve::P256,
        }
    }

    /// Returns the point in compressed SEC1 form.
    pub const fn to_sec1(&self) -> [u8; 33] {
        self.compressed
    }

    /// Returns the point in uncompressed SEC1 form.
    pub fn to_sec1_uncompressed(&self) -> [u8; 65] {
        match &self.point {
            Point::K256(key) => key.to_sec1_point(false).as_bytes().try_into().expect("an uncompressed point has 65 bytes"),
            Point::P256(point) => *point,
        }
    }

    pub fn to_did_key(&self) -> String {
        multikey::encode_did_key(self.curve(), &self.compressed)
    }

    /// Returns the `publicKeyMultibase` of a `Multikey`.
    pub fn to_multikey(&self) -> String {
        multikey::encode(self.curve(), &self.compressed)
    }

    /// Checks a signature over the SHA-256 of `message`, strictly: 64 bytes, low-S.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.check(message, signature, HighS::Refused)
    }

    /// Checks a signature as [`VerifyingKey::verify`] does, but takes either `s`: for tokens (service auth, DPoP), whose
    /// makers do not normalise it.
    pub fn verify_allowing_high_s(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.check(message, signature, HighS::Allowed)
    }

    fn check(&self, message: &[u8], signature: &[u8], high_s: HighS) -> Result<(), SignatureError> {
        let bytes: &[u8; 64] = signature.try_into().map_err(|_| SignatureError::Length(signature.len()))?;
        match &self.point {
            Point::K256(key) => {
                let signature = k256::ecdsa::Signature::from_slice(bytes).map_err(|_| SignatureError::Range)?;
                let low = signature.normalize_s();
                high_s.check(signature == low)?;
                // The library itself refuses a high `s`, so it is given the low one.
                key.verify(message, &low).map_err(|_| SignatureError::Mismatch)
            }
            Point::P256(point) => {
                let signature = p256::ecdsa::Signature::from_slice(bytes).map_err(|_| SignatureError::Range)?;
                high_s.check(signature == signature.normalize_s())?;
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, bytes)
                    .map_err(|_| SignatureError::Mismatch)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum HighS {
    Refused,
    Allowed,
}

impl HighS {
    fn check(self, is_low: bool) -> Result<(), SignatureError> {
        match self {
            Self::Refused if !is_low => Err(SignatureError::HighS),
            Self::Refused | Self::Allowed => Ok(()),
        }
    }
}

fn compressed(point: &[u8]) -> [u8; 33] {
    point.try_into().expect("a compressed point has 33 bytes")
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.curve() == other.curve() && self.compressed == other.compressed
    }
}

impl Eq for VerifyingKey {}

impl Hash for VerifyingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.curve().hash(state);
        self.compressed.hash(state);
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_did_key())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_did_key(text)
    }
}

impl Serialize for VerifyingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerifyingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
