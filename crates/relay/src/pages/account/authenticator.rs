//! `/account/authenticator`: setting up an authenticator app.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::backup_codes;
use super::shell::{Confirmed, Nothing, Section, Shell, back};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfForm, Frame, SignedIn, see_other};
use crate::qr::Svg;
use crate::second_factor::totp::{self, SetUpError};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "account_authenticator.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    /// In groups of four, as people read it.
    secret: String,
    qr: Svg,
}

pub(crate) async fn show(Confirmed(who): Confirmed) -> Result<Response, XrpcError> {
    page(&who, StatusCode::OK, None).await
}

async fn page(who: &SignedIn, status: StatusCode, problem: Option<&'static str>) -> Result<Response, XrpcError> {
    let app = &who.visitor.app;
    let enrolment = match totp::begin(app, &who.account).await {
        Ok(enrolment) => enrolment,
        Err(SetUpError::AlreadySetUp) => return Ok(see_other(app, "/account/security")),
        Err(err) => return Err(err.into()),
    };
    let (frame, shell) = Shell::of(who, Section::Security, None).await?;
    let shell = match problem {
        Some(problem) => shell.with_problem(problem),
        None => shell,
    };
    let groups: Vec<&str> = (0..enrolment.secret.len()).step_by(4).filter_map(|at| enrolment.secret.get(at..at + 4)).collect();
    let qr = Svg::of(&enrolment.url).map_err(|err| XrpcError::internal(err.to_string()))?;
    who.visitor.page(status, &Page { frame, shell, secret: groups.join(" "), qr })
}

#[derive(Deserialize)]
pub(crate) struct Input {
    code: String,
}

/// `POST /account/authenticator`: the first code.
pub(crate) async fn submit(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    meter.count_account_call("/account/authenticator", who.account.id)?;
    match totp::confirm(&app, &who.account, &input.code).await {
        Ok(codes) => {
            tracing::info!(did = %who.account.did, "an authenticator app was set up");
            match codes {
                Some(codes) => backup_codes::page(&who, codes, true).await,
                None => Ok(back(&who.visitor, "/account/security", "authenticator-added")),
            }
        }
        Err(SetUpError::Code) => {
            page(&who, StatusCode::BAD_REQUEST, Some(who.visitor.frame().t.account.authenticator_wrong)).await
        }
        Err(SetUpError::AlreadySetUp | SetUpError::NotBegun) => Ok(see_other(&app, "/account/authenticator")),
        Err(err @ (SetUpError::Secret(_) | SetUpError::Totp(_) | SetUpError::Store(_) | SetUpError::Write(_))) => {
            Err(err.into())
        }
    }
}

/// `POST /account/authenticator/remove`.
pub(crate) async fn remove(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Response, XrpcError> {
    totp::remove(&app, who.account.id).await?;
    tracing::info!(did = %who.account.did, "an authenticator app was removed");
    Ok(back(&who.visitor, "/account/security", "authenticator-removed"))
}
