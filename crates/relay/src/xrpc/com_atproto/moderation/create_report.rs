//! `com.atproto.moderation.createReport`: passes a report on to the moderation service that the caller names, or the configured
//! one.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/moderation/createReport.json>

use axum::extract::{Request, State};
use axum::response::Response;

use crate::auth::{RpcAuth, StandardOrTakendown};
use crate::state::AppState;
use crate::xrpc::proxy::{self, Failure};

/// Takes a report also from an account that was taken down, which may be an appeal.
pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: RpcAuth<StandardOrTakendown>,
    request: Request,
) -> Result<Response, Failure> {
    let method = proxy::method_of(request.uri())?;
    proxy::pass_on(&app, &auth, &method, request).await
}
