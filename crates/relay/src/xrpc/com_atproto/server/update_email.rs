//! `com.atproto.server.updateEmail`: gives the account another address, or says whether signing in takes a code from
//! the mail.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/updateEmail.json>

use axum::extract::State;
use serde::Deserialize;

use crate::account::{EmailChange, update_email};
use crate::auth::{Auth, Full, check_takedown};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    email: String,
    #[serde(default)]
    email_auth_factor: Option<bool>,
    token: Option<String>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Full>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    check_takedown(&auth.account)?;
    let change = EmailChange { email: input.email, code: input.token, auth_factor: input.email_auth_factor };
    Ok(update_email(&app, auth.account.id, change).await?)
}
