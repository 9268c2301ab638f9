//! `GET /tls-check?domain=`: tells a proxy with on-demand TLS (Caddy's `ask`) whether to get a certificate for a name.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::error::XrpcError;
use crate::state::AppState;
use crate::tls::entitled::{Entitled, entitled};

#[derive(Deserialize)]
pub(crate) struct Params {
    domain: Option<String>,
}

pub(crate) async fn handler(State(app): State<AppState>, Query(params): Query<Params>) -> Result<Response, XrpcError> {
    let Some(domain) = params.domain.filter(|domain| !domain.is_empty()) else {
        return Err(XrpcError::invalid_request("bad or missing domain query param"));
    };
    Ok(match entitled(&app.config, &app.db, &domain.to_ascii_lowercase()).await? {
        Entitled::Host | Entitled::Account => Json(json!({ "success": true })).into_response(),
        Entitled::Foreign => return Err(XrpcError::invalid_request("handles are not provided on this domain")),
        Entitled::NoAccount => {
            return Err(XrpcError::new(StatusCode::NOT_FOUND, "NotFound", "handle not found for this domain"));
        }
    })
}
