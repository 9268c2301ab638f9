//! `com.atproto.temp.checkSignupQueue`: tells whether the account is let in. There is no queue here, so it is.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/temp/checkSignupQueue.json>

use axum::Json;
use serde::Serialize;

use crate::auth::{Auth, Standard};

#[derive(Serialize)]
pub(crate) struct Output {
    activated: bool,
}

pub(crate) async fn handler(_: Auth<Standard>) -> Json<Output> {
    Json(Output { activated: true })
}
