//! `GET` and `POST /account/password`: another password.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::shell::{Confirmed, Section, Shell, back};
use super::{MIN_PASSWORD_CHARS, PasswordFault, password_fault};
use crate::account::change_password;
use crate::error::XrpcError;
use crate::pages::{CsrfForm, Frame, SignedIn};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "account_password.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    handle: String,
    min_password: String,
}

pub(crate) async fn show(Confirmed(who): Confirmed) -> Result<Response, XrpcError> {
    page(&who, StatusCode::OK, None).await
}

async fn page(who: &SignedIn, status: StatusCode, problem: Option<&'static str>) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(who, Section::Security, None).await?;
    let shell = match problem {
        Some(problem) => shell.with_problem(problem),
        None => shell,
    };
    let handle = shell.person.name.clone();
    who.visitor.page(status, &Page { frame, shell, handle, min_password: MIN_PASSWORD_CHARS.to_string() })
}

#[derive(Deserialize)]
pub(crate) struct Input {
    password: String,
    again: String,
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let t = &who.visitor.frame().t.account;
    let problem = match password_fault(&input.password) {
        Some(PasswordFault::TooShort) => Some(t.password_short),
        Some(PasswordFault::TooLong) => Some(t.password_long),
        None if input.password != input.again => Some(t.password_differs),
        None => None,
    };
    if problem.is_some() {
        return page(&who, StatusCode::BAD_REQUEST, problem).await;
    }
    change_password(&app, who.account.id, &input.password, who.session.device).await?;
    tracing::info!(did = %who.account.did, "the owner changed the password");
    Ok(back(&who.visitor, "/account/security", "password"))
}
