//! `com.atproto.server.resetPassword`: sets a new password, with the code that was mailed for it.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/resetPassword.json>

use axum::extract::State;
use serde::Deserialize;

use crate::account::reset_password;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    token: String,
    password: String,
}

pub(crate) async fn handler(State(app): State<AppState>, XrpcJson(input): XrpcJson<Input>) -> Result<(), XrpcError> {
    Ok(reset_password(&app, input.token, &input.password).await?)
}
