//! `POST /account/sign-in/passkey` and `/account/sign-in/passkey/begin`: signing in with a passkey, by script.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sign_in::Refusal;
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfJson, Destination, Visitor, WebSessionError, begin};
use crate::second_factor::passkey::{self, PasskeyError};
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Nothing {}

#[derive(Serialize)]
pub(crate) struct Begun {
    ceremony: String,
    options: Value,
}

pub(crate) async fn start(
    State(app): State<AppState>,
    CsrfJson(Nothing {}): CsrfJson<Nothing>,
) -> Result<Json<Begun>, XrpcError> {
    let begun = passkey::begin_authentication(&app)?;
    Ok(Json(Begun { ceremony: begun.ceremony, options: begun.options }))
}

#[derive(Deserialize)]
pub(crate) struct Input {
    ceremony: String,
    /// What the browser answered, as JSON.
    answer: Value,
    remember: bool,
    next: String,
}

/// Where to go, or what is wrong.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Next(String),
    Problem(&'static str),
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    visitor: Visitor,
    meter: Meter,
    CsrfJson(input): CsrfJson<Input>,
) -> Result<Response, XrpcError> {
    let t = &visitor.language.texts().sign_in;
    let problem = |(status, text): (StatusCode, &'static str)| Ok((status, Json(Outcome::Problem(text))).into_response());
    if meter.count_login("passkey").is_err() {
        return problem((StatusCode::TOO_MANY_REQUESTS, t.too_many));
    }
    let to = Destination::of(&app, Some(&input.next)).await;
    let account = match passkey::finish_authentication(&app, &input.ceremony, &input.answer.to_string()).await {
        Ok(account) => account,
        Err(err @ (PasskeyError::Store(_) | PasskeyError::Write(_) | PasskeyError::Library(_))) => return Err(err.into()),
        Err(err) => {
            tracing::debug!(error = &err as &dyn std::error::Error, "a passkey was refused");
            return problem((StatusCode::UNAUTHORIZED, t.passkey_wrong));
        }
    };
    match begin(&visitor, account.id, input.remember, None).await {
        Ok(_) => {
            tracing::info!(did = %account.did, "signed in in a browser with a passkey");
            Ok(Json(Outcome::Next(to.for_account(&account.did))).into_response())
        }
        Err(WebSessionError::Changed) => problem(Refusal::Changed.in_words(t)),
        Err(WebSessionError::Takendown) => problem(Refusal::Takendown.in_words(t)),
        Err(WebSessionError::TooMany) => problem(Refusal::TooMany.in_words(t)),
        Err(err @ (WebSessionError::Store(_) | WebSessionError::Write(_))) => Err(err.into()),
    }
}
