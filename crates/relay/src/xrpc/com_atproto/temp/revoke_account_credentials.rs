//! `com.atproto.temp.revokeAccountCredentials`: takes from an account its password, app passwords and sessions, until it gets a new password by mail.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/temp/revokeAccountCredentials.json>

use axum::extract::State;
use common::AtIdentifier;
use serde::Deserialize;

use crate::account::operator;
use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;
use crate::xrpc::com_atproto::admin::hosted_account;

#[derive(Deserialize)]
pub(crate) struct Input {
    account: AtIdentifier,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    let account = hosted_account(&app, &input.account).await?;
    operator::revoke_credentials(&app, account.id).await
}
