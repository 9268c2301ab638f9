//! `com.atproto.sync.getRepo`: a repo as a CAR; with `since`, what changed after that rev.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getRepo.json>

use axum::extract::State;
use axum::response::Response;
use common::{Did, Tid};

use super::{export_response, readable_account};
use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;

pub(crate) struct Parameters {
    did: Did,
    since: Option<Tid>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { did: params.required("did")?, since: params.optional("since")? })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    auth: OptionalAuth,
) -> Result<Response, XrpcError> {
    let account = readable_account(&app, &auth, &params.did).await?;
    export_response(&app, &account, params.since).await
}
