//! `com.atproto.admin.updateAccountHandle`: gives an account another handle, which may be a reserved one.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/updateAccountHandle.json>

use axum::extract::State;
use common::{Did, Handle};
use serde::Deserialize;

use super::hosted_account;
use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    did: Did,
    handle: Handle,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    let account = hosted_account(&app, &input.did.into()).await?;
    crate::account::change_handle(&app, &account, input.handle, true).await
}
