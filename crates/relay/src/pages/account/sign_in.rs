//! `GET` and `POST /account/sign-in`: signing in with a password, on the way to the account or to an app.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::sign_in_code;
use crate::account::{SessionError, check_password, looks_like_app_password};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::texts::SignIn;
use crate::pages::{CsrfForm, Destination, Frame, Visitor, WebSessionError, begin, see_other, signed_in_accounts};
use crate::second_factor;
use crate::state::AppState;
use crate::store::account::Account;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'a> {
    frame: Frame,
    notice: Option<&'a str>,
    problem: Option<&'a str>,
    identifier: &'a str,
    remember: bool,
    passkeys: bool,
    to: &'a Destination,
    sign_up: String,
    forgot: String,
}

#[derive(Deserialize)]
pub(crate) struct Params {
    next: Option<String>,
    /// Whether someone shall sign in beside those who are.
    another: Option<String>,
    /// Who is expected.
    hint: Option<String>,
    /// What has just been done.
    signed_out: Option<String>,
    reset: Option<String>,
}

/// Most characters of a hint that are shown.
const MAX_HINT: usize = 253;

pub(crate) async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(params): Query<Params>,
) -> Result<Response, XrpcError> {
    let to = Destination::of(&app, params.next.as_deref()).await;
    if params.another.is_none() && !signed_in_accounts(&app, &visitor.device).await?.is_empty() {
        return Ok(see_other(&app, &to.path));
    }
    let frame = visitor.frame();
    let notice = if params.reset.is_some() {
        Some(frame.t.sign_in.password_was_reset)
    } else {
        params.signed_out.is_some().then_some(frame.t.home.signed_out)
    };
    let hint: String = params.hint.unwrap_or_default().chars().take(MAX_HINT).collect();
    let page = Page { notice, identifier: &hint, ..page(&app, frame, &to) };
    Ok(to.allow_answer(visitor.page(StatusCode::OK, &page)?))
}

fn page<'a>(app: &AppState, frame: Frame, to: &'a Destination) -> Page<'a> {
    Page {
        frame,
        notice: None,
        problem: None,
        identifier: "",
        remember: true,
        passkeys: app.passkeys.are_available(),
        to,
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
    let to = Destination::of(&app, Some(&input.next)).await;
    // Reloading, and another language, begin anew.
    let visitor = visitor.seen_at(to.via("/account/sign-in", &[("another", "1")]));
    let remember = input.remember.is_some();
    let frame = visitor.frame();
    let t = &frame.t.sign_in;
    let (status, problem) = match meter.count_login(&input.identifier) {
        Err(_) => (StatusCode::TOO_MANY_REQUESTS, t.too_many),
        Ok(()) => match check_password(&app, &input.identifier, &input.password).await {
            Ok((account, hash)) => {
                let methods = second_factor::required(&app, &account.did).await?;
                if !methods.is_empty() {
                    return sign_in_code::ask(&visitor, &account, &hash, remember, &methods, &to).await;
                }
                match finish(&visitor, &account, remember, Some(hash), &to).await? {
                    Ok(response) => return Ok(response),
                    Err(refusal) => refusal.in_words(t),
                }
            }
            Err(SessionError::Credentials) if looks_like_app_password(&input.password) => {
                (StatusCode::UNAUTHORIZED, t.app_password)
            }
            Err(SessionError::Credentials) => (StatusCode::UNAUTHORIZED, t.wrong),
            Err(SessionError::Takendown) => (StatusCode::FORBIDDEN, t.taken_down),
            Err(SessionError::Busy) => (StatusCode::SERVICE_UNAVAILABLE, t.busy),
            Err(err) => return Err(err.into()),
        },
    };
    let page = Page { problem: Some(problem), identifier: input.identifier.trim(), remember, ..page(&app, frame.clone(), &to) };
    Ok(to.allow_answer(visitor.page(status, &page)?))
}

/// Why someone who proved who they are was not signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Changed,
    Takendown,
    TooMany,
}

impl Refusal {
    pub(super) fn in_words(self, t: &SignIn) -> (StatusCode, &'static str) {
        match self {
            Self::Changed => (StatusCode::UNAUTHORIZED, t.changed),
            Self::Takendown => (StatusCode::FORBIDDEN, t.taken_down),
            Self::TooMany => (StatusCode::BAD_REQUEST, t.too_many_accounts),
        }
    }
}

/// Signs in who has proved who they are, and leads them on.
pub(super) async fn finish(
    visitor: &Visitor,
    account: &Account,
    remember: bool,
    password_hash: Option<String>,
    to: &Destination,
) -> Result<Result<Response, Refusal>, XrpcError> {
    match begin(visitor, account.id, remember, password_hash).await {
        Ok(_) => {
            tracing::info!(did = %account.did, "signed in in a browser");
            Ok(Ok(see_other(&visitor.app, &to.for_account(&account.did))))
        }
        Err(WebSessionError::Changed) => Ok(Err(Refusal::Changed)),
        Err(WebSessionError::Takendown) => Ok(Err(Refusal::Takendown)),
        Err(WebSessionError::TooMany) => Ok(Err(Refusal::TooMany)),
        Err(err @ (WebSessionError::Store(_) | WebSessionError::Write(_))) => Err(err.into()),
    }
}
