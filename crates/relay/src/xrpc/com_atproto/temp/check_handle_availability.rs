//! `com.atproto.temp.checkHandleAvailability`: tells whether a handle is free, and if not, which are that are like it.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/temp/checkHandleAvailability.json>

use axum::Json;
use axum::extract::State;
use common::Handle;
use serde::Serialize;

use crate::account::{Availability, Email, availability};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;

pub(crate) struct Input {
    handle: Handle,
    email: Option<String>,
}

impl FromParams for Input {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { handle: params.required("handle")?, email: params.optional("email")? })
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    handle: Handle,
    result: Answer,
}

#[derive(Serialize)]
#[serde(tag = "$type")]
enum Answer {
    #[serde(rename = "com.atproto.temp.checkHandleAvailability#resultAvailable")]
    Available {},
    #[serde(rename = "com.atproto.temp.checkHandleAvailability#resultUnavailable")]
    Unavailable { suggestions: Vec<Suggestion> },
}

#[derive(Serialize)]
struct Suggestion {
    handle: Handle,
    method: &'static str,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(input): XrpcQuery<Input>,
) -> Result<Json<Output>, XrpcError> {
    if let Some(email) = &input.email {
        Email::parse(email).map_err(|err| XrpcError::bad_request("InvalidEmail", err.to_string()))?;
    }
    let result = match availability(&app, &input.handle).await? {
        Availability::Free => Answer::Available {},
        Availability::Taken(free) => {
            let suggestions = free.into_iter().map(|handle| Suggestion { handle, method: "number" });
            Answer::Unavailable { suggestions: suggestions.collect() }
        }
    };
    Ok(Json(Output { handle: input.handle, result }))
}
