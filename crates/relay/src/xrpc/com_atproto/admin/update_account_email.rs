//! `com.atproto.admin.updateAccountEmail`: gives an account another e-mail address, which is not confirmed.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/updateAccountEmail.json>

use axum::extract::State;
use common::AtIdentifier;
use serde::Deserialize;

use super::hosted_account;
use crate::account::{Email, operator};
use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    account: AtIdentifier,
    email: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    let account = hosted_account(&app, &input.account).await?;
    let email = Email::parse(&input.email).map_err(|err| XrpcError::invalid_request(err.to_string()))?;
    operator::set_email(&app, account.id, email).await
}
