//! `GET` and `POST /account/sign-in/link`: a link that signs in once, and leads to where passkeys are added.
//!
//! The secret of the link is behind its `#`, and so in no log; a script puts it into the form. Programs that open links on their
//! own use none up.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::sign_in;
use crate::account::sign_in_link;
use crate::error::XrpcError;
use crate::pages::{CsrfForm, Destination, Frame, Visitor};
use crate::state::AppState;

/// Where the link leads.
const NEXT: &str = "/account/security#passkeys";
/// Most characters of an account's name that are shown.
const MAX_NAME: usize = 253;

#[derive(Template)]
#[template(path = "sign_in_link.html")]
struct Page {
    frame: Frame,
    /// Whose link it is, as it says itself; what it says is checked when it is used.
    account: String,
}

#[derive(Template)]
#[template(path = "sign_in_link_over.html")]
struct Over {
    frame: Frame,
    text: &'static str,
    /// The way for whoever has the password.
    sign_in: String,
}

#[derive(Deserialize)]
pub(crate) struct Params {
    #[serde(default)]
    account: String,
}

#[derive(Deserialize)]
pub(crate) struct Input {
    account: String,
    token: String,
}

pub(crate) async fn show(visitor: Visitor, Query(params): Query<Params>) -> Result<Response, XrpcError> {
    let account = params.account.chars().take(MAX_NAME).collect();
    visitor.page(StatusCode::OK, &Page { frame: visitor.frame(), account })
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    visitor: Visitor,
    CsrfForm(Input { account, token }): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    let to = Destination::of(&app, Some(NEXT)).await;
    let sign_in = to.via("/account/sign-in", &[("hint", &account)]);
    // Reloading leads to what is left to do.
    let visitor = visitor.seen_at(sign_in.clone());
    let frame = visitor.frame();
    let (status, text) = match sign_in_link::take(&app.db, &token, &account).await? {
        None => (StatusCode::GONE, frame.t.sign_in_link.over),
        Some(owner) => match sign_in::finish(&visitor, &owner, true, None, &to).await? {
            Ok(response) => return Ok(response),
            Err(refusal) => refusal.in_words(&frame.t.sign_in),
        },
    };
    visitor.page(status, &Over { text, sign_in, frame: frame.clone() })
}
