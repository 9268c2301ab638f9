//! `_health`: whether the server can read its database. With `?deep`, for who has the admin password: whether each part
//! does its work.

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, RequestExt as _};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::auth::Admin;
use crate::error::XrpcError;
use crate::state::AppState;
use crate::status;

#[derive(Deserialize)]
struct Parameters {
    deep: Option<String>,
}

pub(crate) async fn handler(State(app): State<AppState>, mut request: Request) -> Result<Response, XrpcError> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let parameters: Result<Query<Parameters>, _> = request.extract_parts().await;
    if parameters.is_ok_and(|parameters| parameters.deep.as_ref().is_some_and(|deep| deep != "false")) {
        // Not even a caller on this machine is believed: a proxy there may pass strangers on and say nothing of it. The operator
        // without a password asks the control socket.
        request.extract_parts_with_state::<Admin, _>(&app).await?;
        let health = status::deep(&app).await;
        let code = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        return Ok((code, Json(health)).into_response());
    }
    Ok(match status::probe_read(&app).await {
        Ok(()) => Json(json!({ "version": VERSION })).into_response(),
        Err(err) => {
            tracing::error!(error = &err as &dyn std::error::Error, "the database does not answer");
            let body = json!({ "version": VERSION, "error": "Service Unavailable" });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    })
}
