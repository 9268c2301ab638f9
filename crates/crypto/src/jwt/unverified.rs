//! Takes tokens apart and verifies them.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{Algorithm, Header, JwtError, MAX_TOKEN_BYTES};
use crate::keys::VerifyingKey;

/// A well-formed token whose signature was not checked.
#[derive(Clone, Debug)]
pub struct Unverified<'a> {
    header: Header,
    claims: Map<String, Value>,
    signing_input: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart: exactly three parts, strict base64url, JSON objects, a known algorithm.
    pub fn parse(token: &'a str) -> Result<Self, JwtError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwtError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwtError::Form)?;
        let (header, claims) = signing_input.split_once('.').ok_or(JwtError::Form)?;
        // A fourth part would leave a dot in `claims`, which is no character of base64url.
        let [header, claims, signature] = [decode(header)?, decode(claims)?, decode(signature)?];
        Ok(Self {
            header: Header::parse(&header)?,
            claims: serde_json::from_slice(&claims).map_err(|_| JwtError::Claims)?,
            signing_input,
            signature,
        })
    }

    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Returns what anyone may have written: for finding the key to verify with (`iss`), and for nothing else.
    pub fn claims_before_verification<T: DeserializeOwned>(&self) -> Result<T, JwtError> {
        read(self.claims.clone())
    }

    /// Returns the claims, if the token was made under `secret`.
    pub fn verify_hs256<T: DeserializeOwned>(self, secret: &[u8]) -> Result<T, JwtError> {
        if self.header.alg != Algorithm::Hs256 {
            return Err(JwtError::KeyKind);
        }
        // Compares in constant time.
        hs256(secret, self.signing_input.as_bytes()).verify_slice(&self.signature).map_err(|_| JwtError::Signature)?;
        read(self.claims)
    }

    /// Returns the claims, if `key` signed the token. Either form of `s` will do, as JOSE libraries do not normalise it; so
    /// the text of a token is not a unique name for it, and replay checks go by `jti`.
    pub fn verify_with<T: DeserializeOwned>(self, key: &VerifyingKey) -> Result<T, JwtError> {
        if self.header.alg != Algorithm::of_curve(key.curve()) {
            return Err(JwtError::KeyKind);
        }
        key.verify_allowing_high_s(self.signing_input.as_bytes(), &self.signature).map_err(|_| JwtError::Signature)?;
        read(self.claims)
    }
}

pub(super) fn hs256(secret: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(message);
    mac
}

fn decode(part: &str) -> Result<Vec<u8>, JwtError> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| JwtError::Form)
}

fn read<T: DeserializeOwned>(claims: Map<String, Value>) -> Result<T, JwtError> {
    serde_json::from_value(Value::Object(claims)).map_err(|_| JwtError::Claims)
}
