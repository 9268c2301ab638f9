//! `com.atproto.admin.updateAccountPassword`: gives an account another password, and ends its sessions.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/updateAccountPassword.json>

use axum::extract::State;
use common::Did;
use serde::Deserialize;

use super::hosted_account;
use crate::account::operator;
use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    did: Did,
    password: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    let account = hosted_account(&app, &input.did.into()).await?;
    operator::set_password(&app, account.id, &input.password).await
}
