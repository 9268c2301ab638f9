//! `com.atproto.sync.getHead` (deprecated): the head of a repo.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getHead.json>

use axum::Json;
use axum::extract::State;
use common::Cid;
use serde::Serialize;

use super::{DidParam, readable_head};
use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::XrpcQuery;
use crate::state::AppState;

#[derive(Serialize)]
pub(crate) struct Output {
    root: Cid,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<DidParam>,
    auth: OptionalAuth,
) -> Result<Json<Output>, XrpcError> {
    let (root, _) = readable_head(&app, &auth, &params.did, "HeadNotFound").await?;
    Ok(Json(Output { root }))
}
