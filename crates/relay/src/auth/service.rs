//! Service auth: tokens that an account's own key signs, by which services call each other on its behalf.
//!
//! Spec: <https://atproto.com/specs/xrpc#inter-service-authentication-jwt>

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use common::Did;
use crypto::jwt::{JwtError, Unverified};
use crypto::{SigningKey, VerifyingKey};
use data_encoding::HEXLOWER;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use super::{Credentials, credentials};
use crate::error::XrpcError;
use crate::state::{App, AppState};

/// Where the account's key is in its DID document, and where a labeler's is.
const ACCOUNT_KEY: &str = "atproto";
const LABELER_KEY: &str = "atproto_label";
/// The fragment by which a labeler calls itself in `iss`.
const LABELER_ISS: &str = "atproto_labeler";
/// The fragment by which this server is called in `aud`, if by any.
const PDS_AUD: &str = "atproto_pds";

/// Kinds of token that are not this one, so that none of them can be passed off as it.
const OTHER_TYPES: [&str; 3] = ["at+jwt", "refresh+jwt", "dpop+jwt"];

/// Tells which method a token must have been made for.
pub(crate) trait Method: Send + Sync {
    const NSID: &'static str;
}

/// A caller that may be anyone, or have a token that an account made for the method `M`. A header that is there must be good.
#[derive(Debug)]
pub(crate) struct OptionalServiceAuth<M> {
    /// The account that made the token.
    pub(crate) issuer: Option<Did>,
    method: PhantomData<M>,
}

impl<M: Method> FromRequestParts<AppState> for OptionalServiceAuth<M> {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        let refused = |message: &'static str| XrpcError::unauthorized("AuthMissing", message);
        let issuer = match credentials(&parts.headers) {
            Ok(Credentials::None) => None,
            Ok(Credentials::Bearer(token)) => Some(verify(app, token, M::NSID).await?),
            Ok(Credentials::Basic(_) | Credentials::Dpop(_)) => return Err(refused("Unexpected authorization type")),
            Err(_) => return Err(refused("Malformed authorization header")),
        };
        Ok(Self { issuer, method: PhantomData })
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: serde_json::Number,
    lxm: Option<String>,
}

/// Verifies a token that was made for the method `lxm` of this server, and returns the account that made it.
///
/// # Errors
///
/// 401 with the name of what is wrong: `BadJwt`, `BadJwtType`, `JwtExpired`, `BadJwtAudience`, `BadJwtLexiconMethod`,
/// `BadJwtIss`, `BadJwtSignature`.
pub(crate) async fn verify(app: &App, token: &str, lxm: &str) -> Result<Did, XrpcError> {
    let checked = check(token, &app.config.identity.service_did, lxm, common::Clock::seconds(&*app.clock))?;
    match checked.key_id {
        KeyId::Account => verify_signature(app, token, checked).await,
        // What accounts may do is not for labelers.
        KeyId::Labeler => Err(untrusted_issuer()),
    }
}

/// Verifies a token as [`verify`] does, which `trusted` must have made, as itself or as a labeler.
///
/// # Errors
///
/// `UntrustedIss` when someone else did.
pub(crate) async fn verify_from(app: &App, token: &str, lxm: &str, trusted: &Did) -> Result<(), XrpcError> {
    let checked = check(token, &app.config.identity.service_did, lxm, common::Clock::seconds(&*app.clock))?;
    // Before the DID is looked up: strangers shall not make this server do that.
    if checked.issuer != *trusted {
        return Err(untrusted_issuer());
    }
    verify_signature(app, token, checked).await.map(|_| ())
}

fn untrusted_issuer() -> XrpcError {
    XrpcError::unauthorized("UntrustedIss", "Untrusted issuer")
}

