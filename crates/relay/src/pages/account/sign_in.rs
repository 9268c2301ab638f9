//! `GET` and `POST /account/sign-in`: signing in to the account's pages.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;

use crate::account::{SessionError, check_password, looks_like_app_password};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfForm, Frame, Visitor, WebSessionError, begin, local_path, see_other, signed_in_accounts};
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
}

#[derive(Deserialize)]
pub(crate) struct Params {
    next: Option<String>,
    /// Whether someone shall sign in beside those who are.
    another: Option<String>,
    signed_out: Option<String>,
}

pub(crate) async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(params): Query<Params>,
) -> Result<Response, XrpcError> {
    let next = params.next.as_deref().and_then(local_path).unwrap_or("/account");
    if params.another.is_none() && !signed_in_accounts(&app, &visitor.device).await?.is_empty() {
        return Ok(see_other(&app, next));
    }
    let frame = visitor.frame();
    let notice = params.signed_out.is_some().then_some(frame.t.home.signed_out);
    visitor.page(StatusCode::OK, &Page { frame, notice, problem: None, identifier: "", remember: true, next })
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
    let next = local_path(&input.next).unwrap_or("/account");
    let remember = input.remember.is_some();
    let frame = visitor.frame();
    let t = &frame.t.sign_in;
    let (status, problem) = match meter.count_login(&input.identifier) {
        Err(_) => (StatusCode::TOO_MANY_REQUESTS, t.too_many),
        Ok(()) => match check_password(&app, &input.identifier, &input.password).await {
            Ok((account, hash)) => match begin(&visitor, account.id, remember, Some(hash)).await {
                Ok(_) => {
                    tracing::info!(did = %account.did, "signed in in a browser");
                    return Ok(see_other(&app, next));
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
    let page = Page { notice: None, problem: Some(problem), identifier, remember, next, frame: frame.clone() };
    Ok(visitor.page(status, &page)?.into_response())
}
