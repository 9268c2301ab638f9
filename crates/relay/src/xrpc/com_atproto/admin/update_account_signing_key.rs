//! `com.atproto.admin.updateAccountSigningKey`: makes an account's DID name the key that its repo is signed with here.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/updateAccountSigningKey.json>

use axum::extract::State;
use common::Did;
use crypto::VerifyingKey;
use serde::Deserialize;

use super::hosted_account;
use crate::auth::Admin;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    did: Did,
    signing_key: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _admin: Admin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<(), XrpcError> {
    let key = VerifyingKey::from_did_key(&input.signing_key)
        .map_err(|err| XrpcError::invalid_request(format!("signingKey is not a did:key of secp256k1 or P-256: {err}")))?;
    let account = hosted_account(&app, &input.did.into()).await?;
    crate::account::publish_key(&app, &account, key.to_did_key()).await
}
