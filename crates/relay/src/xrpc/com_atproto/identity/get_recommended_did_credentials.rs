//! `com.atproto.identity.getRecommendedDidCredentials`: tells what the caller's DID should say for its account to be here.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/getRecommendedDidCredentials.json>

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use crypto::plc::Service;
use serde::Serialize;

use crate::account;
use crate::auth::{AnyApp, Auth, Standard};
use crate::error::XrpcError;
use crate::state::AppState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    /// Absent where the DID is no did:plc, which alone has such keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_keys: Option<Vec<String>>,
    also_known_as: Vec<String>,
    verification_methods: BTreeMap<String, String>,
    services: BTreeMap<String, Service>,
}

pub(crate) async fn handler(State(app): State<AppState>, auth: Auth<Standard, AnyApp>) -> Result<Json<Output>, XrpcError> {
    let wanted = account::recommended_did(&app, &auth.account).await?;
    Ok(Json(Output {
        rotation_keys: auth.account.did.is_plc().then_some(wanted.rotation_keys),
        also_known_as: wanted.also_known_as,
        verification_methods: wanted.verification_methods,
        services: wanted.services,
    }))
}
