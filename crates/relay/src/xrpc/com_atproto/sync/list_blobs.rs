//! `com.atproto.sync.listBlobs`: lists the blobs that the records of a repo refer to.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/listBlobs.json>

use axum::Json;
use axum::extract::State;
use common::{Cid, Did, Tid};
use serde::Serialize;

use super::readable_account;
use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::blob;

pub(crate) struct Input {
    did: Did,
    /// Only blobs that commits after this one referred to.
    since: Option<Tid>,
    limit: usize,
    cursor: Option<Cid>,
}

impl FromParams for Input {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self {
            did: params.required("did")?,
            since: params.optional("since")?,
            limit: params.integer("limit", &(1..=1000), 500)?,
            cursor: params.optional("cursor")?,
        })
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Output {
    /// The last of `cids`; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Cid>,
    cids: Vec<Cid>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(input): XrpcQuery<Input>,
    auth: OptionalAuth,
) -> Result<Json<Output>, XrpcError> {
    let account = readable_account(&app, &auth, &input.did).await?;
    let cids = app.db.read(|conn| blob::list(conn, account.id, input.since, input.cursor.as_ref(), input.limit)).await?;
    Ok(Json(Output { cursor: cids.last().copied(), cids }))
}
