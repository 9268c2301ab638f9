//! `com.atproto.server.requestPasswordReset`: mails a code for a new password, if an account has the address. The answer is
//! the same if none has.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/requestPasswordReset.json>

use axum::extract::State;
use serde::Deserialize;

use crate::account::request_password_reset;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    email: String,
}

pub(crate) async fn handler(State(app): State<AppState>, XrpcJson(input): XrpcJson<Input>) -> Result<(), XrpcError> {
    Ok(request_password_reset(&app, input.email)?)
}
