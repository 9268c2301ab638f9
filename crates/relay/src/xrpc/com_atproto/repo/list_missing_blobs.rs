//! `com.atproto.repo.listMissingBlobs`: lists the blobs that the caller's records refer to and that are not here.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/listMissingBlobs.json>

use axum::Json;
use axum::extract::State;
use common::Cid;
use serde::Serialize;

use super::uri_of;
use crate::auth::{AnyApp, Auth, Standard};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::blob;

pub(crate) struct Parameters {
    limit: usize,
    cursor: Option<Cid>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { limit: params.integer("limit", &(1..=1000), 500)?, cursor: params.optional("cursor")? })
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Cid>,
    blobs: Vec<RecordBlob>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordBlob {
    cid: Cid,
    record_uri: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    auth: Auth<Standard, AnyApp>,
) -> Result<Json<Output>, XrpcError> {
    let id = auth.account.id;
    let missing = app.db.scan(move |conn| blob::list_missing(conn, id, params.cursor.as_ref(), params.limit)).await?;
    let did = &auth.account.did;
    let blobs = missing.into_iter().map(|(cid, path)| RecordBlob { cid, record_uri: uri_of(did, &path) }).collect::<Vec<_>>();
    Ok(Json(Output { cursor: blobs.last().map(|blob| blob.cid), blobs }))
}
