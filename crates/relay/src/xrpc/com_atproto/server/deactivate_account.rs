//! `com.atproto.server.deactivateAccount`: takes the caller's account out of the network, until it is activated again.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/deactivateAccount.json>

use axum::extract::State;
use common::Datetime;
use serde::Deserialize;

use crate::account;
use crate::auth::{Auth, FullOrTakendown, ManagesStatus};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    delete_after: Option<Datetime>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<FullOrTakendown, ManagesStatus>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    let delete_after = input.delete_after.map(|time| time.millis());
    Ok(account::deactivate(&app, auth.account.id, delete_after).await?)
}
