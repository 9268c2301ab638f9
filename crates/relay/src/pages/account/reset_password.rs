//! `GET` and `POST /account/reset-password`: a new password, with the code from the mail.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::{MIN_PASSWORD_CHARS, PasswordFault, password_fault};
use crate::account::{ResetPasswordError, reset_password};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfForm, Destination, Frame, Visitor, see_other};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "reset_password.html")]
struct Page<'a> {
    frame: Frame,
    /// Whether a mail is on its way.
    sent: bool,
    problem: Option<&'a str>,
    code: &'a str,
    min_password: usize,
    next: &'a str,
    again: String,
}

#[derive(Deserialize)]
pub(crate) struct Params {
    sent: Option<String>,
    next: Option<String>,
}

pub(crate) async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(params): Query<Params>,
) -> Result<Response, XrpcError> {
    let to = Destination::of(&app, params.next.as_deref()).await;
    let page = Page {
        frame: visitor.frame(),
        sent: params.sent.is_some(),
        problem: None,
        code: "",
        min_password: MIN_PASSWORD_CHARS,
        next: &to.path,
        again: to.via("/account/forgot-password", &[]),
    };
    visitor.page(StatusCode::OK, &page)
}

#[derive(Deserialize)]
pub(crate) struct Input {
    code: String,
    password: String,
    next: String,
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    visitor: Visitor,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    meter.count_call("com.atproto.server.resetPassword")?;
    let to = Destination::of(&app, Some(&input.next)).await;
    let frame = visitor.frame();
    let t = &frame.t.reset_password;
    let problem = match password_fault(&input.password) {
        Some(PasswordFault::TooShort) => t.too_short,
        Some(PasswordFault::TooLong) => t.too_long,
        None => match reset_password(&app, input.code.trim().to_owned(), &input.password).await {
            Ok(()) => return Ok(see_other(&app, &to.via("/account/sign-in", &[("reset", "1")]))),
            Err(ResetPasswordError::Code(_)) => t.wrong_code,
            Err(ResetPasswordError::Password) => t.too_long,
            Err(err @ (ResetPasswordError::Hash(_) | ResetPasswordError::Store(_) | ResetPasswordError::Write(_))) => {
                return Err(err.into());
            }
        },
    };
    let page = Page {
        sent: false,
        problem: Some(problem),
        code: input.code.trim(),
        min_password: MIN_PASSWORD_CHARS,
        next: &to.path,
        again: to.via("/account/forgot-password", &[]),
        frame: frame.clone(),
    };
    visitor.page(StatusCode::BAD_REQUEST, &page)
}
