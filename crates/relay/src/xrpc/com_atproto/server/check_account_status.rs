//! `com.atproto.server.checkAccountStatus`: tells how far the caller's account has moved here.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/checkAccountStatus.json>

use axum::Json;
use axum::extract::State;
use common::{Cid, Tid};
use serde::Serialize;

use crate::account;
use crate::auth::{AnyApp, Auth, Standard};
use crate::error::XrpcError;
use crate::state::AppState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    activated: bool,
    valid_did: bool,
    repo_commit: Cid,
    repo_rev: Tid,
    repo_blocks: u64,
    indexed_records: u64,
    private_state_values: u64,
    expected_blobs: u64,
    imported_blobs: u64,
}

pub(crate) async fn handler(State(app): State<AppState>, auth: Auth<Standard, AnyApp>) -> Result<Json<Output>, XrpcError> {
    let found = account::counts(&app, auth.account.id).await?;
    let (head, usage) = found.ok_or_else(|| XrpcError::invalid_request("Could not find repo"))?;
    Ok(Json(Output {
        activated: auth.account.status.is_active(),
        valid_did: account::check_did(&app, &auth.account).await.is_ok(),
        repo_commit: head.commit,
        repo_rev: head.rev,
        // Records, tree nodes and the commit.
        repo_blocks: usage.records + usage.tree_nodes + 1,
        indexed_records: usage.records,
        private_state_values: 0,
        expected_blobs: usage.referenced_blobs,
        imported_blobs: usage.stored_blobs,
    }))
}
