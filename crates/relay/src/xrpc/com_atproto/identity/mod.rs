//! `com.atproto.identity.*`: who is behind a handle or a DID.

pub(crate) mod get_recommended_did_credentials;
pub(crate) mod refresh_identity;
pub(crate) mod request_plc_operation_signature;
pub(crate) mod resolve_did;
pub(crate) mod resolve_handle;
pub(crate) mod resolve_identity;
pub(crate) mod sign_plc_operation;
pub(crate) mod submit_plc_operation;
pub(crate) mod update_handle;

use common::{AtIdentifier, Did, Handle};
use serde::Serialize;

use crate::error::XrpcError;
use crate::identity::{IdentityInfo, PlcClientError, ResolveError};
use crate::state::AppState;
use crate::store::account;

/// `com.atproto.identity.defs#identityInfo`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InfoOutput {
    did: Did,
    handle: Handle,
    did_doc: serde_json::Value,
}

impl From<IdentityInfo> for InfoOutput {
    fn from(info: IdentityInfo) -> Self {
        Self { did: info.did, handle: info.handle, did_doc: info.document.as_json().clone() }
    }
}

/// Resolves an identity; with `fresh`, past the caches.
async fn identity_info(app: &AppState, identifier: &AtIdentifier, fresh: bool) -> Result<InfoOutput, XrpcError> {
    let info = app.identity.resolve_identity(identifier, fresh, |handle| local_did(app, handle)).await?;
    Ok(info.into())
}

/// Returns the DID of an active account here that has `handle`.
async fn local_did(app: &AppState, handle: Handle) -> Option<Did> {
    let account = app.db.read(|conn| account::find_by_handle(conn, &handle)).await;
    account.ok().flatten().filter(|account| account.status.is_active()).map(|account| account.did)
}

/// Whether a handle is under a domain that this server gives handles out for, or is one of these domains.
fn is_service_handle(app: &AppState, handle: &Handle) -> bool {
    app.config
        .identity
        .handle_domains
        .iter()
        .any(|domain| domain.strip(handle.as_str()).is_some() || domain.as_str().strip_prefix('.') == Some(handle.as_str()))
}

impl From<PlcClientError> for XrpcError {
    fn from(err: PlcClientError) -> Self {
        match err {
            // What the directory says against an operation is for whoever made it.
            PlcClientError::NotFound(_) | PlcClientError::Deactivated(_) | PlcClientError::Refused { .. } => {
                Self::invalid_request(err.to_string())
            }
            PlcClientError::Failed { .. } | PlcClientError::Fetch(_) | PlcClientError::Answer(_) => {
                Self::upstream("The PLC directory could not be reached; try again later").with_cause(err)
            }
        }
    }
}

impl From<ResolveError> for XrpcError {
    fn from(err: ResolveError) -> Self {
        let message = err.to_string();
        match err {
            ResolveError::DidNotFound(_) | ResolveError::Unsupported(_) => Self::bad_request("DidNotFound", message),
            ResolveError::DidDeactivated(_) => Self::bad_request("DidDeactivated", message),
            ResolveError::HandleNotFound { .. } => Self::bad_request("HandleNotFound", message),
            ResolveError::Document { .. } | ResolveError::Status { .. } | ResolveError::Fetch(_) | ResolveError::Slow(_) => {
                Self::upstream(message)
            }
            ResolveError::Lost => Self::unavailable(message, 5),
        }
    }
}
