//! `com.atproto.server.refreshSession`: gives a new pair of tokens for a refresh token.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/refreshSession.json>

use axum::Json;
use axum::extract::{Request, State};

use super::SessionView;
use crate::account;
use crate::auth::RefreshAuth;
use crate::error::XrpcError;
use crate::extract::no_body;
use crate::state::AppState;

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: RefreshAuth<false>,
    request: Request,
) -> Result<Json<SessionView>, XrpcError> {
    no_body(request).await?;
    let session = account::refresh(&app, &auth.claims.sub, &auth.jti).await?;
    Ok(Json(SessionView::of(&app, session).await))
}
