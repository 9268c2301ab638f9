//! `/account/data`: downloading everything, and leaving.

use askama::Template;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;

use super::shell::{Confirmed, Done, DoneParams, Nothing, Section, Shell, back};
use crate::account::{self, archive};
use crate::error::XrpcError;
use crate::pages::{CsrfForm, Frame, SignedIn};
use crate::state::AppState;
use crate::store::account::Status;

#[derive(Template)]
#[template(path = "account_data.html")]
struct Page {
    frame: Frame,
    shell: Shell,
    grace_days: String,
}

pub(crate) async fn show(Confirmed(who): Confirmed, Query(params): Query<DoneParams>) -> Result<Response, XrpcError> {
    page(&who, params.done, StatusCode::OK, None).await
}

async fn page(who: &SignedIn, done: Option<Done>, status: StatusCode, problem: Option<String>) -> Result<Response, XrpcError> {
    let (frame, shell) = Shell::of(who, Section::Data, done).await?;
    let shell = match problem {
        Some(problem) => shell.with_problem(problem),
        None => shell,
    };
    let grace = who.visitor.app.config.accounts.deletion_grace;
    who.visitor.page(status, &Page { frame, shell, grace_days: (grace.as_secs() / 86_400).to_string() })
}

/// `POST /account/archive`: everything that the account has here, as one file.
pub(crate) async fn download(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Response, XrpcError> {
    let archive = archive::begin(&app, &who.account).await?;
    tracing::info!(did = %who.account.did, "the owner downloads everything");
    let mut response = Body::from_stream(ReceiverStream::new(archive)).into_response();
    let name = who.account.handle.as_ref().map_or(who.account.did.as_str(), |handle| handle.as_str()).replace(':', "-");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"{name}.zip\"")) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// `POST /account/deactivate`.
pub(crate) async fn deactivate(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Response, XrpcError> {
    if who.account.status == Status::Active {
        account::deactivate(&app, who.account.id, None).await?;
        tracing::info!(did = %who.account.did, "the owner deactivated the account");
    }
    Ok(back(&who.visitor, "/account/data", "deactivated"))
}

/// `POST /account/activate`: also takes back a deletion.
pub(crate) async fn activate(
    State(app): State<AppState>,
    who: SignedIn,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Response, XrpcError> {
    match account::activate(&app, &who.account).await {
        Ok(()) => {
            tracing::info!(did = %who.account.did, "the owner activated the account");
            Ok(back(&who.visitor, "/account", "activated"))
        }
        Err(err) => {
            let err = XrpcError::from(err);
            if err.status().is_server_error() {
                return Err(err);
            }
            // Such as an account that lives elsewhere now.
            let problem = (who.visitor.frame().t.account.activate_failed)(err.message());
            page(&who, None, StatusCode::BAD_REQUEST, Some(problem)).await
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Farewell {
    sure: Option<String>,
}

/// `POST /account/delete`: hides the account, to be deleted after the days of grace.
pub(crate) async fn delete(
    State(app): State<AppState>,
    Confirmed(who): Confirmed,
    CsrfForm(input): CsrfForm<Farewell>,
) -> Result<Response, XrpcError> {
    if input.sure.is_none() {
        let problem = who.visitor.frame().t.account.delete_not_sure.to_owned();
        return page(&who, None, StatusCode::BAD_REQUEST, Some(problem)).await;
    }
    account::delete_later(&app, &who.account, who.session.device).await?;
    Ok(back(&who.visitor, "/account", "deactivated"))
}
