//! `com.atproto.identity.resolveHandle`: the DID that a handle leads to.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/resolveHandle.json>

use axum::Json;
use axum::extract::State;
use common::{Did, Handle};
use serde::Serialize;

use super::{is_service_handle, local_did};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;

pub(crate) struct Parameters {
    handle: Handle,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { handle: params.required("handle")? })
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    did: Did,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    if let Some(did) = local_did(&app, params.handle.clone()).await {
        return Ok(Json(Output { did }));
    }
    // Nobody but this server answers for these, so there is nobody to ask.
    if is_service_handle(&app, &params.handle) {
        return Err(XrpcError::bad_request("HandleNotFound", "Unable to resolve handle"));
    }
    let did = app.identity.resolve_handle_cached(&params.handle).await?;
    Ok(Json(Output { did }))
}
