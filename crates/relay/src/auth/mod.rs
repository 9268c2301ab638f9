//! Who calls. Each extractor proves one kind of caller, so a handler's signature says who may call it.
//!
//! Session tokens are of the official PDS's shape: HS256, `at+jwt` with a scope for access, `refresh+jwt` with a `jti` for
//! refreshing. A token tells the account and the scope; everything else about the account is looked up at each call.
//!
//! Apps come with tokens of another kind (`Authorization: DPoP`) and may do what the account's owner granted them. An extractor says
//! which apps it lets in: none, unless it names a rule for them ([`power`]), or gives the account out only for what is permitted
//! ([`RpcAuth`], [`RepoAuth`]).

mod admin;
mod app;
mod grant;
pub(crate) mod methods;
mod moderator;
mod power;
mod rpc;
pub(crate) mod service;
mod session;
pub(crate) mod token;

pub(crate) use admin::Admin;
pub(crate) use grant::{RepoAuth, RepoGrant};
pub(crate) use moderator::Moderator;
pub(crate) use power::{
    AnyApp, ChangesHandle, ChangesIdentity, ManagesEmail, ManagesRepo, ManagesStatus, Power, missing_scope,
};
pub(crate) use rpc::RpcAuth;
pub(crate) use service::OptionalServiceAuth;
pub(crate) use session::{
    Auth, Full, FullOrTakendown, OptionalAuth, RefreshAuth, Standard, StandardOrTakendown, authenticate_by,
};
pub(crate) use token::Scope;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::error::XrpcError;
use crate::store::account::{Account, Status};

/// What a request's `Authorization` header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials<'h> {
    None,
    Bearer(&'h str),
    Basic(&'h str),
    Dpop(&'h str),
}

/// Reads the `Authorization` header. Scheme names are compared without regard to case.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Credentials<'_>, XrpcError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(Credentials::None) };
    let malformed = || XrpcError::bad_request("InvalidToken", "Malformed authorization header");
    let value = value.to_str().map_err(|_| malformed())?;
    if value.is_empty() {
        return Ok(Credentials::None);
    }
    let (scheme, rest) = value.split_once(' ').ok_or_else(malformed)?;
    if rest.is_empty() || rest.contains(' ') {
        return Err(malformed());
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Credentials::Bearer(rest))
    } else if scheme.eq_ignore_ascii_case("basic") {
        Ok(Credentials::Basic(rest))
    } else if scheme.eq_ignore_ascii_case("dpop") {
        Ok(Credentials::Dpop(rest))
    } else {
        Err(XrpcError::bad_request("InvalidToken", format!("Unsupported authorization scheme {scheme}")))
    }
}

fn missing() -> XrpcError {
    XrpcError::unauthorized("AuthMissing", "Authentication Required")
}

/// Refuses an account that was taken down or suspended.
pub(crate) fn check_takedown(account: &Account) -> Result<(), XrpcError> {
    match account.status {
        status @ (Status::Takendown | Status::Suspended) => Err(not_active(status)),
        Status::Active | Status::Deactivated => Ok(()),
    }
}

/// Refuses an account that is deactivated.
pub(crate) fn check_deactivated(account: &Account) -> Result<(), XrpcError> {
    match account.status {
        status @ Status::Deactivated => Err(not_active(status)),
        Status::Active | Status::Takendown | Status::Suspended => Ok(()),
    }
}

/// Tells the owner of an account what its status forbids.
pub(crate) fn not_active(status: Status) -> XrpcError {
    match status {
        Status::Takendown | Status::Suspended => XrpcError::unauthorized("AccountTakedown", "Account has been taken down"),
        Status::Active | Status::Deactivated => XrpcError::unauthorized("AccountDeactivated", "Account is deactivated"),
    }
}

/// The caller of a request, for its log line.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) std::sync::Arc<std::sync::OnceLock<common::Did>>);

pub(crate) fn note_caller(parts: &http::request::Parts, account: &Account) {
    if let Some(caller) = parts.extensions.get::<Caller>() {
        // A request has one caller; a second extractor finds the same.
        drop(caller.0.set(account.did.clone()));
    }
}
