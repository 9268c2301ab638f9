//! Callers with a session token.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use common::Clock as _;
use http::request::Parts;

use super::power::{AppRule, NoApps, Power};
use super::token::{self, Scope, bad_scope};
use super::{Admin, Credentials, app as apps, check_takedown, credentials, missing, not_active};
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::state::AppState;
use crate::store::account::{self, Account};

/// Which scopes a method accepts. One that does not accept [`Scope::Takendown`] is closed to an account that was taken down,
/// also with a token of before.
pub(crate) trait Policy: Send + Sync {
    const SCOPES: &'static [Scope];
}

/// Any session: the password's, or an app password's.
#[derive(Debug)]
pub(crate) struct Standard;

impl Policy for Standard {
    const SCOPES: &'static [Scope] = &[Scope::Access, Scope::AppPassPrivileged, Scope::AppPass];
}

/// The password's session alone.
#[derive(Debug)]
pub(crate) struct Full;

impl Policy for Full {
    const SCOPES: &'static [Scope] = &[Scope::Access];
}

/// Any session, also that of an account which was taken down.
#[derive(Debug)]
pub(crate) struct StandardOrTakendown;

impl Policy for StandardOrTakendown {
    const SCOPES: &'static [Scope] = &[Scope::Access, Scope::AppPassPrivileged, Scope::AppPass, Scope::Takendown];
}

/// The password's session, also that of an account which was taken down.
#[derive(Debug)]
pub(crate) struct FullOrTakendown;

impl Policy for FullOrTakendown {
    const SCOPES: &'static [Scope] = &[Scope::Access, Scope::Takendown];
}

/// A caller with an access token that the policy `P` accepts, or an app that the rule `A` lets in.
#[derive(Debug)]
pub(crate) struct Auth<P, A = NoApps> {
    pub(crate) account: Account,
    pub(crate) power: Power,
    policy: PhantomData<(P, A)>,
}

impl<P: Policy, A: AppRule> FromRequestParts<AppState> for Auth<P, A> {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        let (account, power) = authenticate(parts, app, P::SCOPES).await?;
        if let Power::App(grants) = &power {
            A::check(grants)?;
        }
        Ok(Self { account, power, policy: PhantomData })
    }
}

/// Finds out who calls, with a session that the policy `P` accepts or as an app, for handlers that then judge what an app may do.
pub(crate) async fn authenticate_by<P: Policy>(parts: &Parts, app: &AppState) -> Result<(Account, Power), XrpcError> {
    authenticate(parts, app, P::SCOPES).await
}

/// Finds out who calls, with a session of one of `scopes` or as an app. What an app may do is for the caller to check.
pub(super) async fn authenticate(parts: &Parts, app: &AppState, scopes: &[Scope]) -> Result<(Account, Power), XrpcError> {
    let (account, power) = match credentials(&parts.headers)? {
        Credentials::Bearer(token) => {
            let (account, scope) = session(app, token, scopes).await?;
            (account, Power::Session(scope))
        }
        Credentials::Dpop(token) => {
            let (account, grants) = apps::authenticate(parts, app, token).await?;
            (account, Power::App(grants))
        }
        Credentials::None => return Err(missing()),
        Credentials::Basic(_) => return Err(XrpcError::bad_request("InvalidToken", "Unexpected authorization type")),
    };
    super::note_caller(parts, &account);
    Meter::of(parts).count_account(account.id)?;
    Ok((account, power))
}

async fn session(app: &AppState, bearer: &str, scopes: &[Scope]) -> Result<(Account, Scope), XrpcError> {
    let service = &app.config.identity.service_did;
    let claims = token::verify_access(&app.secrets, service, bearer, app.clock.seconds());
    let claims = claims.map_err(|err| apps::explain(app, bearer).unwrap_or(err))?;
    if !scopes.contains(&claims.scope) {
        return Err(bad_scope());
    }
    let account = app.db.read(|conn| account::find_by_did(conn, &claims.sub)).await?;
    let account = account.ok_or_else(|| XrpcError::forbidden("AccountNotFound", "Account not found"))?;
    if check_takedown(&account).is_ok() {
        return Ok((account, claims.scope));
    }
    // A token of before is good for no more than one of after.
    if scopes.contains(&Scope::Takendown) { Ok((account, Scope::Takendown)) } else { Err(not_active(account.status)) }
}

/// A caller that may be anyone. A header that is there must be good.
#[derive(Debug)]
pub(crate) enum OptionalAuth {
    Anyone,
    Account(Box<Account>),
    Admin,
}

impl OptionalAuth {
    /// Whether the caller sees an account although it is not active: its owner and admins do.
    pub(crate) fn sees_inactive(&self, account: &Account) -> bool {
        match self {
            Self::Anyone => false,
            Self::Account(caller) => caller.id == account.id,
            Self::Admin => true,
        }
    }
}

impl FromRequestParts<AppState> for OptionalAuth {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        match credentials(&parts.headers)? {
            Credentials::None => Ok(Self::Anyone),
            Credentials::Bearer(token) => {
                let (account, _) = session(app, token, StandardOrTakendown::SCOPES).await?;
                super::note_caller(parts, &account);
                Ok(Self::Account(Box::new(account)))
            }
            Credentials::Basic(_) => Admin::from_request_parts(parts, app).await.map(|_| Self::Admin),
            Credentials::Dpop(token) => {
                let (account, _) = apps::authenticate(parts, app, token).await?;
                super::note_caller(parts, &account);
                Ok(Self::Account(Box::new(account)))
            }
        }
    }
}

/// A caller with a refresh token whose signature is good. Whether it was revoked is for the handler to find out.
#[derive(Debug)]
pub(crate) struct RefreshAuth<const ALLOW_EXPIRED: bool> {
    pub(crate) claims: token::Claims,
    /// The token's id.
    pub(crate) jti: String,
}

impl<const ALLOW_EXPIRED: bool> FromRequestParts<AppState> for RefreshAuth<ALLOW_EXPIRED> {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        match credentials(&parts.headers)? {
            Credentials::Bearer(bearer) => {
                let service = &app.config.identity.service_did;
                let now = app.clock.seconds();
                let claims = token::verify_refresh(&app.secrets, service, bearer, now, ALLOW_EXPIRED)?;
                let jti = claims.jti.clone().ok_or_else(bad_scope)?;
                Ok(Self { claims, jti })
            }
            Credentials::None => Err(missing()),
            Credentials::Basic(_) | Credentials::Dpop(_) => {
                Err(XrpcError::bad_request("InvalidToken", "Unexpected authorization type"))
            }
        }
    }
}
