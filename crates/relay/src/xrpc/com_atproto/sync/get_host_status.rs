//! `com.atproto.sync.getHostStatus`: what this server knows of a host, which is itself alone.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getHostStatus.json>

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::account;

pub(crate) struct Parameters {
    hostname: String,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { hostname: params.required("hostname")? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    hostname: String,
    seq: i64,
    account_count: u64,
    status: &'static str,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    let own = app.config.server.public_url.host();
    if !params.hostname.eq_ignore_ascii_case(own) {
        return Err(XrpcError::bad_request("HostNotFound", format!("This server only knows of itself, {own}")));
    }
    let account_count = app.db.scan(account::count).await.map_err(XrpcError::from)?;
    Ok(Json(Output { hostname: own.to_owned(), seq: app.firehose.latest_seq(), account_count, status: "active" }))
}
