//! `GET /oauth/jwks`: the public keys of the authorization server. There are none, for only this server reads its tokens.

use axum::Json;
use serde_json::{Value, json};

pub(crate) async fn handler() -> Json<Value> {
    Json(json!({ "keys": [] }))
}
