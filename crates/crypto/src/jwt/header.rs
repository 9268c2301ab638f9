//! What a token says about itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::JwtError;
use crate::keys::Curve;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256 under a shared secret.
    #[serde(rename = "HS256")]
    Hs256,
    /// ECDSA on secp256k1 with SHA-256.
    #[serde(rename = "ES256K")]
    Es256k,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl Algorithm {
    /// Returns the algorithm that keys on `curve` sign with.
    pub const fn of_curve(curve: Curve) -> Self {
        match curve {
            Curve::K256 => Self::Es256k,
            Curve::P256 => Self::Es256,
        }
    }
}

/// A token's header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    pub alg: Algorithm,
    /// What kind of token it is, as in `at+jwt` or `dpop+jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// Which of its issuer's keys signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The public key itself, in DPoP proofs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwk: Option<Value>,
}

impl Header {
    pub(super) fn parse(json: &[u8]) -> Result<Self, JwtError> {
        let mut members: Map<String, Value> = serde_json::from_slice(json).map_err(|_| JwtError::Header)?;
        // Among them `b64: false`, which would change what is signed.
        if members.contains_key("crit") {
            return Err(JwtError::Critical);
        }
        let alg = members.remove("alg").ok_or(JwtError::Header)?;
        let alg = Algorithm::deserialize(alg).map_err(|_| JwtError::Algorithm)?;
        let mut text = |name| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwtError::Header),
        };
        Ok(Self { alg, typ: text("typ")?, kid: text("kid")?, jwk: members.remove("jwk") })
    }
}
