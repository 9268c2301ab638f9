//! `GET /robots.txt`.

use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

pub(crate) async fn handler() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], "# Crawling the public API is allowed\nUser-agent: *\nAllow: /\n")
}
