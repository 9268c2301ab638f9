//! `com.atproto.server.confirmEmail`: confirms the address of the account, with the code that was mailed to it.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/confirmEmail.json>

use axum::extract::State;
use serde::Deserialize;

use crate::account::confirm_email;
use crate::auth::{Auth, ManagesEmail, Standard, check_takedown};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    email: String,
    token: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Standard, ManagesEmail>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    check_takedown(&auth.account)?;
    Ok(confirm_email(&app, auth.account.id, &input.email, input.token).await?)
}
