//! `com.atproto.sync.getRecord`: a proof of what a repo holds under a key, be it a record or nothing.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getRecord.json>

use axum::extract::State;
use axum::response::Response;
use common::{Did, Nsid, RecordKey};
use repo_engine::Key;

use super::{car_response, readable_account};
use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::repo::RepoSnapshot;
use crate::state::AppState;
use crate::store::StoreError;

pub(crate) struct Parameters {
    did: Did,
    collection: Nsid,
    rkey: RecordKey,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { did: params.required("did")?, collection: params.required("collection")?, rkey: params.required("rkey")? })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    auth: OptionalAuth,
) -> Result<Response, XrpcError> {
    let account = readable_account(&app, &auth, &params.did).await?;
    let key = Key::new(&params.collection, &params.rkey);
    let proof = app
        .db
        .read(|conn| {
            let _tx = conn.unchecked_transaction().map_err(StoreError::from)?;
            let snapshot = RepoSnapshot::open(conn, account.id)?;
            Ok::<_, XrpcError>(snapshot.map(|snapshot| snapshot.record_proof(&key)).transpose()?)
        })
        .await?;
    proof
        .map(car_response)
        .ok_or_else(|| XrpcError::bad_request("RepoNotFound", format!("Could not find repo for DID: {}", params.did)))
}
