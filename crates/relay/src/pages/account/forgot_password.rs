//! `GET` and `POST /account/forgot-password`: asks for a code by mail, to choose another password with.
//!
//! Whoever asks learns nothing about who has an account here.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use crate::account::request_password_reset;
use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::{CsrfForm, Destination, Frame, Visitor};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "forgot_password.html")]
struct Page {
    frame: Frame,
    next: String,
    sign_in: String,
    have_code: String,
}

#[derive(Deserialize)]
pub(crate) struct Params {
    next: Option<String>,
}

pub(crate) async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(params): Query<Params>,
) -> Result<Response, XrpcError> {
    let to = Destination::of(&app, params.next.as_deref()).await;
    let (sign_in, have_code) = (to.via("/account/sign-in", &[]), to.via("/account/reset-password", &[]));
    visitor.page(StatusCode::OK, &Page { frame: visitor.frame(), next: to.path, sign_in, have_code })
}

#[derive(Deserialize)]
pub(crate) struct Input {
    email: String,
    next: String,
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    meter: Meter,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    meter.count_call("com.atproto.server.requestPasswordReset")?;
    request_password_reset(&app, input.email)?;
    let to = Destination::of(&app, Some(&input.next)).await;
    Ok(crate::pages::see_other(&app, &to.via("/account/reset-password", &[("sent", "1")])))
}
