//! `com.atproto.identity.submitPlcOperation`: hands an operation to the PLC directory, if it leaves the account in good order.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/submitPlcOperation.json>

use axum::extract::State;
use crypto::plc::Operation;
use serde::Deserialize;

use crate::account;
use crate::auth::{Auth, ChangesIdentity, Standard, check_takedown};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    operation: serde_json::Value,
}

#[tracing::instrument(skip_all, fields(did = %auth.account.did))]
pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Standard, ChangesIdentity>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    check_takedown(&auth.account)?;
    let operation = Operation::from_json(input.operation)
        .map_err(|err| XrpcError::invalid_request(format!("Invalid operation: {err}")).with_cause(err))?;
    Ok(account::submit_did_change(&app, &auth.account, operation).await?)
}
