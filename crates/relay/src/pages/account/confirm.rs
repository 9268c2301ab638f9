//! `GET` and `POST /account/confirm`: the password or a passkey once more, before something that matters.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shell::{Nothing, Section, Shell};
use crate::account::{SessionError, check_password};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfForm, CsrfJson, Frame, SignedIn, local_path, see_other};
use crate::second_factor::passkey;
use crate::state::AppState;
use crate::store::{self, web_session};

#[derive(Template)]
#[template(path = "account_confirm.html")]
struct Page<'a> {
    frame: Frame,
    shell: Shell,
    next: &'a str,
    has_passkeys: bool,
}

#[derive(Deserialize)]
pub(crate) struct Params {
    next: Option<String>,
}

pub(crate) async fn show(who: SignedIn, Query(params): Query<Params>) -> Result<Response, XrpcError> {
    let to = params.next.as_deref().and_then(local_path).unwrap_or("/account");
    page(&who, StatusCode::OK, None, to).await
}

async fn page(who: &SignedIn, status: StatusCode, problem: Option<&'static str>, to: &str) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(who, Section::Overview, None).await?;
    let shell = match problem {
        Some(problem) => shell.with_problem(problem),
        None => shell,
    };
    let app = &who.visitor.app;
    let count = app.db.read(|conn| store::passkey::count(conn, who.account.id)).await?;
    let has_passkeys = app.passkeys.are_available() && count > 0;
    who.visitor.page(status, &Page { frame, shell, next: to, has_passkeys })
}

#[derive(Deserialize)]
pub(crate) struct Input {
    password: String,
    next: String,
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    who: SignedIn,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let to = local_path(&input.next).unwrap_or("/account");
    let t = &who.visitor.frame().t.sign_in;
    let (status, problem) = match meter.count_login(who.account.did.as_str()) {
        Err(_) => (StatusCode::TOO_MANY_REQUESTS, t.too_many),
        Ok(()) => match check_password(&app, who.account.did.as_str(), &input.password).await {
            Ok(_) => {
                note(&who).await?;
                return Ok(see_other(&app, to));
            }
            Err(SessionError::Credentials) => (StatusCode::UNAUTHORIZED, who.visitor.frame().t.account.wrong_password),
            Err(SessionError::Busy) => (StatusCode::SERVICE_UNAVAILABLE, t.busy),
            Err(err) => return Err(err.into()),
        },
    };
    page(&who, status, Some(problem), to).await
}

async fn note(who: &SignedIn) -> Result<(), XrpcError> {
    let (device, account) = (who.session.device, who.account.id);
    who.visitor.app.db.write::<_, XrpcError>(move |tx| Ok(web_session::confirm(tx, device, account, tx.now_millis())?)).await
}

/// `POST /account/confirm/passkey`: what to ask the browser.
pub(crate) async fn begin(
    State(app): State<AppState>,
    _who: SignedIn,
    CsrfJson(Nothing {}): CsrfJson<Nothing>,
) -> Result<Json<Value>, XrpcError> {
    let begun = passkey::begin_authentication(&app)?;
    Ok(Json(json!({ "ceremony": begun.ceremony, "options": begun.options })))
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    ceremony: String,
    answer: String,
    next: String,
}

/// `POST /account/confirm/passkey/answer`: what the browser answered.
pub(crate) async fn finish(
    State(app): State<AppState>,
    who: SignedIn,
    meter: Meter,
    CsrfJson(input): CsrfJson<Answer>,
) -> Result<Response, XrpcError> {
    meter.count_login(who.account.did.as_str())?;
    let account = passkey::finish_authentication(&app, &input.ceremony, &input.answer).await?;
    if account.id != who.account.id {
        return Err(XrpcError::unauthorized("AuthenticationRequired", "This passkey belongs to another account"));
    }
    note(&who).await?;
    let to = local_path(&input.next).unwrap_or("/account");
    Ok(Json(json!({ "next": to })).into_response())
}