async fn verify_signature(app: &App, token: &str, checked: Checked) -> Result<Did, XrpcError> {
    let unknown = |err| {
        let message = "could not resolve the DID of the jwt's issuer";
        XrpcError::unauthorized("BadJwtIss", message).with_cause(err)
    };
    let key_id = checked.key_id.as_str();
    let document = app.identity.resolve_did(&checked.issuer).await.map_err(unknown)?;
    let known = document.key(key_id);
    if known.as_ref().is_some_and(|key| is_signed_by(token, key)) {
        return Ok(checked.issuer);
    }
    // The account may have moved, and changed its key, since the document was fetched.
    let document = app.identity.refresh_did(&checked.issuer).await.map_err(unknown)?;
    match document.key(key_id) {
        Some(key) if known.as_ref() != Some(&key) && is_signed_by(token, &key) => Ok(checked.issuer),
        Some(_) => Err(XrpcError::unauthorized("BadJwtSignature", "jwt signature does not match jwt issuer")),
        None => Err(XrpcError::unauthorized("BadJwtSignature", format!("missing or bad key #{key_id} in the DID document"))),
    }
}

fn is_signed_by(token: &str, key: &VerifyingKey) -> bool {
    // High-S signatures are good here: other makers of tokens do not normalise them.
    Unverified::parse(token).and_then(|token| token.verify_with::<serde_json::Value>(key)).is_ok()
}

/// Which of its keys an issuer signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyId {
    Account,
    Labeler,
}

impl KeyId {
    /// Returns the fragment of the key's id in the DID document.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Account => ACCOUNT_KEY,
            Self::Labeler => LABELER_KEY,
        }
    }
}

#[derive(Debug)]
struct Checked {
    issuer: Did,
    key_id: KeyId,
}

/// Checks all of a token but its signature, which takes a look at the issuer's DID document.
fn check(token: &str, service: &Did, lxm: &str, now_seconds: i64) -> Result<Checked, XrpcError> {
    let refused = |name, message: &str| XrpcError::unauthorized(name, message.to_owned());
    let malformed = |err: JwtError| refused("BadJwt", "poorly formatted jwt").with_cause(err);
    let token = Unverified::parse(token).map_err(malformed)?;
    if let Some(typ) = token.header().typ.as_deref()
        && OTHER_TYPES.iter().any(|other| typ.eq_ignore_ascii_case(other))
    {
        return Err(refused("BadJwtType", &format!("Invalid jwt type \"{typ}\"")));
    }
    let claims: Claims = token.claims_before_verification().map_err(malformed)?;
    // Some makers of tokens write fractions of a second.
    let exp = claims.exp.as_i64().or_else(|| claims.exp.as_f64().map(|seconds| seconds as i64));
    if exp.is_none_or(|exp| exp <= now_seconds) {
        return Err(refused("JwtExpired", "jwt expired"));
    }
    let (audience, fragment) = split_fragment(&claims.aud);
    if audience != service.as_str() || fragment.is_some_and(|fragment| fragment != PDS_AUD) {
        return Err(refused("BadJwtAudience", "jwt audience does not match service did"));
    }
    match claims.lxm.as_deref() {
        Some(found) if found == lxm => {}
        Some(_) => {
            return Err(refused("BadJwtLexiconMethod", &format!("bad jwt lexicon method (\"lxm\"). must match: {lxm}")));
        }
        None => {
            return Err(refused("BadJwtLexiconMethod", &format!("missing jwt lexicon method (\"lxm\"). must match: {lxm}")));
        }
    }
    let (issuer, fragment) = split_fragment(&claims.iss);
    let bad_issuer = || refused("BadJwtIss", "jwt issuer is not a DID");
    let key_id = match fragment {
        None => KeyId::Account,
        Some(LABELER_ISS | LABELER_KEY) => KeyId::Labeler,
        Some(_) => return Err(bad_issuer()),
    };
    Ok(Checked { issuer: issuer.parse().map_err(|_| bad_issuer())?, key_id })
}

fn split_fragment(text: &str) -> (&str, Option<&str>) {
    text.split_once('#').map_or((text, None), |(did, fragment)| (did, Some(fragment)))
}

