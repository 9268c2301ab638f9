//! `GET /`: says what this is.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::state::AppState;

pub(crate) async fn handler(State(app): State<AppState>) -> impl IntoResponse {
    let text = format!(
        "This is {}, a Personal Data Server (PDS) of the AT Protocol.\n\n\
         Its accounts live here; people use them through apps such as https://bsky.app.\n\
         Programs find the API under /xrpc/\n\n\
         Software: ezpds {}\n\
         Protocol: https://atproto.com\n",
        app.config.server.service_name,
        env!("CARGO_PKG_VERSION"),
    );
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300")], text)
}
