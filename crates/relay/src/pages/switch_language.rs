//! `POST /language`: another language, chosen by hand.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::language::{self, Language};
use super::{CsrfForm, Visitor, local_path, see_other};
use crate::error::XrpcError;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    language: String,
    /// The page that it was chosen on.
    back: String,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    visitor: Visitor,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let language = Language::from_tag(&input.language)
        .ok_or_else(|| XrpcError::invalid_request("The pages do not speak this language"))?;
    visitor.cookies.set(language::COOKIE, language.tag().to_owned());
    Ok(see_other(&app, local_path(&input.back).unwrap_or("/account")))
}
