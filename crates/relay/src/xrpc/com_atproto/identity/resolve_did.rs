//! `com.atproto.identity.resolveDid`: the document of a DID.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/resolveDid.json>

use axum::Json;
use axum::extract::State;
use common::Did;
use serde::Serialize;

use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;

pub(crate) struct Parameters {
    did: Did,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { did: params.required("did")? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    did_doc: serde_json::Value,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    let document = app.identity.resolve_did(&params.did).await?;
    Ok(Json(Output { did_doc: document.as_json().clone() }))
}
