//! `GET /status`: whether the server does its work, for everyone. What is wrong with it is told to its operator alone.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::error::XrpcError;
use crate::pages::{Frame, Visitor};
use crate::state::AppState;
use crate::status;
use crate::store::account;

#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    frame: Frame,
    is_up: bool,
    /// Whether it stores what is new; not on a full disk.
    takes_writes: bool,
    version: &'static str,
    invite_required: bool,
    /// Where the operator lets everyone know.
    accounts: Option<u64>,
}

pub(crate) async fn handler(State(app): State<AppState>, visitor: Visitor) -> Result<Response, XrpcError> {
    let is_up = match status::probe_read(&app).await {
        Ok(()) => true,
        Err(err) => {
            tracing::error!(error = &err as &dyn std::error::Error, "the database does not answer");
            false
        }
    };
    let accounts = if is_up && app.config.server.show_account_count { Some(app.db.scan(account::count).await?) } else { None };
    let page = Page {
        frame: visitor.frame(),
        is_up,
        takes_writes: !app.notices.problems().iter().any(|problem| problem.topic == "writes"),
        version: env!("CARGO_PKG_VERSION"),
        invite_required: app.config.accounts.invite_required,
        accounts,
    };
    visitor.page(if is_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &page)
}
