//! `com.atproto.sync.getHead` (deprecated): the head of a repo.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getHead.json>

use axum::Json;
use axum::extract::State;
use common::Cid;
use serde::Serialize;

use super::{DidParam, readable_account};
use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::XrpcQuery;
use crate::state::AppState;
use crate::store::repo;

#[derive(Serialize)]
pub(crate) struct Output {
    root: Cid,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<DidParam>,
    auth: OptionalAuth,
) -> Result<Json<Output>, XrpcError> {
    let account = readable_account(&app, &auth, &params.did).await?;
    let head = app.db.read(|conn| repo::find_head(conn, account.id)).await.map_err(XrpcError::from)?;
    let (root, _) =
        head.ok_or_else(|| XrpcError::bad_request("HeadNotFound", format!("Could not find root for DID: {}", params.did)))?;
    Ok(Json(Output { root }))
}
