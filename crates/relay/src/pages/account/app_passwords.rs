//! `/account/app-passwords`: passwords for apps that cannot sign in here.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::shell::{Confirmed, Done, DoneParams, Section, Shell, back, day};
use crate::account::{AppPasswordError, create_app_password, revoke_app_password};
use crate::error::XrpcError;
use crate::pages::{CsrfForm, Frame, SignedIn};
use crate::state::AppState;
use crate::store::app_password;

#[derive(Template)]
#[template(path = "account_app_passwords.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    /// The name and the text of the one that was just made.
    made: Option<(String, String)>,
    known: Vec<AppPassword>,
    name: String,
}

struct AppPassword {
    name: String,
    since: String,
    privileged: bool,
}

pub(crate) async fn show(Confirmed(who): Confirmed, Query(params): Query<DoneParams>) -> Result<Response, XrpcError> {
    page(&who, params.done, Outcome::Nothing).await
}

/// What came of a form.
enum Outcome {
    Nothing,
    Made(String, String),
    Refused(String, String),
}

async fn page(who: &SignedIn, done: Option<Done>, outcome: Outcome) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(who, Section::AppPasswords, done).await?;
    let known = who.visitor.app.db.read(|conn| app_password::list(conn, who.account.id)).await?;
    let known = known.into_iter().map(|known| AppPassword {
        name: known.name,
        since: day(known.created_at),
        privileged: known.privileged,
    });
    let mut page = Page { frame, shell, made: None, known: known.collect(), name: String::new() };
    let mut status = StatusCode::OK;
    match outcome {
        Outcome::Nothing => {}
        Outcome::Made(name, text) => page.made = Some((name, text)),
        Outcome::Refused(name, problem) => {
            (status, page.name) = (StatusCode::BAD_REQUEST, name);
            page.shell = page.shell.with_problem(problem);
        }
    }
    who.visitor.page(status, &page)
}

#[derive(Deserialize)]
pub(crate) struct Input {
    name: String,
    privileged: Option<String>,
}

/// `POST /account/app-passwords`: makes one and shows it, once.
pub(crate) async fn submit(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let name = input.name.trim().to_owned();
    let t = &who.visitor.frame().t.account;
    let outcome = match create_app_password(&app, &who.account, name.clone(), input.privileged.is_some()).await {
        Ok((made, text)) => Outcome::Made(made.name, text),
        Err(AppPasswordError::NameLength) => Outcome::Refused(name, t.app_password_name_length.to_owned()),
        Err(AppPasswordError::NameTaken) => Outcome::Refused(name, t.app_password_name_taken.to_owned()),
        Err(err @ AppPasswordError::TooMany) => Outcome::Refused(name, err.to_string()),
        Err(err @ (AppPasswordError::Store(_) | AppPasswordError::Write(_))) => return Err(err.into()),
    };
    page(&who, None, outcome).await
}

#[derive(Deserialize)]
pub(crate) struct Named {
    name: String,
}

/// `POST /account/app-passwords/revoke`.
pub(crate) async fn revoke(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<Named>,
) -> Result<Response, XrpcError> {
    revoke_app_password(&app, who.account.id, input.name).await?;
    Ok(back(&who.visitor, "/account/app-passwords", "app-password-revoked"))
}
