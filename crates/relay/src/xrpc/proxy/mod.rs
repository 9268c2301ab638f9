//! Calls that other services answer: passed on in the caller's name, signed by the caller's key.
//!
//! Where a call goes is told by its `atproto-proxy` header, or else by its method ([`Target`]). The service gets a token of one
//! minute for this one method, never the caller's own. Some headers pass ([`headers`]), bodies stream through with a bound
//! ([`stream`]), errors are told as the service told them ([`Failure`]).
//!
//! # Tricky bits
//!
//! - The caller is authenticated before the header is looked at: it makes this server resolve a DID.
//! - Hosts that a DID document names are reached with the guarded client, those that the operator configured with the other.
//! - Methods that are served here never come here. Those of the families by which accounts and repos are managed do not leave
//!   even when this server does not know them.
//!
//! Spec: <https://atproto.com/specs/xrpc#service-proxying>

mod call;
mod failure;
mod headers;
mod stream;
mod target;

pub(crate) use call::{Answer, Call, send, service_token};
pub(crate) use failure::{Failure, Refusal};
pub(crate) use headers::REPO_REV;
pub(crate) use target::{ServiceRef, Target, appview_name};

use target::no_service;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use common::Nsid;
use http::{HeaderMap, Method, Uri};

use crate::auth::{Power, RpcAuth, Scope, methods};
use crate::error::XrpcError;
use crate::state::AppState;
use crate::store::account::Account;

/// Serves every method that has no route of its own.
pub(crate) async fn handler(
    State(app): State<AppState>,
    path: Result<Path<String>, PathRejection>,
    auth: Result<RpcAuth, XrpcError>,
    request: Request,
) -> Result<Response, Failure> {
    let nsid: Option<Nsid> = path.ok().and_then(|Path(nsid)| nsid.parse().ok());
    let nsid = nsid.ok_or_else(|| XrpcError::invalid_request("Invalid xrpc path"))?;
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::POST) {
        return Err(XrpcError::invalid_request("XRPC requests only supports GET and POST").into());
    }
    let auth = auth?;
    check_method(auth.power(), &nsid, request.headers())?;
    pass_on(&app, &auth, &nsid, request).await
}

/// Answers a path that names no method.
pub(crate) async fn no_method() -> XrpcError {
    XrpcError::invalid_request("Invalid xrpc path")
}

/// Passes a call on, and its answer back.
pub(crate) async fn pass_on<P>(app: &AppState, auth: &RpcAuth<P>, nsid: &Nsid, request: Request) -> Result<Response, Failure> {
    let target = Target::find(app, request.headers(), nsid).await?;
    let caller = auth.permit(Some(nsid), &target.name())?;
    Ok(ask(app, caller, &target, nsid, request).await?.pass())
}

/// Passes a call on to `target`.
pub(crate) async fn ask(
    app: &AppState,
    caller: &Account,
    target: &Target,
    nsid: &Nsid,
    request: Request,
) -> Result<Answer, Failure> {
    let token = Some(service_token(app, caller, target.did(), nsid).await?);
    let (parts, body) = request.into_parts();
    let call = Call { target, nsid, method: parts.method, query: parts.uri.query(), headers: &parts.headers, body, token };
    send(app, call).await
}

/// Passes a call on to `target` in nobody's name.
pub(crate) async fn ask_unsigned(app: &AppState, target: &Target, request: Request) -> Result<Answer, Failure> {
    let nsid = method_of(request.uri())?;
    let (parts, body) = request.into_parts();
    let (method, query) = (parts.method, parts.uri.query());
    send(app, Call { target, nsid: &nsid, method, query, headers: &parts.headers, body, token: None }).await
}

/// Returns the method that a request is for, in handlers that serve several.
pub(crate) fn method_of(uri: &Uri) -> Result<Nsid, XrpcError> {
    let name = uri.path().trim_start_matches("/xrpc/").trim_end_matches('/');
    name.parse().map_err(|_| XrpcError::invalid_request("Invalid xrpc path"))
}

/// Refuses methods that do not leave this server, or not for this session.
fn check_method(power: &Power, nsid: &Nsid, headers: &HeaderMap) -> Result<(), XrpcError> {
    let chat_for_app = power.is(Scope::AppPass) && methods::is_chat(nsid.as_str());
    if chat_for_app || methods::is_protected(nsid.as_str()) {
        return Err(XrpcError::bad_request("InvalidToken", "Bad token method"));
    }
    let stays = match nsid.authority().to_ascii_lowercase().as_str() {
        "com.atproto.admin" | "com.atproto.identity" | "com.atproto.repo" | "com.atproto.server" => true,
        // Relays have some of these, and no AppView has.
        "com.atproto.sync" => ServiceRef::from_headers(headers)?.is_none(),
        _ => false,
    };
    if stays { Err(no_service(nsid)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_manages_accounts_stays_here() {
        let mut named = HeaderMap::new();
        named.insert("atproto-proxy", "did:web:a.b#c".parse().unwrap());
        let outcome = |scope, nsid: &str, headers: &HeaderMap| {
            check_method(&Power::Session(scope), &nsid.parse().unwrap(), headers).map_err(|err| err.name().to_owned())
        };
        let passes = |nsid: &str, headers: &HeaderMap| outcome(Scope::Access, nsid, headers).is_ok();
        let none = HeaderMap::new();
        for nsid in
            ["com.atproto.label.queryLabels", "com.atproto.lexicon.resolveLexicon", "com.example.any", "chat.bsky.convo.x"]
        {
            assert!(passes(nsid, &none) && passes(nsid, &named), "{nsid}");
        }
        for nsid in ["com.atproto.server.noSuchMethod", "com.atproto.Server.updateEmail", "com.atproto.repo.x"] {
            assert!(!passes(nsid, &none) && !passes(nsid, &named), "{nsid}");
        }
        assert!(!passes("com.atproto.sync.listHosts", &none) && passes("com.atproto.sync.listHosts", &named));
        assert_eq!(outcome(Scope::AppPass, "chat.bsky.convo.x", &none), Err("InvalidToken".to_owned()));
        assert_eq!(outcome(Scope::AppPass, "Chat.bsky.convo.x", &none), Err("InvalidToken".to_owned()));
        assert_eq!(outcome(Scope::AppPassPrivileged, "chat.bsky.convo.x", &none), Ok(()));
    }
}
