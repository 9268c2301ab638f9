//! `com.atproto.repo.listRecords`: the records of a collection, newest key first.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/listRecords.json>

use axum::extract::State;
use common::{AtIdentifier, Nsid, RecordKey};

use super::{find_account, uri_of};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::{record, row};
use crate::xrpc::json::ObjectWriter;

pub(crate) struct Parameters {
    repo: AtIdentifier,
    collection: Nsid,
    limit: usize,
    cursor: Option<RecordKey>,
    reverse: bool,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self {
            repo: params.required("repo")?,
            collection: params.required("collection")?,
            limit: params.integer("limit", &(1..=100), 50)?,
            cursor: params.optional("cursor")?,
            reverse: params.boolean("reverse", false)?,
        })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<ObjectWriter, XrpcError> {
    let account = find_account(&app, &params.repo).await?.filter(|account| account.status.is_active());
    let account = account.ok_or_else(|| XrpcError::invalid_request(format!("Could not find repo: {}", params.repo)))?;
    let page =
        record::Page { cursor: params.cursor.as_ref().map(RecordKey::as_str), limit: params.limit, ascending: params.reverse };
    let mut out = ObjectWriter::with_capacity(params.limit * 512);
    let mut last = None;
    out.begin();
    out.begin_array("records");
    app.db
        .read(|conn| {
            record::list(conn, account.id, params.collection.as_str(), page, |path, cid, block| {
                out.item();
                out.text("uri", &uri_of(&account.did, path));
                out.cid("cid", &cid);
                out.cbor("value", block).map_err(|err| row::corrupt("record", "block", &err))?;
                out.end();
                last = path.rsplit_once('/').map(|(_, rkey)| rkey.to_owned());
                Ok(())
            })
        })
        .await
        .map_err(XrpcError::from)?;
    out.end_array();
    // Also on the last page, as clients know it: they stop at an empty one.
    if let Some(cursor) = last {
        out.text("cursor", &cursor);
    }
    out.end();
    Ok(out)
}
