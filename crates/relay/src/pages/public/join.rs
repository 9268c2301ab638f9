//! `GET` and `POST /join/{code}`: an invitation, and the account that comes of it.
//!
//! Whether a code is good is told as `createAccount` tells it: one that never was and one that is used up look alike. Codes have
//! 50 random bits, and tries are limited by address.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;

use crate::error::XrpcError;
use crate::limits::Meter;
use crate::pages::account::sign_up::{self, Input, Invitation};
use crate::pages::{CsrfForm, Destination, Frame, Visitor, see_other};
use crate::state::{App, AppState};
use crate::store::invite;

/// What comes after: how to use the account in an app.
const WELCOME: &str = "/account/welcome";
const MAX_CODE_BYTES: usize = 200;

#[derive(Template)]
#[template(path = "join_over.html")]
struct Over {
    frame: Frame,
}

/// Returns the address of an invitation.
pub(crate) fn link(app: &App, code: &str) -> String {
    format!("{}/join/{code}", app.config.server.public_url.as_str())
}

pub(crate) async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    meter: Meter,
    Path(code): Path<String>,
) -> Result<Response, XrpcError> {
    meter.count_call("/join")?;
    if !is_good(&app, &code).await? {
        return over(&app, &visitor);
    }
    let invitation = Invitation::of(&app, &code)?;
    let to = Destination::of(&app, Some(WELCOME)).await;
    let input = Input::default().with_invite(&code);
    visitor.page(StatusCode::OK, &sign_up::page(&app, visitor.frame(), &input, &to, Some(invitation), None))
}

pub(crate) async fn submit(
    State(app): State<AppState>,
    visitor: Visitor,
    meter: Meter,
    Path(code): Path<String>,
    CsrfForm(input): CsrfForm<Input>,
) -> Result<Response, XrpcError> {
    meter.count_call("/join")?;
    meter.count_call("com.atproto.server.createAccount")?;
    let input = input.with_invite(&code);
    let frame = visitor.frame();
    let to = Destination::of(&app, Some(WELCOME)).await;
    match sign_up::sign_up(&app, &visitor, &input, &frame.t.sign_up).await? {
        Ok(_) => Ok(see_other(&app, WELCOME)),
        // Someone else was quicker, or it was withdrawn.
        Err(_) if !is_good(&app, &code).await? => over(&app, &visitor),
        Err(problem) => {
            let page = sign_up::page(&app, frame, &input, &to, Some(Invitation::of(&app, &code)?), Some(problem));
            visitor.page(StatusCode::BAD_REQUEST, &page)
        }
    }
}

async fn is_good(app: &App, code: &str) -> Result<bool, XrpcError> {
    if code.len() > MAX_CODE_BYTES {
        return Ok(false);
    }
    let code = code.to_owned();
    Ok(app.db.read(move |conn| invite::is_good(conn, &code)).await?)
}

fn over(app: &App, visitor: &Visitor) -> Result<Response, XrpcError> {
    // Nobody needs one.
    if !app.config.accounts.invite_required {
        return Ok(see_other(app, "/account/sign-up"));
    }
    visitor.page(StatusCode::GONE, &Over { frame: visitor.frame() })
}
