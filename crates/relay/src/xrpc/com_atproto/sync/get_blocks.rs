//! `com.atproto.sync.getBlocks`: blocks of a repo by CID.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getBlocks.json>

use axum::extract::State;
use axum::response::Response;
use common::{Cid, Did};
use repo_engine::car;

use super::{car_response, readable_account};
use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::repo::RepoSnapshot;
use crate::state::AppState;
use crate::store::StoreError;

/// Most CIDs in one request. The lexicon names no bound; a URL of this many takes about 32 kB.
const MAX_CIDS: usize = 500;

pub(crate) struct Parameters {
    did: Did,
    cids: Vec<Cid>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { did: params.required("did")?, cids: params.list("cids", MAX_CIDS)? })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    auth: OptionalAuth,
) -> Result<Response, XrpcError> {
    let account = readable_account(&app, &auth, &params.did).await?;
    let cids = params.cids;
    let blocks = app
        .db
        .scan(move |conn| {
            let _tx = conn.unchecked_transaction().map_err(StoreError::from)?;
            let Some(snapshot) = RepoSnapshot::open(conn, account.id)? else { return Ok(None) };
            let blocks = snapshot.blocks(&cids)?;
            let missing: Vec<String> = cids.iter().filter(|cid| !blocks.contains_key(cid)).map(ToString::to_string).collect();
            if !missing.is_empty() {
                let message = format!("Could not find cids: {}", missing.join(", "));
                return Err(XrpcError::bad_request("BlockNotFound", message));
            }
            let mut out = car::header_of(&[]);
            for (cid, block) in &blocks {
                car::write_block(&mut out, cid, block);
            }
            Ok(Some(out))
        })
        .await?;
    blocks
        .map(car_response)
        .ok_or_else(|| XrpcError::bad_request("RepoNotFound", format!("Could not find repo for DID: {}", params.did)))
}
