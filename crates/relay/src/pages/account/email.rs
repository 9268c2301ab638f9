//! `/account/email`: the address, confirming it and changing it.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::shell::{Confirmed, Done, DoneParams, Nothing, Section, Shell, back};
use crate::account::{ChangeEmailError, EmailChange, EmailError, WrongCode, confirm_email, mail_code, update_email};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::texts::AccountTexts;
use crate::pages::{CsrfForm, Frame, SignedIn};
use crate::state::AppState;
use crate::store::email_token::Purpose;

#[derive(Template)]
#[template(path = "account_email.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    email: Option<String>,
    confirmed: bool,
    typed: String,
    can_send: bool,
}

pub(crate) async fn show(Confirmed(who): Confirmed, Query(params): Query<DoneParams>) -> Result<Response, XrpcError> {
    page(&who, params.done, StatusCode::OK, None, "").await
}

async fn page(
    who: &SignedIn,
    done: Option<Done>,
    status: StatusCode,
    problem: Option<String>,
    typed: &str,
) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(who, Section::Email, done).await?;
    let shell = match problem {
        Some(problem) => shell.with_problem(problem),
        None => shell,
    };
    let page = Page {
        frame,
        shell,
        email: who.account.email.clone(),
        confirmed: who.account.email_confirmed_at.is_some(),
        typed: typed.to_owned(),
        can_send: who.visitor.app.mail.can_send(),
    };
    who.visitor.page(status, &page)
}

/// `POST /account/email/code`: mails a code, to confirm the address or, when it is, to change it.
pub(crate) async fn send_code(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    meter: Meter,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Response, XrpcError> {
    let (purpose, method) = if who.account.email_confirmed_at.is_some() {
        (Purpose::UpdateEmail, "com.atproto.server.requestEmailUpdate")
    } else {
        (Purpose::ConfirmEmail, "com.atproto.server.requestEmailConfirmation")
    };
    meter.count_account_call(method, who.account.id)?;
    mail_code(&app, &who.account, purpose).await?;
    Ok(back(&who.visitor, "/account/email", "code-sent"))
}

#[derive(Deserialize)]
pub(crate) struct Code {
    code: String,
}

/// `POST /account/email/confirm`: confirms the address with the code from the mail.
pub(crate) async fn confirm(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<Code>,
) -> Result<Response, XrpcError> {
    let email = who.account.email.clone().unwrap_or_default();
    match confirm_email(&app, who.account.id, &email, input.code).await {
        Ok(()) => Ok(back(&who.visitor, "/account/email", "email-confirmed")),
        Err(err) => refuse(&who, err, "").await,
    }
}

#[derive(Deserialize)]
pub(crate) struct Input {
    email: String,
    code: Option<String>,
}

/// `POST /account/email`: changes the address, and mails a code to the new one.
pub(crate) async fn submit(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let code = input.code.filter(|code| !code.trim().is_empty());
    let change = EmailChange { email: input.email.clone(), code, auth_factor: None };
    if let Err(err) = update_email(&app, who.account.id, change).await {
        return refuse(&who, err, &input.email).await;
    }
    let account = app.db.read(|conn| crate::store::account::find(conn, who.account.id)).await?;
    // The change stands, whether or not a code can be sent now; there is a button to ask for one.
    if let Some(account) = account.filter(|account| account.email_confirmed_at.is_none())
        && meter.count_account_call("com.atproto.server.requestEmailConfirmation", account.id).is_ok()
        && let Err(err) = mail_code(&app, &account, Purpose::ConfirmEmail).await
    {
        tracing::debug!(error = &err as &dyn std::error::Error, "no code was mailed to a new address");
    }
    Ok(back(&who.visitor, "/account/email", "email-changed"))
}

async fn refuse(who: &SignedIn, err: ChangeEmailError, typed: &str) -> Result<Response, XrpcError> {
    let t = &who.visitor.frame().t.account;
    let problem = match &err {
        ChangeEmailError::Code(wrong) => wrong_code(t, *wrong).to_owned(),
        ChangeEmailError::CodeRequired => t.code_missing.to_owned(),
        ChangeEmailError::Taken => t.email_taken.to_owned(),
        ChangeEmailError::Email(EmailError::Disposable) => t.email_disposable.to_owned(),
        ChangeEmailError::Email(EmailError::Syntax) => t.email_invalid.to_owned(),
        ChangeEmailError::OtherEmail | ChangeEmailError::FactorNeedsConfirmation | ChangeEmailError::NoMail => err.to_string(),
        ChangeEmailError::NotFound | ChangeEmailError::Store(_) | ChangeEmailError::Write(_) => return Err(err.into()),
    };
    page(who, None, StatusCode::BAD_REQUEST, Some(problem), typed).await
}

/// Says what is wrong with a code.
pub(super) fn wrong_code(t: &AccountTexts, wrong: WrongCode) -> &'static str {
    match wrong {
        WrongCode::Invalid => t.code_wrong,
        WrongCode::Expired => t.code_expired,
    }
}
