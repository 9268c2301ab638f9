//! `POST /oauth/revoke`: an app signs out. Tokens that are not known, or not the app's, are none to end: the answer is the same.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc7009>

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::answer;
use super::introspect::session_of;
use crate::oauth::{OauthError, OauthForm, client};
use crate::state::AppState;
use crate::store::oauth_session;

pub(crate) async fn handler(State(app): State<AppState>, form: OauthForm) -> Result<Response, OauthError> {
    let session = session_of(&app, form.required("token")?).await?;
    let client_id = form.required("client_id")?;
    let session = session.filter(|session| session.request.client.id == client_id);
    if let Some(session) = session {
        // Who has the token of an app without keys may end it, as they may use it.
        if session.request.auth.is_confidential() {
            let registered = app.oauth.clients.find(client_id, false).await?;
            client::authenticate(&app, &form, &registered).await?;
        }
        app.db.write::<_, OauthError>(move |tx| Ok(oauth_session::delete(tx, &session.id)?)).await?;
    }
    Ok(answer(StatusCode::OK, &json!({})))
}
