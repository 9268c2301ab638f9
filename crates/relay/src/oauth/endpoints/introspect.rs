//! `POST /oauth/introspect`: tells an app that proves who it is about a token of its own.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc7662>

use axum::extract::State;
use axum::response::Response;
use common::Clock as _;
use http::StatusCode;
use serde_json::json;

use super::answer;
use crate::oauth::{OauthError, OauthForm, client};
use crate::state::{App, AppState};
use crate::store::oauth_session::{self, OauthSession};

pub(crate) async fn handler(State(app): State<AppState>, form: OauthForm) -> Result<Response, OauthError> {
    let client_id = form.required("client_id")?;
    let token = form.required("token")?;
    let registered = app.oauth.clients.find(client_id, false).await?;
    let auth = client::authenticate(&app, &form, &registered).await?;
    if !auth.is_confidential() {
        return Err(OauthError::invalid_client("Only clients that prove who they are (private_key_jwt) may ask about tokens"));
    }
    let now = app.clock.seconds();
    let session = session_of(&app, token).await?;
    let session = session.filter(|session| session.request.client.id == client_id && session.expires_at > now * 1000);
    let claims = app.oauth.tokens.read_access(token).ok();
    let is_over = claims.as_ref().is_some_and(|claims| claims.exp <= now);
    let Some(session) = session.filter(|_| !is_over) else {
        return Ok(answer(StatusCode::OK, &json!({ "active": false })));
    };
    let owner = app.db.read(|conn| crate::store::account::find(conn, session.account)).await?;
    let Some(owner) = owner else { return Ok(answer(StatusCode::OK, &json!({ "active": false }))) };
    let expires_at = claims.as_ref().map_or(session.expires_at / 1000, |claims| claims.exp);
    let body = json!({
        "active": true,
        "iss": app.config.server.public_url.as_str(),
        "aud": app.config.identity.service_did,
        "sub": owner.did,
        "client_id": client_id,
        "scope": session.expanded_scope,
        "token_type": "DPoP",
        "iat": claims.map_or(session.refreshed_at / 1000, |claims| claims.iat),
        "exp": expires_at,
        "cnf": { "jkt": session.key_thumbprint },
    });
    Ok(answer(StatusCode::OK, &body))
}

/// Finds the session of an access or refresh token, if this server made it and the session goes on.
pub(super) async fn session_of(app: &App, token: &str) -> Result<Option<OauthSession>, OauthError> {
    let tokens = &app.oauth.tokens;
    let refresh = tokens.read_refresh(token);
    let id = match (&refresh, tokens.read_access(token)) {
        (Some(token), _) => token.session.clone(),
        (None, Ok(claims)) => claims.sid,
        (None, Err(_)) => return Ok(None),
    };
    let session = app.db.read(|conn| oauth_session::find(conn, &id)).await?;
    // Of the refresh tokens only the last one is good for anything.
    Ok(session.filter(|session| refresh.is_none_or(|token| token.count == session.refresh_count)))
}
