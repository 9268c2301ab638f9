//! `com.atproto.sync.subscribeRepos`: the firehose, over a WebSocket.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/subscribeRepos.json>

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::{IntoResponse as _, Response};
use common::Clock as _;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, StatusCode};

use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::firehose::subscriber::{self, Source};
use crate::state::AppState;

/// Most consumers at once.
const MAX_SUBSCRIBERS: usize = 5000;

pub(crate) struct Parameters {
    cursor: Option<i64>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { cursor: params.optional::<i64>("cursor").map_err(|_| "cursor must be an integer".to_owned())? })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else { return upgrade_required() };
    if app.firehose.subscribers() >= MAX_SUBSCRIBERS {
        return XrpcError::unavailable("Too many subscribers; try again later", 60).into_response();
    }
    // Consumers send nothing but pongs and a close, so there is little to read; a flush carries several frames.
    let upgrade =
        upgrade.max_message_size(16 << 10).read_buffer_size(4 << 10).write_buffer_size(32 << 10).max_write_buffer_size(8 << 20);
    upgrade.on_upgrade(async move |socket| {
        let window_begins_millis = app.clock.millis() - app.config.limits.backfill.as_millis() as i64;
        let source = Source { db: &app.db, firehose: &app.firehose, window_begins_millis };
        subscriber::serve(socket, source, params.cursor, app.stop.clone()).await;
    })
}

fn upgrade_required() -> Response {
    let message = "com.atproto.sync.subscribeRepos is a WebSocket; connect with one. A proxy in between has to pass the \
                   Upgrade and Connection headers on";
    let mut response = XrpcError::new(StatusCode::UPGRADE_REQUIRED, "InvalidRequest", message).into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}
