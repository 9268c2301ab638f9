//! Tells each channel what changed, until it has taken it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::channel::{Channel, DeliverError};
use super::{Notice, ping};
use crate::error::XrpcError;
use crate::state::AppState;
use crate::store::{StoreError, meta};
use crate::tasks::supervise;

/// The longest wait after a failure, which is doubled with each.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// Starts the delivery of notices, and the dead man's switch.
pub(crate) fn start(app: &AppState, tracker: &TaskTracker) {
    for channel in Channel::configured(app) {
        supervise(app, tracker, "deliver notices", move |app| {
            let channel = channel.clone();
            async move { deliver(&app, &channel).await }
        });
    }
    if app.config.notices.ping_url.is_some() {
        supervise(app, tracker, "hold the dead man's switch", |app| async move { ping::run(&app).await });
    }
}

async fn deliver(app: &AppState, channel: &Channel) {
    let key = format!("notices told by {}", channel.name());
    let stored: Result<_, StoreError> = app.db.read(|conn| meta::find(conn, &key)).await;
    let stored = stored.ok().flatten().unwrap_or_default();
    let mut told: BTreeMap<String, bool> = serde_json::from_slice(&stored).unwrap_or_default();
    let mut changes = app.notices.watch();
    let first_retry = app.config.notices.pace.first_retry;
    let mut retry = first_retry;
    loop {
        changes.mark_unchanged();
        let mut all_told = true;
        for notice in app.notices.untold(&told) {
            // To the end also when the server stops meanwhile: what was told and not remembered would be told again.
            match app.to_end(tell(app.clone(), channel.clone(), notice, told.clone(), key.clone())).await {
                Ok(remembered) => told = remembered,
                Err(err) => {
                    let retry_seconds = retry.as_secs();
                    tracing::warn!(channel = channel.name(), error = %err, retry_seconds, "a notice was not delivered");
                    all_told = false;
                    break;
                }
            }
        }
        if all_told {
            retry = first_retry;
            // The sender lives as long as the state of the server, which this holds.
            drop(changes.changed().await);
        } else {
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }
}

/// Tells one change, and returns what the channel was told by now.
async fn tell(
    app: AppState,
    channel: Channel,
    notice: Notice,
    mut told: BTreeMap<String, bool>,
    key: String,
) -> Result<BTreeMap<String, bool>, DeliverError> {
    channel.deliver(&app, &notice).await?;
    if notice.is_failing() {
        told.insert(notice.topic().to_owned(), true);
    } else {
        told.remove(notice.topic());
    }
    remember(&app, &key, &told).await;
    Ok(told)
}

/// Stores what was told. Where that fails (the disk may be full), it is told once more after a restart.
async fn remember(app: &AppState, key: &str, told: &BTreeMap<String, bool>) {
    let Ok(value) = serde_json::to_vec(told) else { return };
    let key = key.to_owned();
    let stored: Result<(), XrpcError> = app.db.write(move |tx| meta::set(tx, &key, &value).map_err(XrpcError::from)).await;
    if let Err(err) = stored {
        tracing::debug!(error = %err.describe(), "what was told could not be remembered");
    }
}
