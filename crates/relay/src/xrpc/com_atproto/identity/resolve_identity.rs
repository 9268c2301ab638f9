//! `com.atproto.identity.resolveIdentity`: DID, handle and document of an account, each checked against the other.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/resolveIdentity.json>

use axum::Json;
use axum::extract::State;
use common::AtIdentifier;

use super::{InfoOutput, identity_info};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;

pub(crate) struct Parameters {
    identifier: AtIdentifier,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { identifier: params.required("identifier")? })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<InfoOutput>, XrpcError> {
    identity_info(&app, &params.identifier, false).await.map(Json)
}
