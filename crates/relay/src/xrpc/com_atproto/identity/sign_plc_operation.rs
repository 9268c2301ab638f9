//! `com.atproto.identity.signPlcOperation`: signs an operation that changes the caller's did:plc, and leaves it to the caller.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/signPlcOperation.json>

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use crypto::plc::{Operation, Service};
use serde::{Deserialize, Serialize};

use crate::account::{self, DidChange};
use crate::auth::{Auth, ChangesIdentity, FullOrTakendown};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    token: Option<String>,
    rotation_keys: Option<Vec<String>>,
    also_known_as: Option<Vec<String>>,
    verification_methods: Option<BTreeMap<String, String>>,
    services: Option<BTreeMap<String, Service>>,
}

#[derive(Serialize)]
pub(crate) struct Output {
    operation: Operation,
}

#[tracing::instrument(skip_all, fields(did = %auth.account.did))]
pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<FullOrTakendown, ChangesIdentity>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    let token = input.token.filter(|token| !token.trim().is_empty());
    let token = token.ok_or_else(|| XrpcError::invalid_request("email confirmation token required to sign PLC operations"))?;
    let change = DidChange {
        rotation_keys: input.rotation_keys,
        also_known_as: input.also_known_as,
        verification_methods: input.verification_methods,
        services: input.services,
    };
    let operation = account::sign_did_change(&app, &auth.account, &token, change).await?;
    Ok(Json(Output { operation }))
}
