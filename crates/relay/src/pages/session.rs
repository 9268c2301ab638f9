//! Who is signed in in this browser.
//!
//! Several accounts can be. The account pages show one of them, the `current` one of the device.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use common::Clock as _;
use http::Method;
use http::request::Parts;
use url::form_urlencoded;

use super::device::Device;
use super::{Visitor, see_other};
use crate::account::{Origin, sign_ins};
use crate::error::XrpcError;
use crate::state::{App, AppState};
use crate::store::account::{self, Account, Status};
use crate::store::web_session::{self, WebSession};
use crate::store::{AccountId, BatchTx, StoreError, WriteFailed};

const HOUR: i64 = 3600 * 1000;
const DAY: i64 = 24 * HOUR;

/// How long a remembered session lasts without being used.
const REMEMBERED: i64 = 90 * DAY;
/// How long one lasts that is not to be remembered.
const NOT_REMEMBERED: i64 = 12 * HOUR;
/// Sessions of an account in browsers; the ones that were used least lately go.
const MAX_PER_ACCOUNT: usize = 100;
/// Accounts in one browser.
const MAX_PER_DEVICE: usize = 20;
/// Sessions that are forgotten in one transaction.
const SWEEP_BATCH: usize = 500;

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebSessionError {
    #[error("The account or its password has changed meanwhile; sign in again")]
    Changed,
    #[error("Account has been taken down")]
    Takendown,
    #[error("Too many accounts are signed in in this browser; sign out of one first")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<WebSessionError> for XrpcError {
    fn from(err: WebSessionError) -> Self {
        match err {
            WebSessionError::Changed | WebSessionError::TooMany => Self::invalid_request(err.to_string()),
            WebSessionError::Takendown => Self::forbidden("AccountTakedown", err.to_string()),
            WebSessionError::Store(err) => err.into(),
            WebSessionError::Write(err) => err.into(),
        }
    }
}

/// An account that is signed in in the browser that a request comes from: the one whose pages it shows.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) account: Account,
    pub(crate) session: WebSession,
    pub(crate) visitor: Visitor,
}

/// Leads whoever is not signed in to where they can.
#[derive(Debug)]
pub(crate) enum NotSignedIn {
    SignIn(Box<Visitor>, Method),
    Failed(XrpcError),
}

impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn(visitor, method) => {
                // What a form would have done is not done after signing in.
                let next = if method == Method::GET { visitor.here.as_str() } else { "/account" };
                let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
                see_other(&visitor.app, &format!("/account/sign-in?{query}"))
            }
            Self::Failed(err) => err.into_response(),
        }
    }
}

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, NotSignedIn> {
        let visitor = Visitor::from_request_parts(parts, app).await.map_err(NotSignedIn::Failed)?;
        let found = current(app, &visitor.device).await.map_err(|err| NotSignedIn::Failed(err.into()))?;
        let Some((account, session)) = found else {
            return Err(NotSignedIn::SignIn(Box::new(visitor), parts.method.clone()));
        };
        crate::auth::note_caller(parts, &account);
        touch(app, &session).await.map_err(|err| NotSignedIn::Failed(err.into()))?;
        Ok(Self { account, session, visitor })
    }
}

/// Notes that a session is in use, once in an hour.
async fn touch(app: &App, session: &WebSession) -> Result<(), WebSessionError> {
    let now = app.clock.millis();
    if now - session.last_seen_at < HOUR {
        return Ok(());
    }
    let (device, account) = (session.device, session.account);
    let expires_at = if session.remembered { now + REMEMBERED } else { session.expires_at };
    app.db.write(move |tx| Ok(web_session::touch(tx, device, account, now, expires_at)?)).await
}

async fn current(app: &App, device: &Device) -> Result<Option<(Account, WebSession)>, StoreError> {
    let accounts = signed_in_accounts(app, device).await?;
    let current = app.db.read(|conn| web_session::find_device(conn, device.id)).await?.and_then(|device| device.current);
    let mut accounts = accounts.into_iter();
    let first = accounts.next();
    match current {
        Some(id) if first.as_ref().is_some_and(|(account, _)| account.id != id) => {
            Ok(accounts.find(|(account, _)| account.id == id).or(first))
        }
        Some(_) | None => Ok(first),
    }
}

/// Returns who is signed in in a browser, the latest first. Accounts that were taken down are not.
pub(crate) async fn signed_in_accounts(app: &App, device: &Device) -> Result<Vec<(Account, WebSession)>, StoreError> {
    let now = app.clock.millis();
    app.db
        .read(|conn| {
            let Some(stored) = web_session::find_device(conn, device.id)? else { return Ok(Vec::new()) };
            if !device.is(&stored) {
                return Ok(Vec::new());
            }
            let mut accounts = Vec::new();
            for session in web_session::list_of_device(conn, device.id, now)? {
                let Some(account) = account::find(conn, session.account)? else { continue };
                match account.status {
                    Status::Active | Status::Deactivated => accounts.push((account, session)),
                    Status::Takendown | Status::Suspended => {}
                }
            }
            Ok(accounts)
        })
        .await
}

