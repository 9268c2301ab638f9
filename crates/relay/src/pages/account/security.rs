//! `/account/security`: how one signs in. Password, passkeys, second factors, and mail about new devices.

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shell::{Confirmed, Done, DoneParams, Nothing, Section, Shell, back, day};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfForm, CsrfJson, Frame, SignedIn};
use crate::second_factor::{self, FactorError, passkey};
use crate::state::AppState;
use crate::store::{self, StoreError, account};

#[derive(Template)]
#[template(path = "account_security.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    passkeys: Vec<Passkey>,
    /// Whether passkeys can be had here.
    passkeys_available: bool,
    authenticator: bool,
    mail_codes: bool,
    /// Whether mail codes could be turned on.
    mail_codes_possible: bool,
    backup_codes: usize,
    alerts: bool,
}

struct Passkey {
    id: String,
    name: String,
    since: String,
    used: Option<String>,
}

impl Page {
    /// Whether a second factor is asked for, so that backup codes are of use.
    fn is_guarded(&self) -> bool {
        self.authenticator || self.mail_codes
    }
}

pub(crate) async fn show(Confirmed(who): Confirmed, Query(params): Query<DoneParams>) -> Result<Response, XrpcError> {
    page(&who, params.done, StatusCode::OK, None).await
}

async fn page(who: &SignedIn, done: Option<Done>, status: StatusCode, problem: Option<String>) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(who, Section::Security, done).await?;
    let shell = match problem {
        Some(problem) => shell.with_problem(problem),
        None => shell,
    };
    let (app, id) = (&who.visitor.app, who.account.id);
    let read = |conn: &rusqlite::Connection| {
        Ok::<_, StoreError>((
            store::passkey::list(conn, id)?,
            store::totp::find(conn, id)?.is_some_and(|totp| totp.confirmed_at.is_some()),
            store::backup_code::count(conn, id)?,
            account::wants_sign_in_alerts(conn, id)?,
        ))
    };
    let (passkeys, authenticator, backup_codes, alerts) = app.db.read(read).await?;
    let passkeys = passkeys.into_iter().map(|passkey| Passkey {
        id: BASE64URL_NOPAD.encode(passkey.credential.cred_id().as_slice()),
        name: passkey.name,
        since: day(passkey.created_at),
        used: passkey.last_used_at.map(day),
    });
    let page = Page {
        frame,
        shell,
        passkeys: passkeys.collect(),
        passkeys_available: app.passkeys.are_available(),
        authenticator,
        mail_codes: who.account.email_auth_factor,
        mail_codes_possible: who.account.email_confirmed_at.is_some() && app.mail.can_send(),
        backup_codes,
        alerts,
    };
    who.visitor.page(status, &page)
}

/// `POST /account/passkeys/begin`: what to ask the browser for a new passkey.
pub(crate) async fn begin_passkey(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    meter: Meter,
    CsrfJson(Nothing {}): CsrfJson<Nothing>,
) -> Result<Json<Value>, XrpcError> {
    meter.count_account_call("/account/passkeys/begin", who.account.id)?;
    let begun = passkey::begin_registration(&app, &who.account).await?;
    Ok(Json(json!({ "ceremony": begun.ceremony, "options": begun.options })))
}

#[derive(Deserialize)]
pub(crate) struct NewPasskey {
    ceremony: String,
    answer: String,
    name: String,
}

/// `POST /account/passkeys/finish`: what the browser answered.
pub(crate) async fn finish_passkey(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    meter: Meter,
    CsrfJson(input): CsrfJson<NewPasskey>,
) -> Result<Json<Value>, XrpcError> {
    meter.count_account_call("/account/passkeys/finish", who.account.id)?;
    passkey::finish_registration(&app, &who.account, &input.ceremony, &input.name, &input.answer).await?;
    tracing::info!(did = %who.account.did, "a passkey was added");
    Ok(Json(json!({ "next": "/account/security?done=passkey-added" })))
}

#[derive(Deserialize)]
pub(crate) struct NamedPasskey {
    id: String,
    #[serde(default)]
    name: String,
}

impl NamedPasskey {
    fn credential_id(&self) -> Result<Vec<u8>, XrpcError> {
        BASE64URL_NOPAD.decode(self.id.as_bytes()).map_err(|_| XrpcError::invalid_request("This is not a passkey"))
    }
}

/// `POST /account/passkeys/rename`.
pub(crate) async fn rename_passkey(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<NamedPasskey>,
) -> Result<Response, XrpcError> {
    passkey::rename(&app, who.account.id, input.credential_id()?, &input.name).await?;
    Ok(back(&who.visitor, "/account/security", "passkey-renamed"))
}

/// `POST /account/passkeys/remove`.
pub(crate) async fn remove_passkey(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<NamedPasskey>,
) -> Result<Response, XrpcError> {
    passkey::remove(&app, who.account.id, input.credential_id()?).await?;
    tracing::info!(did = %who.account.did, "a passkey was removed");
    Ok(back(&who.visitor, "/account/security", "passkey-removed"))
}

#[derive(Deserialize)]
pub(crate) struct Switch {
    /// `on` or `off`.
    to: String,
}

/// `POST /account/mail-codes`: whether signing in takes a code from the mail.
pub(crate) async fn mail_codes(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<Switch>,
) -> Result<Response, XrpcError> {
    let (id, wanted) = (who.account.id, input.to == "on");
    if wanted && !(who.account.email_confirmed_at.is_some() && app.mail.can_send()) {
        let problem = who.visitor.frame().t.account.mail_codes_need_email.to_owned();
        return page(&who, None, StatusCode::BAD_REQUEST, Some(problem)).await;
    }
    app.db.write::<_, FactorError>(move |tx| Ok(second_factor::set_mail_factor(tx, id, wanted)?)).await?;
    Ok(back(&who.visitor, "/account/security", if wanted { "mail-codes-on" } else { "mail-codes-off" }))
}

/// `POST /account/alerts`: whether the owner gets a mail when someone signs in on a new device.
pub(crate) async fn alerts(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<Switch>,
) -> Result<Response, XrpcError> {
    let (id, wanted) = (who.account.id, input.to == "on");
    app.db.write::<_, XrpcError>(move |tx| Ok(account::set_sign_in_alerts(tx, id, wanted)?)).await?;
    Ok(back(&who.visitor, "/account/security", if wanted { "alerts-on" } else { "alerts-off" }))
}
