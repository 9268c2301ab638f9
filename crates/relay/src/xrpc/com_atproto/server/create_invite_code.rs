//! `com.atproto.server.createInviteCode`: makes an invite code.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/createInviteCode.json>

use axum::Json;
use axum::extract::State;
use common::Did;
use serde::{Deserialize, Serialize};

use super::create_invite_codes::owner;
use crate::account::create_codes;
use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    use_count: u32,
    for_account: Option<Did>,
}

#[derive(Serialize)]
pub(crate) struct Output {
    code: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    let made = create_codes(&app, vec![owner(input.for_account)], 1, input.use_count).await?;
    let code = made.into_iter().flat_map(|(_, codes)| codes).next().expect("one code was asked for");
    Ok(Json(Output { code }))
}
