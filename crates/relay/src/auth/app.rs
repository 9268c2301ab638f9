//! Callers that are apps: an access token, and the proof of the key that it is bound to.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9449#section-7>

use common::Clock as _;
use http::request::Parts;
use rusqlite::Connection;

use super::check_takedown;
use crate::error::XrpcError;
use crate::oauth::scope::Grants;
use crate::oauth::{Refusal, dpop};
use crate::state::AppState;
use crate::store::account::{self, Account};
use crate::store::{StoreError, oauth_session};

/// Finds the account that an app acts for, and what the app may do.
pub(super) async fn authenticate(parts: &Parts, app: &AppState, token: &str) -> Result<(Account, Grants), XrpcError> {
    let claims = app
        .oauth
        .tokens
        .read_access(token)
        .map_err(|err| invalid("The access token is not one of this server").with_cause(err))?;
    let proof = dpop::check(app, &parts.headers, &parts.method, parts.uri.path(), Some(token));
    let proof = proof.map_err(|err| {
        let name = if err.refusal == Refusal::UseDpopNonce { "use_dpop_nonce" } else { "invalid_dpop_proof" };
        XrpcError::unauthorized_app(name, err.description)
    })?;
    let proof = proof.ok_or_else(|| XrpcError::unauthorized_app("invalid_dpop_proof", "The request has no DPoP header"))?;
    if proof.key_thumbprint != claims.cnf.jkt {
        return Err(invalid("The access token is bound to another key than that of the DPoP proof"));
    }
    let now = app.clock.millis();
    if claims.exp <= now / 1000 {
        return Err(invalid("The access token has expired"));
    }
    let find = |conn: &Connection| {
        let Some(session) = oauth_session::find(conn, &claims.sid)? else { return Ok::<_, StoreError>(None) };
        Ok(account::find(conn, session.account)?.map(|account| (session, account)))
    };
    let found = app.db.read(find).await?;
    let found = found.filter(|(session, account)| session.expires_at > now && account.did == claims.sub);
    let (session, account) = found.ok_or_else(|| invalid("The session of the access token has ended"))?;
    check_takedown(&account)?;
    Ok((account, Grants::parse(&session.expanded_scope)))
}

/// Tells whoever sends a token of an app without a proof how it is done.
pub(super) fn explain(app: &AppState, bearer: &str) -> Option<XrpcError> {
    let is_of_app = app.oauth.tokens.read_access(bearer).is_ok();
    is_of_app.then(|| invalid("The access token is bound to a key: send it as Authorization: DPoP, with a DPoP proof"))
}

fn invalid(message: &'static str) -> XrpcError {
    XrpcError::unauthorized_app("invalid_token", message)
}
