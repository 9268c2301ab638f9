//! `GET /`: says what this is; to a browser as a page.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};

use crate::error::XrpcError;
use crate::pages::{Frame, Visitor};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "front.html")]
struct Page {
    frame: Frame,
    version: &'static str,
    invite_required: bool,
    /// The host of an app.
    app_name: String,
}

pub(crate) async fn handler(State(app): State<AppState>, visitor: Option<Extension<Visitor>>) -> Result<Response, XrpcError> {
    let version = env!("CARGO_PKG_VERSION");
    let invite_required = app.config.accounts.invite_required;
    // The guard of the pages has let a browser in.
    if let Some(Extension(visitor)) = visitor {
        let app_name = app.config.server.app_url.host_str().unwrap_or_default().to_owned();
        return visitor.page(StatusCode::OK, &Page { frame: visitor.frame(), version, invite_required, app_name });
    }
    let text = format!(
        "This is {}, a Personal Data Server (PDS) of the AT Protocol.\n\n\
         Its accounts live here; people use them through apps such as {}.\n\
         Programs find the API under /xrpc/\n\n\
         Software: ezpds {version}\n\
         Protocol: https://atproto.com\n",
        app.config.server.service_name,
        app.config.server.app_url.as_str().trim_end_matches('/'),
    );
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300"), (VARY, "Accept")];
    Ok((headers, text).into_response())
}
