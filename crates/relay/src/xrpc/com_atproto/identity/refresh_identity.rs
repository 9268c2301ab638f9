//! `com.atproto.identity.refreshIdentity`: resolves an identity anew, for any account of this server.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/refreshIdentity.json>

use axum::Json;
use axum::extract::State;
use common::AtIdentifier;
use serde::Deserialize;

use super::{InfoOutput, identity_info};
use crate::auth::{AnyApp, Auth, Standard};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    identifier: AtIdentifier,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    // Each call asks other hosts, which strangers shall not make this server do.
    _: Auth<Standard, AnyApp>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<InfoOutput>, XrpcError> {
    identity_info(&app, &input.identifier, true).await.map(Json)
}
