//! JSON Web Keys: how DPoP proofs and OAuth clients give their public keys.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc7518#section-6.2>, <https://www.rfc-editor.org/rfc/rfc8812>

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{Curve, KeyError, VerifyingKey};

impl Curve {
    const fn jwk_name(self) -> &'static str {
        match self {
            Self::K256 => "secp256k1",
            Self::P256 => "P-256",
        }
    }
}

impl VerifyingKey {
    /// Parses a public JWK. Members that say nothing about the key itself (`kid`, `use`, ...) are passed over.
    ///
    /// # Errors
    ///
    /// [`KeyError::JwkPrivate`] when it holds a private key, which its owner should not have sent.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let jwk = jwk.as_object().ok_or(KeyError::Jwk)?;
        if jwk.contains_key("d") {
            return Err(KeyError::JwkPrivate);
        }
        let text = |name| jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Jwk);
        if text("kty")? != "EC" {
            return Err(KeyError::Curve);
        }
        let curve = text("crv")?;
        let curve = [Curve::K256, Curve::P256].into_iter().find(|c| c.jwk_name() == curve).ok_or(KeyError::Curve)?;
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&coordinate(text("x")?)?);
        point[33..].copy_from_slice(&coordinate(text("y")?)?);
        Self::from_sec1(curve, &point)
    }

    /// Returns the public JWK: `kty`, `crv`, `x` and `y`.
    pub fn to_jwk(&self) -> Value {
        let (x, y) = self.coordinates();
        json!({ "kty": "EC", "crv": self.curve().jwk_name(), "x": x, "y": y })
    }

    /// Returns the thumbprint that DPoP-bound tokens name as `jkt`.
    ///
    /// Spec: <https://www.rfc-editor.org/rfc/rfc7638>
    pub fn jwk_thumbprint(&self) -> String {
        let (x, y) = self.coordinates();
        // The required members in alphabetical order, without spaces.
        let canonical = format!(r#"{{"crv":"{}","kty":"EC","x":"{x}","y":"{y}"}}"#, self.curve().jwk_name());
        BASE64URL_NOPAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref())
    }

    fn coordinates(&self) -> (String, String) {
        let point = self.to_sec1_uncompressed();
        (BASE64URL_NOPAD.encode(&point[1..33]), BASE64URL_NOPAD.encode(&point[33..]))
    }
}

fn coordinate(text: &str) -> Result<[u8; 32], KeyError> {
    // 32 bytes are 43 characters; checked first so that nothing longer is decoded.
    if text.len() != 43 {
        return Err(KeyError::Jwk);
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| KeyError::Jwk)?;
    bytes.try_into().map_err(|_| KeyError::Jwk)
}
