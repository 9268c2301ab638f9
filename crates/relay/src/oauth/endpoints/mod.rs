//! The endpoints that apps call: not for people, and from any origin.

pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod metadata;
pub(crate) mod par;
pub(crate) mod protected_resource;
pub(crate) mod revoke;
pub(crate) mod token;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

/// An answer that nobody keeps.
fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static("application/json")), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (status, headers, body.to_string()).into_response()
}
