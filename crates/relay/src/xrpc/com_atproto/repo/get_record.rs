//! `com.atproto.repo.getRecord`: one record.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/getRecord.json>

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use common::{AtIdentifier, Cid, Nsid, RecordKey};

use super::{find_account, uri_of};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::record;
use crate::xrpc::json::ObjectWriter;
use crate::xrpc::proxy::{self, Failure, Target};

pub(crate) struct Parameters {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: RecordKey,
    cid: Option<Cid>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self {
            repo: params.required("repo")?,
            collection: params.required("collection")?,
            rkey: params.required("rkey")?,
            cid: params.optional("cid")?,
        })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    request: Request,
) -> Result<Response, Failure> {
    let path = format!("{}/{}", params.collection, params.rkey);
    let missing = || {
        let repo = &params.repo;
        XrpcError::bad_request("RecordNotFound", format!("Could not locate record: at://{repo}/{path}"))
    };
    let account = find_account(&app, &params.repo).await?.filter(|account| account.status.is_active());
    let Some(account) = account else {
        // Of repos elsewhere the AppView knows.
        let appview = Target::appview(&app).ok_or_else(missing)?;
        return Ok(proxy::ask_unsigned(&app, &appview, request).await?.pass());
    };
    let record = app.db.read(|conn| record::find(conn, account.id, &path)).await.map_err(XrpcError::from)?;
    let record = record.filter(|record| !record.taken_down && params.cid.is_none_or(|cid| cid == record.cid));
    let record = record.ok_or_else(missing)?;

    let mut out = ObjectWriter::with_capacity(256 + record.block.len() * 2);
    out.begin();
    out.text("uri", &uri_of(&account.did, &path));
    out.cid("cid", &record.cid);
    out.cbor("value", &record.block).map_err(XrpcError::internal)?;
    out.end();
    Ok(out.into_response())
}