/// What an outgoing token says.
#[derive(Debug, Serialize)]
struct Issued<'a> {
    iat: i64,
    iss: &'a Did,
    aud: &'a str,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lxm: Option<&'a str>,
    jti: String,
}

/// Makes a token by which the account `iss` calls the service `aud`, for the method `lxm`, or for all that are not protected.
pub(crate) fn issue(
    key: &SigningKey,
    iss: &Did,
    aud: &str,
    lxm: Option<&str>,
    now_seconds: i64,
    exp: i64,
) -> Result<String, JwtError> {
    let jti = HEXLOWER.encode(&crate::random::bytes::<16>());
    crypto::jwt::encode_signed(key, "JWT", None, &Issued { iat: now_seconds, iss, aud, exp, lxm, jti })
}

#[cfg(test)]
mod tests {
    use crypto::Curve;
    use serde_json::{Value, json};

    use super::*;

    const LXM: &str = "com.atproto.server.createAccount";
    const ISSUER: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

    fn key() -> SigningKey {
        SigningKey::from_bytes(Curve::K256, &[7; 32]).unwrap()
    }

    fn service() -> Did {
        "did:web:pds.example.com".parse().unwrap()
    }

    fn token(typ: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({ "iss": ISSUER, "aud": service(), "exp": 1060, "lxm": LXM });
        change(&mut claims);
        crypto::jwt::encode_signed(&key(), typ, None, &claims).unwrap()
    }

    fn outcome(token: &str) -> String {
        match check(token, &service(), LXM, 1000) {
            Ok(checked) => format!("{} {:?}", checked.issuer, checked.key_id),
            Err(err) => format!("{} {}", err.status().as_u16(), err.name()),
        }
    }

    #[test]
    fn a_token_that_fits_names_its_issuer() {
        let issued = issue(&key(), &ISSUER.parse().unwrap(), service().as_str(), Some(LXM), 1000, 1060).unwrap();
        assert_eq!(outcome(&issued), format!("{ISSUER} Account"));
        assert!(is_signed_by(&issued, key().verifying_key()));
        let other = SigningKey::from_bytes(Curve::K256, &[8; 32]).unwrap();
        assert!(!is_signed_by(&issued, other.verifying_key()));
        assert_eq!(
            outcome(&token("JWT", |claims| claims["aud"] = json!("did:web:pds.example.com#atproto_pds"))),
            format!("{ISSUER} Account")
        );
        let labeler = token("JWT", |claims| claims["iss"] = json!(format!("{ISSUER}#atproto_labeler")));
        assert_eq!(outcome(&labeler), format!("{ISSUER} Labeler"));
    }

    #[test]
    fn each_fault_has_its_name() {
        assert_eq!(outcome("a.b"), "401 BadJwt");
        for typ in ["at+jwt", "refresh+jwt", "dpop+jwt", "AT+JWT"] {
            assert_eq!(outcome(&token(typ, |_| ())), "401 BadJwtType");
        }
        let with = |name: &str, value: Value| outcome(&token("JWT", |claims| claims[name] = value));
        assert_eq!(with("exp", json!(1000)), "401 JwtExpired");
        assert_eq!(with("exp", json!("never")), "401 BadJwt");
        assert_eq!(with("aud", json!("did:web:other.example.com")), "401 BadJwtAudience");
        assert_eq!(with("aud", json!("did:web:pds.example.com#bsky_appview")), "401 BadJwtAudience");
        assert_eq!(with("lxm", json!("com.atproto.repo.uploadBlob")), "401 BadJwtLexiconMethod");
        assert_eq!(with("lxm", Value::Null), "401 BadJwtLexiconMethod");
        assert_eq!(with("iss", json!("alice.test")), "401 BadJwtIss");
        assert_eq!(with("iss", json!(format!("{ISSUER}#other"))), "401 BadJwtIss");
    }
}
