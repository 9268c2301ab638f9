//! `com.atproto.server.getServiceAuth`: makes a token by which the caller calls another service.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/getServiceAuth.json>

use axum::Json;
use axum::extract::State;
use common::{Clock as _, Did, Nsid};
use serde::Serialize;

use crate::auth::{Power, RpcAuth, Scope, StandardOrTakendown, methods, service};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::account;

const MAX_AUD_CHARS: usize = 2048;
/// How long a token lasts if nothing is asked, and at most when it is good for every method.
const DEFAULT_SECONDS: i64 = 60;
const MAX_SECONDS: i64 = 3600;

const CREATE_ACCOUNT: &str = "com.atproto.server.createAccount";

#[derive(Debug)]
pub(crate) struct Parameters {
    aud: String,
    exp: Option<i64>,
    lxm: Option<Nsid>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        let aud: String = params.required("aud")?;
        if !is_audience(&aud) {
            return Err("aud must be a did:plc or did:web, perhaps with #service".to_owned());
        }
        Ok(Self { aud, exp: params.optional("exp")?, lxm: params.optional("lxm")? })
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    token: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    auth: RpcAuth<StandardOrTakendown>,
) -> Result<Json<Output>, XrpcError> {
    let lxm = params.lxm.as_ref().map(Nsid::as_str);
    check_method(auth.power(), lxm)?;
    let account = auth.permit(params.lxm.as_ref(), &params.aud)?;
    let now = app.clock.seconds();
    let exp = params.exp.unwrap_or(now + DEFAULT_SECONDS);
    check_expiry(exp, now, lxm.is_some())?;
    let sealed = app.db.read(|conn| account::sealed_signing_key(conn, account.id)).await?;
    let key = app.secrets.open_signing_key(&account.did, &sealed).map_err(XrpcError::internal)?;
    let token = service::issue(&key, &account.did, &params.aud, lxm, now, exp).map_err(XrpcError::internal)?;
    Ok(Json(Output { token }))
}

fn is_audience(aud: &str) -> bool {
    let (did, service) = aud.split_once('#').map_or((aud, None), |(did, service)| (did, Some(service)));
    aud.len() <= MAX_AUD_CHARS
        && did.parse().is_ok_and(|did: Did| did.is_plc() || did.is_web())
        && service.is_none_or(|service| !service.is_empty() && !service.contains(['#', ' ']))
}

fn check_method(power: &Power, lxm: Option<&str>) -> Result<(), XrpcError> {
    if power.is(Scope::Takendown) && lxm != Some(CREATE_ACCOUNT) {
        return Err(XrpcError::bad_request("InvalidToken", "Bad token scope"));
    }
    let Some(lxm) = lxm else { return Ok(()) };
    if methods::is_protected(lxm) {
        let message = format!("cannot request a service auth token for the following protected method: {lxm}");
        return Err(XrpcError::invalid_request(message));
    }
    if power.is(Scope::AppPass) && (methods::is_chat(lxm) || lxm.eq_ignore_ascii_case(CREATE_ACCOUNT)) {
        let message = format!("insufficient access to request a service auth token for the following method: {lxm}");
        return Err(XrpcError::invalid_request(message));
    }
    Ok(())
}

fn check_expiry(exp: i64, now: i64, for_one_method: bool) -> Result<(), XrpcError> {
    let refused = |message| Err(XrpcError::bad_request("BadExpiration", message));
    match exp.saturating_sub(now) {
        ..0 => refused("expiration is in past"),
        left if left > MAX_SECONDS => refused("cannot request a token with an expiration more than an hour in the future"),
        left if left > DEFAULT_SECONDS && !for_one_method => {
            refused("cannot request a method-less token with an expiration more than a minute in the future")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_a_service() {
        for good in ["did:plc:ewvi7nxzyoun6zhxrhs64oiz", "did:web:api.bsky.app#bsky_appview"] {
            assert!(is_audience(good), "{good}");
        }
        for bad in ["", "did:web:", "api.bsky.app", "did:key:zabc", "did:web:a.b#", "did:web:a.b#c#d", "did:web:a.b#c d"] {
            assert!(!is_audience(bad), "{bad}");
        }
    }

    #[test]
    fn a_token_never_does_more_than_its_session() {
        let name = |scope, lxm| check_method(&Power::Session(scope), lxm).err().map(|err| err.name().to_owned());
        assert_eq!(name(Scope::Access, Some("chat.bsky.convo.listConvos")), None);
        assert_eq!(name(Scope::AppPassPrivileged, Some("chat.bsky.convo.listConvos")), None);
        assert_eq!(name(Scope::AppPass, Some("chat.bsky.convo.listConvos")).as_deref(), Some("InvalidRequest"));
        assert_eq!(name(Scope::AppPass, Some(CREATE_ACCOUNT)).as_deref(), Some("InvalidRequest"));
        assert_eq!(name(Scope::AppPass, Some("app.bsky.feed.getTimeline")), None);
        assert_eq!(name(Scope::Access, Some("com.atproto.server.updateEmail")).as_deref(), Some("InvalidRequest"));
        assert_eq!(name(Scope::Access, Some("com.atproto.Server.updateEmail")).as_deref(), Some("InvalidRequest"));
        assert_eq!(name(Scope::Takendown, Some(CREATE_ACCOUNT)), None);
        assert_eq!(name(Scope::Takendown, None).as_deref(), Some("InvalidToken"));
    }

    #[test]
    fn tokens_do_not_last() {
        let ok = |left: i64, for_one_method| check_expiry(1000 + left, 1000, for_one_method).is_ok();
        assert!(ok(60, false) && !ok(61, false));
        assert!(ok(3600, true) && !ok(3601, true));
        assert!(!ok(-1, true) && check_expiry(i64::MIN, 1000, true).is_err());
    }
}
