//! `com.atproto.identity.updateHandle`: gives the caller's account another handle.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/updateHandle.json>

use axum::extract::State;
use common::Handle;
use serde::Deserialize;

use crate::account;
use crate::auth::{Auth, ChangesHandle, Standard, check_takedown};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    handle: String,
}

#[tracing::instrument(skip_all, fields(did = %auth.account.did))]
pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Standard, ChangesHandle>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    check_takedown(&auth.account)?;
    let handle: Handle = input
        .handle
        .parse()
        .map_err(|err: common::syntax::HandleError| XrpcError::bad_request("InvalidHandle", err.to_string()))?;
    account::change_handle(&app, &auth.account, handle, false).await
}
