//! `_health`: whether the server can read its database.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

use crate::state::AppState;
use crate::store::{StoreError, meta};

pub(crate) async fn handler(State(app): State<AppState>) -> Response {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let read: Result<_, StoreError> = app.db.read(|conn| meta::find(conn, "health")).await;
    match read {
        Ok(_) => Json(json!({ "version": VERSION })).into_response(),
        Err(err) => {
            tracing::error!(error = &err as &dyn std::error::Error, "the database does not answer");
            let body = json!({ "version": VERSION, "error": "Service Unavailable" });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}
