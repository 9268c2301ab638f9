//! What is not here.

use axum::response::IntoResponse;
use http::StatusCode;
use http::header::CONTENT_TYPE;

pub(crate) async fn handler() -> impl IntoResponse {
    let text = "There is nothing at this address. The API is under /xrpc/\n";
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}
