//! `com.atproto.server.createSession`: signs in.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/createSession.json>

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::SessionView;
use crate::account::{self, LoginAttempt};
use crate::error::XrpcError;
use crate::extract::{ClientOrigin, XrpcJson};
use crate::limits::Meter;
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    identifier: String,
    password: String,
    auth_factor_token: Option<String>,
    #[serde(default)]
    allow_takendown: bool,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    meter: Meter,
    ClientOrigin(origin): ClientOrigin,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<SessionView>, XrpcError> {
    let Input { identifier, password, auth_factor_token, allow_takendown } = &input;
    meter.count_login(identifier)?;
    let factor = auth_factor_token.as_deref();
    let attempt = LoginAttempt { identifier, password, factor, origin: &origin, allow_takendown: *allow_takendown };
    let session = account::log_in(&app, attempt).await?;
    Ok(Json(SessionView::of(&app, session).await))
}
