//! `POST /account/switch`: shows another account that is signed in in this browser.

use axum::extract::State;
use axum::response::Response;
use common::Did;
use serde::Deserialize;

use crate::error::XrpcError;
use crate::pages::{CsrfForm, Visitor, see_other, switch_to};
use crate::state::AppState;
use crate::store::account;

#[derive(Deserialize)]
pub(crate) struct Input {
    did: Did,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    visitor: Visitor,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    if let Some(account) = app.db.read(|conn| account::find_by_did(conn, &input.did)).await? {
        switch_to(&visitor, account.id).await?;
    }
    // Where it is not signed in after all, the page says who is.
    Ok(see_other(&app, "/account"))
}
