//! `com.atproto.server.deleteAccount`: deletes an account, with its password and the code that was mailed for it.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/deleteAccount.json>

use axum::extract::State;
use common::Did;
use serde::Deserialize;

use crate::account::delete_own;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    did: Did,
    password: String,
    token: String,
}

pub(crate) async fn handler(State(app): State<AppState>, XrpcJson(input): XrpcJson<Input>) -> Result<(), XrpcError> {
    Ok(delete_own(&app, input.did, &input.password, input.token).await?)
}
