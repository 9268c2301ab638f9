//! `com.atproto.server.deleteSession`: signs out.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/deleteSession.json>

use axum::extract::{Request, State};

use crate::account;
use crate::auth::RefreshAuth;
use crate::error::XrpcError;
use crate::extract::no_body;
use crate::state::AppState;

pub(crate) async fn handler(State(app): State<AppState>, auth: RefreshAuth<true>, request: Request) -> Result<(), XrpcError> {
    no_body(request).await?;
    Ok(account::log_out(&app, &auth.jti).await?)
}
