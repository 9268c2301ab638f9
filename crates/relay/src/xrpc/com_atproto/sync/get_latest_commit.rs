//! `com.atproto.sync.getLatestCommit`: the head of a repo.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getLatestCommit.json>

use axum::Json;
use axum::extract::State;
use common::{Cid, Tid};
use serde::Serialize;

use super::{DidParam, readable_head};
use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::XrpcQuery;
use crate::state::AppState;

#[derive(Serialize)]
pub(crate) struct Output {
    cid: Cid,
    rev: Tid,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<DidParam>,
    auth: OptionalAuth,
) -> Result<Json<Output>, XrpcError> {
    let (cid, rev) = readable_head(&app, &auth, &params.did, "RepoNotFound").await?;
    Ok(Json(Output { cid, rev }))
}
