//! `com.atproto.server.reserveSigningKey`: makes the signing key of an account before the account.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/reserveSigningKey.json>

use axum::Json;
use axum::extract::State;
use common::Did;
use serde::{Deserialize, Serialize};

use crate::account::reserve_signing_key;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    did: Option<Did>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    signing_key: String,
}

pub(crate) async fn handler(State(app): State<AppState>, XrpcJson(input): XrpcJson<Input>) -> Result<Json<Output>, XrpcError> {
    Ok(Json(Output { signing_key: reserve_signing_key(&app, input.did).await? }))
}
