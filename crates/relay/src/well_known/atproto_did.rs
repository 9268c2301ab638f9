//! `GET /.well-known/atproto-did`: the DID of the account whose handle is the host name.
//!
//! Spec: <https://atproto.com/specs/handle#handle-resolution>

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse as _, Response};
use common::Handle;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use super::host_of;
use crate::error::XrpcError;
use crate::state::AppState;
use crate::store::account;

pub(crate) async fn handler(
    State(app): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, XrpcError> {
    const TEXT: [(http::HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    let handle = host_of(&headers, &uri).and_then(|host| host.parse::<Handle>().ok());
    let account = match handle {
        Some(handle) => app.db.read(|conn| account::find_by_handle(conn, &handle)).await?,
        None => None,
    };
    Ok(match account.filter(|account| account.status.is_active()) {
        Some(account) => (TEXT, account.did.to_string()).into_response(),
        None => (StatusCode::NOT_FOUND, TEXT, "User not found").into_response(),
    })
}
