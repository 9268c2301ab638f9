//! The public keys of apps.

use crypto::VerifyingKey;
use serde_json::Value;

/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 32;

/// A key by which an app proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientKey {
    pub(crate) id: Option<String>,
    pub(crate) key: VerifyingKey,
}

/// Reads a key set. Keys of other kinds than ours, or for other uses, are left out.
///
/// # Errors
///
/// What is wrong, in words.
pub(super) fn read(set: &Value) -> Result<Vec<ClientKey>, &'static str> {
    let keys = set.get("keys").and_then(Value::as_array).ok_or("is not an object with an array \"keys\"")?;
    if keys.len() > MAX_KEYS {
        return Err("has too many keys");
    }
    let mut usable = Vec::new();
    for jwk in keys {
        if jwk.get("d").is_some() {
            return Err("holds a private key, which everyone can read now: replace that key");
        }
        if jwk.get("use").and_then(Value::as_str).is_some_and(|purpose| purpose != "sig") {
            continue;
        }
        if let Ok(key) = VerifyingKey::from_jwk(jwk) {
            usable.push(ClientKey { id: jwk.get("kid").and_then(Value::as_str).map(str::to_owned), key });
        }
    }
    if usable.is_empty() { Err("has no key for ES256 or ES256K") } else { Ok(usable) }
}
