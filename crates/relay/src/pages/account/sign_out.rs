//! `POST /account/sign-out`: ends the session of the account that is shown.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::error::XrpcError;
use crate::pages::{CsrfForm, SignedIn, end, see_other};
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {}

pub(crate) async fn handler(
    State(app): State<AppState>,
    SignedIn { account, visitor, .. }: SignedIn,
    CsrfForm(Input {}): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    end(&visitor, account.id).await?;
    tracing::info!(did = %account.did, "signed out in a browser");
    Ok(see_other(&app, "/account/sign-in?signed_out=1"))
}
