//! `app.bsky.actor.getPreferences`: what the account's apps have stored.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/app/bsky/actor/getPreferences.json>

use axum::extract::{FromRequestParts as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use common::{Clock as _, Datetime, Did};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Deserialize;

use super::{DECLARED_AGE, PERSONAL_DETAILS};
use crate::auth::{Moderator, RpcAuth, StandardOrTakendown};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::preference::{self, Preference};
use crate::store::{StoreError, account};
use crate::xrpc::proxy::{self, Failure, ServiceRef};

pub(crate) struct Parameters {
    /// Not in the lexicon: the account that a moderator asks about.
    did: Option<Did>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { did: params.optional("did")? })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    auth: Result<RpcAuth<StandardOrTakendown>, XrpcError>,
    request: Request,
) -> Result<Response, Failure> {
    if let Some(did) = params.did {
        return Ok(of_account(&app, &did, request).await?);
    }
    let auth = auth?;
    // Another AppView may keep preferences of its own.
    let nsid = proxy::method_of(request.uri())?;
    if ServiceRef::from_headers(request.headers())?.is_some_and(|service| service.is_foreign(&app)) {
        return proxy::pass_on(&app, &auth, &nsid, request).await;
    }
    let account = auth.permit(Some(&nsid), &proxy::appview_name(&app))?.id;
    let stored = app.db.read(|conn| preference::list(conn, account)).await?;
    Ok(answer(&app, &stored, auth.power().is_full()))
}

/// Answers a moderator. What is personal stays so.
async fn of_account(app: &AppState, did: &Did, request: Request) -> Result<Response, XrpcError> {
    Moderator::from_request_parts(&mut request.into_parts().0, app).await?;
    let read = |conn: &rusqlite::Connection| {
        let Some(account) = account::find_by_did(conn, did)? else { return Ok(None) };
        preference::list(conn, account.id).map(Some)
    };
    let stored = app.db.read(read).await.map_err(|err: StoreError| XrpcError::from(err))?;
    let stored = stored.ok_or_else(|| XrpcError::invalid_request(format!("Could not find account: {did}")))?;
    Ok(answer(app, &stored, false))
}

fn answer(app: &AppState, stored: &[Preference], personal: bool) -> Response {
    let today = Datetime::from_millis(app.clock.millis());
    let json = write(stored, personal, today.as_str());
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersonalDetails {
    birth_date: Option<String>,
}

/// Writes the answer. Preferences go out as they came in.
fn write(stored: &[Preference], personal: bool, today: &str) -> String {
    let mut out = String::from("{\"preferences\":[");
    let mut age = None;
    let mut first = true;
    let mut push = |json: &str| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        out.push_str(json);
    };
    for preference in stored {
        if preference.kind == PERSONAL_DETAILS {
            let details: Option<PersonalDetails> = serde_json::from_str(&preference.json).ok();
            age = details.and_then(|details| age_in_years(&details.birth_date?, today));
            if !personal {
                continue;
            }
        }
        push(&preference.json);
    }
    if let Some(age) = age {
        let over = |years| age >= years;
        let declared = serde_json::json!({
            "$type": DECLARED_AGE, "isOverAge13": over(13), "isOverAge16": over(16), "isOverAge18": over(18),
        });
        push(&declared.to_string());
    }
    out.push_str("]}");
    out
}

/// Returns the whole years between two dates that begin as `2001-12-31`.
fn age_in_years(birth: &str, today: &str) -> Option<i32> {
    let date = |text: &str| -> Option<(i32, u32, u32)> {
        let mut parts = text.get(..10)?.splitn(3, '-');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let (birth, today) = (date(birth)?, date(today)?);
    let had_birthday = (today.1, today.2) >= (birth.1, birth.2);
    Some(today.0 - birth.0 - i32::from(!had_birthday))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_whole_years() {
        let age = |birth| age_in_years(birth, "2026-03-01T00:00:00.000Z");
        assert_eq!(age("2008-03-01T23:00:00.000Z"), Some(18));
        assert_eq!(age("2008-03-02"), Some(17));
        assert_eq!(age("2008-02-29T00:00:00Z"), Some(18));
        assert_eq!(age("2030-01-01"), Some(-4));
        assert_eq!(age("yesterday"), None);
        assert_eq!(age("2008-é"), None);
    }

    #[test]
    fn an_age_that_was_not_declared_is_not_told() {
        let one = |json: &str| [Preference { kind: PERSONAL_DETAILS.to_owned(), json: json.to_owned() }];
        assert_eq!(write(&one("{}"), false, "2026-01-01"), r#"{"preferences":[]}"#);
        assert_eq!(write(&[], true, "2026-01-01"), r#"{"preferences":[]}"#);
        assert!(write(&one(r#"{"birthDate":"2012-01-02"}"#), false, "2026-01-01").contains(r#""isOverAge13":true"#));
    }
}
