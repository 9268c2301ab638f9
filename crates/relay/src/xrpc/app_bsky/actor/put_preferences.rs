//! `app.bsky.actor.putPreferences`: stores all preferences of the account's apps, in the place of those before.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/app/bsky/actor/putPreferences.json>

use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{DECLARED_AGE, NAMESPACE, PERSONAL_DETAILS};
use crate::auth::RpcAuth;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;
use crate::store::preference::{self, Preference};
use crate::xrpc::proxy::{self, Failure, ServiceRef};

#[derive(Deserialize)]
struct Input {
    /// Kept as they came; what is in them is for apps to know.
    preferences: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "$type")]
    kind: Option<String>,
}

pub(crate) async fn handler(State(app): State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    // As in getPreferences: what is read there is written there.
    let nsid = proxy::method_of(request.uri())?;
    if ServiceRef::from_headers(request.headers())?.is_some_and(|service| service.is_foreign(&app)) {
        return proxy::pass_on(&app, &auth, &nsid, request).await;
    }
    let account = auth.permit(Some(&nsid), &proxy::appview_name(&app))?.id;
    let XrpcJson(input) = XrpcJson::<Input>::from_request(request, &app).await?;
    let personal = auth.power().is_full();
    let preferences = check(&input.preferences, personal)?;
    app.db
        .write::<_, XrpcError>(move |tx| {
            let mut preferences = preferences;
            if !personal {
                // Not seen by this session, so not meant to go.
                preferences.extend(preference::list(tx, account)?.into_iter().filter(|one| one.kind == PERSONAL_DETAILS));
            }
            Ok(preference::replace(tx, account, &preferences)?)
        })
        .await?;
    Ok(StatusCode::OK.into_response())
}

/// Returns those preferences of an account that comes from elsewhere which may be stored here.
pub(crate) fn of_account(given: &[Box<RawValue>]) -> Vec<Preference> {
    given.iter().filter_map(|one| check(std::slice::from_ref(one), true).ok()).flatten().collect()
}

/// Checks what may be checked of preferences, and leaves out what is computed.
fn check(given: &[Box<RawValue>], personal: bool) -> Result<Vec<Preference>, XrpcError> {
    let mut preferences = Vec::with_capacity(given.len());
    for raw in given {
        let typed: Option<Typed> = serde_json::from_str(raw.get()).ok();
        let kind = typed.and_then(|typed| typed.kind);
        let kind = kind.ok_or_else(|| XrpcError::invalid_request("Preference is missing a $type"))?;
        if !kind.strip_prefix(NAMESPACE).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            return Err(XrpcError::invalid_request(format!("Some preferences are not in the {NAMESPACE} namespace")));
        }
        if kind == PERSONAL_DETAILS && !personal {
            return Err(XrpcError::invalid_request("Do not have authorization to set preferences."));
        }
        if kind != DECLARED_AGE {
            preferences.push(Preference { kind, json: raw.get().to_owned() });
        }
    }
    Ok(preferences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_of_one_namespace() {
        let refused = |json: &str| {
            let input: Input = serde_json::from_str(&format!(r#"{{"preferences":[{json}]}}"#)).unwrap();
            check(&input.preferences, false).err().map(|err| err.message().to_owned())
        };
        assert_eq!(refused(r#"{"$type":"app.bsky.actor.defs#adultContentPref","enabled":true}"#), None);
        for json in [r#"{"$type":"com.example.defs#pref"}"#, r#"{"$type":"app.bskyx.a"}"#] {
            assert_eq!(refused(json).as_deref(), Some("Some preferences are not in the app.bsky namespace"));
        }
        for json in ["{}", "7", "null", r#"{"$type":7}"#] {
            assert_eq!(refused(json).as_deref(), Some("Preference is missing a $type"), "{json}");
        }
        assert!(refused(r#"{"$type":"app.bsky.actor.defs#personalDetailsPref"}"#).is_some());
    }
}
