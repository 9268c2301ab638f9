//! Session tokens.

use common::Did;
use crypto::jwt::{self, JwtError, Unverified};
use serde::{Deserialize, Serialize};

use crate::error::XrpcError;
use crate::secrets::Secrets;

/// How long an access token is good for.
pub(crate) const ACCESS_SECONDS: i64 = 120 * 60;
/// How long a refresh token is good for.
pub(crate) const REFRESH_SECONDS: i64 = 90 * 24 * 3600;

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    /// Signed in with the account's password.
    #[serde(rename = "com.atproto.access")]
    Access,
    /// Signed in with an app password that may read and write chats.
    #[serde(rename = "com.atproto.appPassPrivileged")]
    AppPassPrivileged,
    /// Signed in with an app password.
    #[serde(rename = "com.atproto.appPass")]
    AppPass,
    /// The account was taken down; its owner may still move away.
    #[serde(rename = "com.atproto.takendown")]
    Takendown,
    #[serde(rename = "com.atproto.signupQueued")]
    SignupQueued,
    /// Only good for a new pair of tokens.
    #[serde(rename = "com.atproto.refresh")]
    Refresh,
}

/// The claims of a session token. Access tokens have no `jti`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) scope: Scope,
    pub(crate) aud: String,
    pub(crate) sub: Did,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
}

const ACCESS_TYP: &str = "at+jwt";
const REFRESH_TYP: &str = "refresh+jwt";

/// Makes an access token.
pub(crate) fn access(secret: &[u8], service: &Did, sub: &Did, scope: Scope, now_seconds: i64) -> Result<String, JwtError> {
    let exp = now_seconds + ACCESS_SECONDS;
    let claims = Claims { scope, aud: service.to_string(), sub: sub.clone(), iat: now_seconds, exp, jti: None };
    jwt::encode_hs256(secret, ACCESS_TYP, &claims)
}

/// Makes a refresh token that ends at `exp`.
pub(crate) fn refresh(
    secret: &[u8],
    service: &Did,
    sub: &Did,
    jti: &str,
    now_seconds: i64,
    exp: i64,
) -> Result<String, JwtError> {
    let claims = Claims {
        scope: Scope::Refresh,
        aud: service.to_string(),
        sub: sub.clone(),
        iat: now_seconds,
        exp,
        jti: Some(jti.to_owned()),
    };
    jwt::encode_hs256(secret, REFRESH_TYP, &claims)
}

/// Verifies an access token: signature, kind, audience and time. Its scope is for the caller to check.
pub(crate) fn verify_access(secrets: &Secrets, service: &Did, token: &str, now_seconds: i64) -> Result<Claims, XrpcError> {
    let claims = verify(secrets, service, token, ACCESS_TYP)?;
    if claims.scope == Scope::Refresh {
        return Err(bad_scope());
    }
    check_time(&claims, now_seconds)?;
    Ok(claims)
}

/// Verifies a refresh token. With `allow_expired` its time does not matter, for signing out.
pub(crate) fn verify_refresh(
    secrets: &Secrets,
    service: &Did,
    token: &str,
    now_seconds: i64,
    allow_expired: bool,
) -> Result<Claims, XrpcError> {
    let claims = verify(secrets, service, token, REFRESH_TYP)?;
    if claims.scope != Scope::Refresh || claims.jti.is_none() {
        return Err(bad_scope());
    }
    if !allow_expired {
        check_time(&claims, now_seconds)?;
    }
    Ok(claims)
}

pub(crate) fn bad_scope() -> XrpcError {
    XrpcError::bad_request("InvalidToken", "Bad token scope")
}

fn invalid() -> XrpcError {
    XrpcError::bad_request("InvalidToken", "Token could not be verified")
}

fn check_time(claims: &Claims, now_seconds: i64) -> Result<(), XrpcError> {
    // Clients take exactly this answer as the sign to refresh.
    if claims.exp <= now_seconds {
        return Err(XrpcError::bad_request("ExpiredToken", "Token has expired"));
    }
    Ok(())
}

fn verify(secrets: &Secrets, service: &Did, token: &str, typ: &str) -> Result<Claims, XrpcError> {
    let unverified = Unverified::parse(token).map_err(|err| invalid().with_cause(err))?;
    let found = unverified.header().typ.clone();
    let own = unverified.verify_hs256(secrets.jwt_secret());
    let claims: Claims = own.or_else(|err| adopted(secrets, token).ok_or(err)).map_err(|err| invalid().with_cause(err))?;
    // Of our own tokens, one of the other kind; everything else has failed above.
    if found.as_deref() != Some(typ) {
        return Err(bad_scope());
    }
    if claims.aud != service.as_str() {
        return Err(invalid());
    }
    Ok(claims)
}

/// Returns the claims of a token that the server signed whose accounts were adopted, before they were: it ends by itself, and no
/// longer afterwards than any token lasts.
fn adopted(secrets: &Secrets, token: &str) -> Option<Claims> {
    let adopted = secrets.adopted_jwt_secret()?;
    let claims: Claims = Unverified::parse(token).ok()?.verify_hs256(&adopted.secret).ok()?;
    (claims.iat <= adopted.until_seconds && claims.exp.saturating_sub(claims.iat) <= REFRESH_SECONDS).then_some(claims)
}
