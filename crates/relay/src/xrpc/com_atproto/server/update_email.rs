//! `com.atproto.server.updateEmail`: gives the account another address.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/updateEmail.json>

use axum::extract::State;
use serde::Deserialize;

use crate::account::update_email;
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
    // To ignore it would let people believe that signing in takes a second factor from now on.
    if input.email_auth_factor == Some(true) {
        return Err(XrpcError::invalid_request("This server does not ask for a code by mail when someone signs in"));
    }
    Ok(update_email(&app, &auth.account, &input.email, input.token).await?)
}
