//! `com.atproto.sync.getCheckout` (deprecated): a repo as a CAR.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getCheckout.json>

use axum::extract::State;
use axum::response::Response;

use super::{DidParam, export_response, readable_account};
use crate::auth::OptionalAuth;
use crate::error::XrpcError;
use crate::extract::XrpcQuery;
use crate::state::AppState;

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<DidParam>,
    auth: OptionalAuth,
) -> Result<Response, XrpcError> {
    let account = readable_account(&app, &auth, &params.did).await?;
    export_response(&app, &account, None).await
}
