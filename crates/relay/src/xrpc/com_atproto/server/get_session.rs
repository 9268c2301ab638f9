//! `com.atproto.server.getSession`: tells a client whose session it has.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/getSession.json>

use axum::Json;
use axum::extract::State;

use super::AccountView;
use crate::auth::{Auth, Standard};
use crate::error::XrpcError;
use crate::state::AppState;

pub(crate) async fn handler(State(app): State<AppState>, auth: Auth<Standard>) -> Result<Json<AccountView>, XrpcError> {
    Ok(Json(AccountView::of(&app, auth.account).await))
}