/// Begins a session of an account in this browser, which gets another secret, and shows the account's pages from now on.
/// `password_hash` is what the password was found to fit, if one was asked for.
pub(crate) async fn begin(
    visitor: &Visitor,
    account: AccountId,
    remember: bool,
    password_hash: Option<String>,
) -> Result<Device, WebSessionError> {
    let app = &visitor.app;
    let (old, user_agent, ip) = (visitor.device.clone(), visitor.user_agent.clone(), visitor.ip.clone());
    let origin = Origin { user_agent: user_agent.clone(), ip: ip.clone(), browser: Some(old.id.0) };
    let (device, alarm) = app
        .db
        .write::<_, WebSessionError>(move |tx| {
            check(tx, account, password_hash.as_deref())?;
            let now = tx.now_millis();
            let device = match web_session::find_device(tx, old.id)? {
                // The name of another browser, or a cookie of before: a stranger to what is stored under that name.
                Some(stored) if !old.is(&stored) => Device::new(),
                Some(_) | None => old.with_new_secret(),
            };
            let others = web_session::list_of_device(tx, device.id, now)?;
            if others.iter().filter(|other| other.account != account).count() >= MAX_PER_DEVICE {
                return Err(WebSessionError::TooMany);
            }
            web_session::put_device(tx, device.id, &device.secret_hash(), account, now)?;
            web_session::keep_latest(tx, account, MAX_PER_ACCOUNT - 1)?;
            let session = WebSession {
                device: device.id,
                account,
                signed_in_at: now,
                confirmed_at: now,
                last_seen_at: now,
                expires_at: now + if remember { REMEMBERED } else { NOT_REMEMBERED },
                remembered: remember,
                user_agent,
                ip,
            };
            web_session::put(tx, &session)?;
            let alarm = sign_ins::note(tx, account, &origin)?;
            Ok((device, alarm))
        })
        .await?;
    sign_ins::raise(app, alarm);
    visitor.set_device(&device);
    Ok(device)
}

/// Checks in the transaction what was found before it.
fn check(tx: &BatchTx<'_>, id: AccountId, password_hash: Option<&str>) -> Result<(), WebSessionError> {
    let account = account::find(tx, id)?.ok_or(WebSessionError::Changed)?;
    match account.status {
        Status::Takendown | Status::Suspended => return Err(WebSessionError::Takendown),
        Status::Active | Status::Deactivated => {}
    }
    if password_hash.is_some() && account::password_hash(tx, id)?.as_deref() != password_hash {
        return Err(WebSessionError::Changed);
    }
    Ok(())
}

/// Ends the session of an account in this browser, which gets another secret.
pub(crate) async fn end(visitor: &Visitor, account: AccountId) -> Result<(), WebSessionError> {
    let old = visitor.device.clone();
    let device = visitor
        .app
        .db
        .write::<_, WebSessionError>(move |tx| {
            let Some(stored) = web_session::find_device(tx, old.id)?.filter(|stored| old.is(stored)) else { return Ok(None) };
            web_session::delete(tx, old.id, account)?;
            let now = tx.now_millis();
            let next = web_session::list_of_device(tx, old.id, now)?.first().map(|session| session.account);
            let current = stored.current.filter(|current| *current != account).or(next);
            let device = old.with_new_secret();
            web_session::set_secret(tx, device.id, &device.secret_hash(), current)?;
            Ok(Some(device))
        })
        .await?;
    if let Some(device) = device {
        visitor.set_device(&device);
    }
    Ok(())
}

/// Shows the pages of another account that is signed in in this browser; whether it is.
pub(crate) async fn switch_to(visitor: &Visitor, account: AccountId) -> Result<bool, WebSessionError> {
    let accounts = signed_in_accounts(&visitor.app, &visitor.device).await?;
    if !accounts.iter().any(|(found, _)| found.id == account) {
        return Ok(false);
    }
    let device = visitor.device.id;
    visitor.app.db.write::<_, WebSessionError>(move |tx| Ok(web_session::set_current(tx, device, account)?)).await?;
    Ok(true)
}

/// Forgets sessions that are over, and browsers without any; returns how many sessions.
pub(crate) async fn sweep(app: AppState) -> Result<usize, XrpcError> {
    let mut swept = 0;
    loop {
        let now = app.clock.millis();
        let found = app.db.write::<_, XrpcError>(move |tx| Ok(web_session::sweep(tx, now, SWEEP_BATCH)?)).await?;
        swept += found;
        if found < SWEEP_BATCH || app.stop.is_cancelled() {
            return Ok(swept);
        }
    }
}
