//! `/account/devices`: where the account is signed in, and signing out there.
//!
//! Signing out needs no password again: who finds a stranger here shall be quick.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use common::Clock as _;
use http::StatusCode;
use serde::Deserialize;

use super::shell::{DoneParams, Nothing, Section, Shell, back, moment};
use crate::account::sign_ins;
use crate::error::XrpcError;
use crate::oauth::grants;
use crate::pages::{CsrfForm, Frame, SignedIn};
use crate::state::AppState;
use crate::store::web_session::DeviceId;
use crate::store::{StoreError, session, web_session};

#[derive(Template)]
#[template(path = "account_devices.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    browsers: Vec<Browser>,
    apps: Vec<App>,
    /// Sessions of apps that signed in with the password.
    password_sessions: usize,
}

struct Browser {
    id: String,
    device: String,
    ip: String,
    seen: String,
    is_this: bool,
}

struct App {
    id: String,
    name: String,
    host: Option<String>,
    since: String,
    used: String,
}

impl Page {
    fn has_other_browsers(&self) -> bool {
        self.browsers.len() > 1
    }
}

pub(crate) async fn show(who: SignedIn, Query(params): Query<DoneParams>) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(&who, Section::Devices, params.done).await?;
    let (app, id) = (&who.visitor.app, who.account.id);
    let now = app.clock.millis();
    let read = |conn: &rusqlite::Connection| {
        Ok::<_, StoreError>((web_session::list_of_account(conn, id, now)?, session::count_of_password(conn, id, now)?))
    };
    let (browsers, password_sessions) = app.db.read(read).await?;
    let browsers = browsers.into_iter().map(|session| Browser {
        id: session.device.to_string(),
        device: sign_ins::describe(&session.user_agent),
        ip: session.ip,
        seen: moment(session.last_seen_at),
        is_this: session.device == who.session.device,
    });
    let apps = grants::list(app, &who.account.did).await?.into_iter().map(|grant| App {
        name: grant.client.name.clone().unwrap_or_else(|| grant.client.id.clone()),
        host: grant.client.host(),
        id: grant.id,
        since: moment(grant.created_at),
        used: moment(grant.refreshed_at),
    });
    let page = Page { frame, shell, browsers: browsers.collect(), apps: apps.collect(), password_sessions };
    who.visitor.page(StatusCode::OK, &page)
}

#[derive(Deserialize)]
pub(crate) struct InputBrowser {
    /// The browser; all others than this one when there is none.
    device: Option<String>,
}

/// `POST /account/devices/browser`: signs out in another browser, or in all others.
pub(crate) async fn sign_out_browser(
    State(app): State<AppState>,
    who: SignedIn,
    CsrfForm(input): CsrfForm<InputBrowser>,
) -> Result<Response, XrpcError> {
    let (id, this) = (who.account.id, who.session.device);
    let device: Option<DeviceId> = match &input.device {
        Some(device) => Some(device.parse().map_err(|_| XrpcError::invalid_request("This is not a browser"))?),
        None => None,
    };
    app.db
        .write::<_, XrpcError>(move |tx| {
            match device {
                Some(device) => web_session::delete(tx, device, id)?,
                None => web_session::delete_others(tx, this, id)?,
            }
            Ok(())
        })
        .await?;
    Ok(back(&who.visitor, "/account/devices", "signed-out"))
}

#[derive(Deserialize)]
pub(crate) struct InputApp {
    id: String,
}

/// `POST /account/devices/app`: signs an app out, which then has to ask again.
pub(crate) async fn sign_out_app(
    State(app): State<AppState>,
    who: SignedIn,
    CsrfForm(input): CsrfForm<InputApp>,
) -> Result<Response, XrpcError> {
    grants::revoke(&app, &who.account.did, &input.id).await.map_err(|err| match err {
        grants::RevokeError::Store(err) => XrpcError::from(err),
        grants::RevokeError::Write(err) => err.into(),
    })?;
    Ok(back(&who.visitor, "/account/devices", "signed-out"))
}

/// `POST /account/devices/password-sessions`: signs out the apps that signed in with the password.
pub(crate) async fn sign_out_password_sessions(
    State(app): State<AppState>,
    who: SignedIn,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Response, XrpcError> {
    let id = who.account.id;
    app.db.write::<_, XrpcError>(move |tx| Ok(session::delete_of_password(tx, id)?)).await?;
    Ok(back(&who.visitor, "/account/devices", "signed-out"))
}
