//! `com.atproto.server.createAccount`: makes an account, with a new DID or for one that moves here.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/createAccount.json>

use axum::Json;
use axum::extract::State;
use common::{Did, Handle};
use crypto::VerifyingKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::did_document;
use crate::account::{self, Claim, NewAccount};
use crate::auth::OptionalServiceAuth;
use crate::auth::service::Method;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

/// Whoever moves here proves with a token for this method that the DID is theirs.
#[derive(Debug)]
pub(crate) struct CreateAccount;

impl Method for CreateAccount {
    const NSID: &'static str = "com.atproto.server.createAccount";
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    email: Option<String>,
    handle: Handle,
    did: Option<Did>,
    invite_code: Option<String>,
    password: Option<String>,
    recovery_key: Option<String>,
    plc_op: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    access_jwt: String,
    refresh_jwt: String,
    handle: Handle,
    did: Did,
    #[serde(skip_serializing_if = "Option::is_none")]
    did_doc: Option<Value>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: OptionalServiceAuth<CreateAccount>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    if input.plc_op.is_some() {
        return Err(XrpcError::invalid_request("Unsupported input: \"plcOp\""));
    }
    let claim = match input.did {
        Some(did) if auth.issuer.as_ref() == Some(&did) => Claim::Moving(did),
        Some(did) => {
            let message = format!("Missing auth to create account with did: {did}");
            return Err(XrpcError::unauthorized("AuthenticationRequired", message));
        }
        None => Claim::New { recovery_key: input.recovery_key.map(|key| recovery_key(&key)).transpose()? },
    };
    let new = NewAccount {
        claim,
        handle: input.handle,
        email: input.email,
        password: input.password,
        invite_code: input.invite_code,
        by_operator: false,
    };
    let created = account::create(&app, new).await?;
    let did_doc = match created.did_document {
        Some(document) if app.config.accounts.did_doc_in_session => Some(document),
        _ => did_document(&app, &created.did).await,
    };
    Ok(Json(Output {
        access_jwt: created.tokens.access,
        refresh_jwt: created.tokens.refresh,
        handle: created.handle,
        did: created.did,
        did_doc,
    }))
}

fn recovery_key(text: &str) -> Result<VerifyingKey, XrpcError> {
    VerifyingKey::from_did_key(text)
        .map_err(|err| XrpcError::invalid_request(format!("recoveryKey is not a did:key of secp256k1 or P-256: {err}")))
}
