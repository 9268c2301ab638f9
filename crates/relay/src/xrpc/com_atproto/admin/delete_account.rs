//! `com.atproto.admin.deleteAccount`: deletes an account, with all that it has here.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/deleteAccount.json>

use axum::extract::State;
use common::Did;
use serde::Deserialize;

use super::hosted_account;
use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    did: Did,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    let account = hosted_account(&app, &input.did.into()).await?;
    crate::account::delete(&app, &account).await
}
