//! `GET` and `POST /account/sign-in`: signing in to the account's pages.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use crate::account::{SessionError, check_password, looks_like_app_password};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfForm, Destination, Frame, Visitor, WebSessionError, begin, see_other, signed_in_accounts};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'a> {
    frame: Frame,
    notice: Option<&'a str>,
    problem: Option<&'a str>,
    identifier: &'a str,
    remember: bool,
    next: &'a str,
    sign_up: String,
    forgot: String,
}

#[derive(Deserialize)]
pub(crate) struct Params {
    next: Option<String>,
    /// Whether someone shall sign in beside those who are.
    another: Option<String>,
    /// What has just been done.
    signed_out: Option<String>,
    reset: Option<String>,
}

pub(crate) async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(params): Query<Params>,
) -> Result<Response, XrpcError> {
    let to = Destination::of(params.next.as_deref());
    if params.another.is_none() && !signed_in_accounts(&app, &visitor.device).await?.is_empty() {
        return Ok(see_other(&app, &to.path));
    }
    let frame = visitor.frame();
    let notice = if params.reset.is_some() {
        Some(frame.t.sign_in.password_was_reset)
    } else {
        params.signed_out.is_some().then_some(frame.t.home.signed_out)
    };
    visitor.page(StatusCode::OK, &Page { notice, ..page(frame, &to) })
}

fn page(frame: Frame, to: &Destination) -> Page<'_> {
    Page {
        frame,
        notice: None,
        problem: None,
        identifier: "",
        remember: true,
        next: &to.path,
        sign_up: to.via("/account/sign-up", &[]),
        forgot: to.via("/account/forgot-password", &[]),
    }
}

#[derive(Deserialize)]
pub(crate) struct Input {
    identifier: String,
    password: String,
    remember: Option<String>,
    next: String,
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    visitor: Visitor,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let to = Destination::of(Some(&input.next));
    let remember = input.remember.is_some();
    let frame = visitor.frame();
    let t = &frame.t.sign_in;
    let (status, problem) = match meter.count_login(&input.identifier) {
        Err(_) => (StatusCode::TOO_MANY_REQUESTS, t.too_many),
        Ok(()) => match check_password(&app, &input.identifier, &input.password).await {
            Ok((account, hash)) => match begin(&visitor, account.id, remember, Some(hash)).await {
                Ok(_) => {
                    tracing::info!(did = %account.did, "signed in in a browser");
                    return Ok(see_other(&app, &to.path));
                }
                Err(WebSessionError::Changed) => (StatusCode::UNAUTHORIZED, t.changed),
                Err(WebSessionError::Takendown) => (StatusCode::FORBIDDEN, t.taken_down),
                Err(WebSessionError::TooMany) => (StatusCode::BAD_REQUEST, t.too_many_accounts),
                Err(err @ (WebSessionError::Store(_) | WebSessionError::Write(_))) => return Err(err.into()),
            },
            Err(SessionError::Credentials) if looks_like_app_password(&input.password) => {
                (StatusCode::UNAUTHORIZED, t.app_password)
            }
            Err(SessionError::Credentials) => (StatusCode::UNAUTHORIZED, t.wrong),
            Err(SessionError::Takendown) => (StatusCode::FORBIDDEN, t.taken_down),
            Err(SessionError::Busy) => (StatusCode::SERVICE_UNAVAILABLE, t.busy),
            Err(err) => return Err(err.into()),
        },
    };
    let identifier = input.identifier.trim();
    visitor.page(status, &Page { problem: Some(problem), identifier, remember, ..page(frame.clone(), &to) })
}
