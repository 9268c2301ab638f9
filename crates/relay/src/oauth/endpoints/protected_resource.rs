//! `GET /.well-known/oauth-protected-resource`: where tokens for this server come from, which is this server.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9728>

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde_json::json;

use crate::state::AppState;
use crate::{web, well_known};

pub(crate) async fn handler(State(app): State<AppState>, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    if !well_known::is_own_host(&app, &headers, &uri) {
        return web::not_found::handler().await.into_response();
    }
    let resource = app.config.server.public_url.as_str();
    let body = json!({
        "resource": resource,
        "authorization_servers": [resource],
        "scopes_supported": [],
        "bearer_methods_supported": ["header"],
        "resource_documentation": "https://atproto.com",
    });
    ([(CACHE_CONTROL, "max-age=300")], axum::Json(body)).into_response()
}
