//! Makes tokens.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use super::unverified::hs256;
use super::{Algorithm, Header, JwtError};
use crate::keys::SigningKey;

/// Makes a token under a shared secret, with `typ` in its header.
///
/// # Errors
///
/// [`JwtError::Claims`] when `claims` do not serialize as a JSON object.
pub fn encode_hs256(secret: &[u8], typ: &str, claims: &impl Serialize) -> Result<String, JwtError> {
    let header = Header { alg: Algorithm::Hs256, typ: Some(typ.to_owned()), kid: None, jwk: None };
    let mut token = signing_input(&header, claims)?;
    let tag = hmac::Mac::finalize(hs256(secret, token.as_bytes())).into_bytes();
    append_signature(&mut token, &tag);
    Ok(token)
}

/// Makes a token that `key` signs, with the algorithm of its curve.
///
/// # Errors
///
/// [`JwtError::Claims`] when `claims` do not serialize as a JSON object.
pub fn encode_signed(key: &SigningKey, typ: &str, kid: Option<&str>, claims: &impl Serialize) -> Result<String, JwtError> {
    let alg = Algorithm::of_curve(key.curve());
    let header = Header { alg, typ: Some(typ.to_owned()), kid: kid.map(str::to_owned), jwk: None };
    let mut token = signing_input(&header, claims)?;
    let signature = key.sign(token.as_bytes());
    append_signature(&mut token, &signature);
    Ok(token)
}

fn signing_input(header: &Header, claims: &impl Serialize) -> Result<String, JwtError> {
    let header = serde_json::to_vec(header).expect("a header of strings serializes");
    let claims = serde_json::to_vec(claims).map_err(|_| JwtError::Claims)?;
    if claims.first() != Some(&b'{') {
        return Err(JwtError::Claims);
    }
    let mut token = BASE64URL_NOPAD.encode(&header);
    token.push('.');
    BASE64URL_NOPAD.encode_append(&claims, &mut token);
    Ok(token)
}

fn append_signature(token: &mut String, signature: &[u8]) {
    token.push('.');
    BASE64URL_NOPAD.encode_append(signature, token);
}
