//! `com.atproto.server.listAppPasswords`: lists the caller's app passwords, newest first.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/listAppPasswords.json>

use axum::Json;
use axum::extract::State;
use common::Datetime;
use serde::Serialize;

use super::datetime;
use crate::auth::{Auth, Standard};
use crate::error::XrpcError;
use crate::state::AppState;
use crate::store::app_password;

#[derive(Serialize)]
pub(crate) struct Output {
    passwords: Vec<AppPassword>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppPassword {
    name: String,
    created_at: Datetime,
    privileged: bool,
}

pub(crate) async fn handler(State(app): State<AppState>, auth: Auth<Standard>) -> Result<Json<Output>, XrpcError> {
    let passwords = app.db.read(|conn| app_password::list(conn, auth.account.id)).await?;
    let passwords = passwords.into_iter().map(|stored| AppPassword {
        name: stored.name,
        created_at: datetime(stored.created_at),
        privileged: stored.privileged,
    });
    Ok(Json(Output { passwords: passwords.collect() }))
}
