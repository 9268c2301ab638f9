//! `com.atproto.sync.*`: repos as the network reads them.

pub(crate) mod get_blob;
pub(crate) mod get_blocks;
pub(crate) mod get_checkout;
pub(crate) mod get_head;
pub(crate) mod get_host_status;
pub(crate) mod get_latest_commit;
pub(crate) mod get_record;
pub(crate) mod get_repo;
pub(crate) mod get_repo_status;
pub(crate) mod list_blobs;
pub(crate) mod list_repos;
pub(crate) mod list_repos_by_collection;
pub(crate) mod subscribe_repos;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use common::{Cid, Did, Tid};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use tokio_stream::wrappers::ReceiverStream;

use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params};
use crate::repo::SnapshotError;
use crate::state::AppState;
use crate::store::account::{self, Account, Status};
use crate::store::repo;

/// The media type of CAR files.
pub(crate) const CAR: &str = "application/vnd.ipld.car";

/// The parameter of methods that ask about one repo.
pub(crate) struct DidParam {
    did: Did,
}

impl FromParams for DidParam {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { did: params.required("did")? })
    }
}

/// Finds a hosted account, whatever its status.
pub(crate) async fn any_account(app: &AppState, did: &Did) -> Result<Account, XrpcError> {
    let account = app.db.read(|conn| account::find_by_did(conn, did)).await.map_err(XrpcError::from)?;
    account.ok_or_else(|| XrpcError::bad_request("RepoNotFound", format!("Could not find repo for DID: {did}")))
}

/// Finds an account whose repo the caller may read: an active one, or for its owner and admins any.
pub(crate) async fn readable_account(app: &AppState, auth: &OptionalAuth, did: &Did) -> Result<Account, XrpcError> {
    let account = any_account(app, did).await?;
    if !auth.sees_inactive(&account) {
        check_status(&account)?;
    }
    Ok(account)
}

/// Finds the head of a repo that the caller may read; `missing` names the error of a repo without one.
async fn readable_head(app: &AppState, auth: &OptionalAuth, did: &Did, missing: &'static str) -> Result<(Cid, Tid), XrpcError> {
    let account = readable_account(app, auth, did).await?;
    let head = app.db.read(|conn| repo::find_head(conn, account.id)).await.map_err(XrpcError::from)?;
    head.ok_or_else(|| XrpcError::bad_request(missing, format!("Could not find root for DID: {did}")))
}

/// Refuses an account that is not active, with the error of its status.
pub(crate) fn check_status(account: &Account) -> Result<(), XrpcError> {
    let did = &account.did;
    match account.status {
        Status::Active => Ok(()),
        Status::Takendown => Err(XrpcError::bad_request("RepoTakendown", format!("Repo has been takendown: {did}"))),
        Status::Suspended => Err(XrpcError::bad_request("RepoSuspended", format!("Repo has been suspended: {did}"))),
        Status::Deactivated => Err(XrpcError::bad_request("RepoDeactivated", format!("Repo has been deactivated: {did}"))),
    }
}

impl From<SnapshotError> for XrpcError {
    fn from(err: SnapshotError) -> Self {
        match err {
            SnapshotError::Store(err) => err.into(),
            SnapshotError::Tree(_) => Self::internal(err),
        }
    }
}

/// Answers with a CAR that is in memory.
pub(crate) fn car_response(car: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(CAR))], car).into_response()
}

/// Streams a repo, or what changed in it after `since`.
pub(crate) async fn export_response(app: &AppState, account: &Account, since: Option<Tid>) -> Result<Response, XrpcError> {
    let export = crate::repo::export(&app.db, account.id, since).await?;
    let export = export
        .ok_or_else(|| XrpcError::bad_request("RepoNotFound", format!("Could not find repo for DID: {}", account.did)))?;
    let mut response = Body::from_stream(ReceiverStream::new(export)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CAR));
    let name = format!("attachment; filename=\"{}.car\"", account.did.as_str().replace(':', "-"));
    if let Ok(name) = HeaderValue::try_from(name) {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
