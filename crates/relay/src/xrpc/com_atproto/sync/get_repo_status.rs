//! `com.atproto.sync.getRepoStatus`: whether a repo is hosted here and active.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getRepoStatus.json>

use axum::Json;
use axum::extract::State;
use common::{Did, Tid};
use serde::Serialize;

use super::{DidParam, any_account};
use crate::error::XrpcError;
use crate::extract::XrpcQuery;
use crate::state::AppState;
use crate::store::repo;

#[derive(Serialize)]
pub(crate) struct Output {
    did: Did,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<Tid>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<DidParam>,
) -> Result<Json<Output>, XrpcError> {
    let account = any_account(&app, &params.did).await?;
    let active = account.status.is_active();
    let head = app.db.read(|conn| repo::find_head(conn, account.id)).await.map_err(XrpcError::from)?;
    let rev = head.filter(|_| active).map(|(_, rev)| rev);
    Ok(Json(Output { did: account.did, active, status: account.status.as_str(), rev }))
}
