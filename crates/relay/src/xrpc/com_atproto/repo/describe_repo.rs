//! `com.atproto.repo.describeRepo`: whose repo it is, and what it holds.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/describeRepo.json>

use axum::Json;
use axum::extract::State;
use common::{AtIdentifier, Did, Handle};
use serde::Serialize;

use super::find_account;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::record;
use crate::xrpc::com_atproto::sync::check_status;

pub(crate) struct Parameters {
    repo: AtIdentifier,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { repo: params.required("repo")? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    handle: Handle,
    did: Did,
    did_doc: serde_json::Value,
    collections: Vec<String>,
    handle_is_correct: bool,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    let account = find_account(&app, &params.repo).await?;
    let account =
        account.ok_or_else(|| XrpcError::bad_request("RepoNotFound", format!("Could not find user: {}", params.repo)))?;
    check_status(&account)?;
    let document = app
        .identity
        .resolve_did(&account.did)
        .await
        .map_err(|err| XrpcError::invalid_request(format!("Could not resolve DID: {}", account.did)).with_cause(err))?;
    let collections = app.db.read(|conn| record::collections(conn, account.id)).await.map_err(XrpcError::from)?;
    let handle_is_correct = account.handle.is_some() && document.handle() == account.handle.as_ref();
    Ok(Json(Output {
        handle: account.handle.unwrap_or_else(Handle::invalid),
        did: account.did,
        did_doc: document.as_json().clone(),
        collections,
        handle_is_correct,
    }))
}
