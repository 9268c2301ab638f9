//! `POST /account/backup-codes`: new backup codes, shown once.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::shell::{Confirmed, Done, Nothing, Section, Shell};
use crate::error::XrpcError;
use crate::pages::{CsrfForm, Frame, SignedIn, see_other};
use crate::second_factor::{self, backup_code};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "account_backup_codes.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    codes: Vec<String>,
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Response, XrpcError> {
    // Without a second factor nobody would be asked for one.
    if second_factor::required(&app, &who.account.did).await?.is_empty() {
        return Ok(see_other(&app, "/account/security"));
    }
    let codes = backup_code::make(&app, &who.account).await?;
    tracing::info!(did = %who.account.did, "new backup codes were made");
    page(&who, codes, false).await
}

/// Shows codes, once, after an authenticator app was set up if `is_new` says so.
pub(super) async fn page(who: &SignedIn, codes: Vec<String>, is_new: bool) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(who, Section::Security, is_new.then_some(Done::AuthenticatorAdded)).await?;
    who.visitor.page(StatusCode::OK, &Page { frame, shell, codes })
}
