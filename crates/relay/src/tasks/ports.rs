//! Keeps the router's ports open, where the operator has it do that.

use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::{at_start, every};
use crate::error::XrpcError;
use crate::gateway::{self, Gateways};
use crate::state::AppState;

/// How often it is looked whether to ask again; so soon it is, after the router did not answer.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const NAME: &str = "open the router's ports";

pub(super) fn start(app: &AppState, tracker: &TaskTracker) {
    if app.config.network.open_ports && app.config.tls.mode.serves() {
        at_start(app, tracker, NAME, open);
        every(app, tracker, NAME, LOOK_EVERY, open);
    }
}

/// Has the router pass the ports on for another while; returns how many.
async fn open(app: AppState) -> Result<usize, XrpcError> {
    if !app.router.is_due(&*app.clock) {
        return Ok(0);
    }
    let mappings = gateway::mappings(&app.config);
    app.router.begin(&mappings);
    let opened = gateway::open(Gateways::of_this_network().await, &mappings).await;
    app.router.note(&mappings, &opened, &*app.clock);
    opened.map_err(XrpcError::internal)?;
    Ok(mappings.len())
}
