//! `com.atproto.server.createAppPassword`: makes a password to give to an app.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/createAppPassword.json>

use axum::Json;
use axum::extract::State;
use common::Datetime;
use serde::{Deserialize, Serialize};

use super::datetime;
use crate::account::create_app_password;
use crate::auth::{Auth, Full, check_takedown};
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    name: String,
    #[serde(default)]
    privileged: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    name: String,
    password: String,
    created_at: Datetime,
    privileged: bool,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Full>,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    check_takedown(&auth.account)?;
    let (made, password) = create_app_password(&app, &auth.account, input.name, input.privileged).await?;
    let created_at = datetime(made.created_at);
    Ok(Json(Output { name: made.name, password, created_at, privileged: made.privileged }))
}
