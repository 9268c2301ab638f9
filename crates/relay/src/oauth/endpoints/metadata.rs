//! `GET /.well-known/oauth-authorization-server`: what the authorization server can do, and where.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc8414>, <https://atproto.com/specs/oauth#authorization-servers>

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde_json::json;

use crate::oauth::client::SIGNING_ALGORITHMS;
use crate::state::AppState;
use crate::{web, well_known};

pub(crate) async fn handler(State(app): State<AppState>, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    // Under the handle of an account, the issuer would be another than the address.
    if !well_known::is_own_host(&app, &headers, &uri) {
        return web::not_found::handler().await.into_response();
    }
    let issuer = app.config.server.public_url.as_str();
    let at = |path: &str| format!("{issuer}{path}");
    let body = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "pushed_authorization_request_endpoint": at("/oauth/par"),
        "require_pushed_authorization_requests": true,
        "revocation_endpoint": at("/oauth/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "jwks_uri": at("/oauth/jwks"),
        "client_id_metadata_document_supported": true,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
        "scopes_supported": ["atproto", "transition:email", "transition:generic", "transition:chat.bsky"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": SIGNING_ALGORITHMS,
        "dpop_signing_alg_values_supported": SIGNING_ALGORITHMS,
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": SIGNING_ALGORITHMS,
        "request_uri_parameter_supported": true,
        "require_request_uri_registration": true,
        "ui_locales_supported": ["en", "de"],
        "display_values_supported": ["page", "popup", "touch"],
        "protected_resources": [issuer],
    });
    ([(CACHE_CONTROL, "max-age=300")], axum::Json(body)).into_response()
}
