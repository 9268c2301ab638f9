//! The page of a request that cannot go on. No app can be told, so the person is told what to do.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use crate::error::XrpcError;
use crate::oauth::authorize::AuthorizeError;
use crate::pages::{Frame, Visitor};

#[derive(Template)]
#[template(path = "authorize_error.html")]
struct Page<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
    detail: &'a str,
}

pub(super) fn page(visitor: &Visitor, err: AuthorizeError) -> Result<Response, XrpcError> {
    let frame = visitor.frame();
    let t = &frame.t.authorize;
    let detail = err.to_string();
    let (title, text) = match err {
        AuthorizeError::Missing(_) | AuthorizeError::OtherClient | AuthorizeError::NothingGranted => {
            (t.broken_title, t.broken_text)
        }
        AuthorizeError::Unknown => (t.over_title, t.over_text),
        AuthorizeError::OtherDevice => (t.other_device_title, t.other_device_text),
        AuthorizeError::NoAccount | AuthorizeError::Takendown => (t.no_account_title, t.no_account_text),
        AuthorizeError::Set(_) => (t.set_title, t.set_text),
        AuthorizeError::Store(err) => return Err(err.into()),
        AuthorizeError::Write(err) => return Err(err.into()),
    };
    visitor.page(StatusCode::BAD_REQUEST, &Page { frame: frame.clone(), title, text, detail: &detail })
}
