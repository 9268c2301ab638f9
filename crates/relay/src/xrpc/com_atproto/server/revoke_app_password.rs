//! `com.atproto.server.revokeAppPassword`: ends an app password and the sessions that it began.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/revokeAppPassword.json>

use axum::extract::State;
use serde::Deserialize;

use crate::account::revoke_app_password;
use crate::auth::{Auth, Standard};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    name: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Standard>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    Ok(revoke_app_password(&app, auth.account.id, input.name).await?)
}
