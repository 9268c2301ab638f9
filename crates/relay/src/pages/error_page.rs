//! The page of an error: what happened, and what to do.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;

use super::{Frame, Visitor};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
    /// What the error says itself, for who asks for help.
    detail: Option<&'a str>,
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

/// Most bytes of an error's body.
const BODY_LIMIT: usize = 64 << 10;

/// Returns the page that stands for an error response of a handler or a layer.
pub(super) async fn instead_of(visitor: &Visitor, name: &str, error: Response) -> Response {
    let (parts, body) = error.into_parts();
    let body = axum::body::to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let message = serde_json::from_slice::<ErrorBody>(&body).map(|body| body.message).ok();
    let frame = visitor.frame();
    let t = &frame.t.error;
    let (title, text) = match (parts.status, name) {
        (StatusCode::FORBIDDEN, "StalePage" | "ForeignOrigin") => (t.stale_title, t.stale_text),
        (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => (t.not_found_title, t.not_found_text),
        (StatusCode::TOO_MANY_REQUESTS, _) => (t.too_many_title, t.too_many_text),
        (StatusCode::SERVICE_UNAVAILABLE, _) => (t.busy_title, t.busy_text),
        (status, _) if status.is_client_error() => (t.invalid_title, t.invalid_text),
        _ => (t.internal_title, t.internal_text),
    };
    let detail = message.as_deref().filter(|_| parts.status.is_client_error());
    let page = ErrorPage { title, text, detail, frame: frame.clone() };
    let mut response = match visitor.page(parts.status, &page) {
        Ok(page) => page,
        // The template has nothing that could fail; plain words all the same.
        Err(_) => Response::new(text.to_owned().into()),
    };
    *response.status_mut() = parts.status;
    for (name, value) in parts.headers {
        if let Some(name) = name
            && (name == RETRY_AFTER || name.as_str().starts_with("ratelimit-"))
            && name != CONTENT_TYPE
            && name != CONTENT_LENGTH
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
