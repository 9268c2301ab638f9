//! Proofs that whoever sends a request holds a key (DPoP).
//!
//! An app signs each request: its verb, its address, a nonce of ours, and the access token if there is one. Tokens are bound to
//! the key, so a token that was stolen is worth nothing without it.
//!
//! # Tricky bits
//!
//! - Nonces rotate, and are good for any number of requests until they are three turns old: an app that sends many requests at
//!   once need not wait for a nonce for each. They are made from a secret of this process, so proofs of before a restart,
//!   which [`Replays`] has forgotten, are not taken.
//! - The nonce tells how old a proof is. `iat` is not looked at: the clocks of phones are wrong too often.
//! - The address is compared with the public URL of this server, whatever a proxy made of the `Host`.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9449>

mod nonce;
mod replay;

use crypto::VerifyingKey;
use crypto::jwt::Unverified;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderName, Method};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

pub(crate) use nonce::Nonces;
pub(crate) use replay::Replays;

use super::{OauthError, Refusal};
use crate::state::App;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("dpop");
pub(crate) const NONCE_HEADER: HeaderName = HeaderName::from_static("dpop-nonce");

const MAX_JTI_BYTES: usize = 512;

/// What a proof proved: the sender holds the key with this thumbprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) key_thumbprint: String,
}

#[derive(Deserialize)]
struct Claims {
    jti: Option<String>,
    htm: Option<String>,
    htu: Option<String>,
    iat: Option<serde_json::Number>,
    nonce: Option<String>,
    ath: Option<String>,
}

/// Checks the proof of a request, if there is one. `path` is where the request went, and `token` the access token in it.
pub(crate) fn check(
    app: &App,
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    token: Option<&str>,
) -> Result<Option<Proof>, OauthError> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused("The request has more than one DPoP header"));
    }
    let text = value.to_str().map_err(|_| refused("The DPoP header is not a token"))?;
    let proof = Unverified::parse(text).map_err(|err| refused(format!("The DPoP proof is malformed: {err}")))?;
    if proof.header().typ.as_deref() != Some("dpop+jwt") {
        return Err(refused("The DPoP proof's typ is not dpop+jwt"));
    }
    let jwk = proof.header().jwk.as_ref().ok_or_else(|| refused("The DPoP proof's header has no jwk"))?;
    let key = VerifyingKey::from_jwk(jwk).map_err(|err| refused(format!("The DPoP proof's jwk is of no use: {err}")))?;
    let claims: Claims = proof.verify_with(&key).map_err(|err| refused(format!("The DPoP proof is not valid: {err}")))?;
    let jti = claims.jti.filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI_BYTES);
    let jti = jti.ok_or_else(|| refused("The DPoP proof has no jti, or an empty or very long one"))?;
    if claims.iat.is_none() {
        return Err(refused("The DPoP proof has no iat"));
    }
    if claims.htm.as_deref() != Some(method.as_str()) {
        return Err(refused(format!("The DPoP proof's htm is not {method}, the verb of this request")));
    }
    let url = format!("{}{path}", app.config.server.public_url);
    if !claims.htu.as_deref().is_some_and(|htu| is_same_address(htu, &url)) {
        return Err(refused(format!("The DPoP proof's htu is not {url}, the address of this request")));
    }
    let ath = token.map(|token| BASE64URL_NOPAD.encode(&Sha256::digest(token.as_bytes())));
    match (&claims.ath, &ath) {
        (Some(found), Some(expected)) if bool::from(found.as_bytes().ct_eq(expected.as_bytes())) => {}
        (_, None) => {}
        (None, Some(_)) => return Err(refused("The DPoP proof has no ath, the hash of the access token")),
        (Some(_), Some(_)) => return Err(refused("The DPoP proof's ath is not the hash of this access token")),
    }
    let now = common::Clock::seconds(&*app.clock);
    match claims.nonce {
        None => return Err(OauthError::new(Refusal::UseDpopNonce, "The DPoP proof needs the nonce of the DPoP-Nonce header")),
        Some(nonce) if !app.oauth.nonces.is_fresh(&nonce, now) => {
            let description = "The DPoP proof's nonce is too old; use the one of the DPoP-Nonce header";
            return Err(OauthError::new(Refusal::UseDpopNonce, description));
        }
        Some(_) => {}
    }
    let key_thumbprint = key.jwk_thumbprint();
    // Last, so that a proof that is refused for its nonce may come again with another.
    if !app.oauth.replays.is_first("DPoP proof", &key_thumbprint, &jti, now) {
        return Err(refused("The DPoP proof was used already (its jti is known); make one for each request"));
    }
    Ok(Some(Proof { key_thumbprint }))
}

fn refused(description: impl Into<std::borrow::Cow<'static, str>>) -> OauthError {
    OauthError::new(Refusal::InvalidDpopProof, description)
}

/// Whether two addresses are the same but for what is beside the point: query, fragment, a port that goes without saying, a
/// slash at the end.
fn is_same_address(htu: &str, url: &str) -> bool {
    let (Ok(htu), Ok(url)) = (Url::parse(htu), Url::parse(url)) else { return false };
    htu.origin() == url.origin() && htu.path().trim_end_matches('/') == url.path().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_by_origin_and_path() {
        let url = "https://pds.example.com/oauth/token";
        for same in [url, "HTTPS://PDS.example.com:443/oauth/token?a=b#c", "https://pds.example.com/oauth/token/"] {
            assert!(is_same_address(same, url), "{same}");
        }
        for other in [
            "http://pds.example.com/oauth/token",
            "https://pds.example.com:444/oauth/token",
            "https://pds.example.org/oauth/token",
            "https://pds.example.com/oauth/par",
            "https://pds.example.com/OAuth/token",
            "/oauth/token",
            "",
        ] {
            assert!(!is_same_address(other, url), "{other}");
        }
    }
}
