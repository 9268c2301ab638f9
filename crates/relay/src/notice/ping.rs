//! The dead man's switch: a URL that is opened as long as the server is well, by which a service elsewhere notices when the
//! whole machine is gone.

use super::channel::{MAX_ANSWER_BYTES, accepted};
use crate::state::AppState;
use crate::status::probe_write;

/// Opens the URL at each interval, unless writes fail or data is in danger.
pub(super) async fn run(app: &AppState) {
    let Some(url) = &app.config.notices.ping_url else { return };
    let mut ticks = tokio::time::interval(app.config.notices.ping_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if app.notices.is_grave() {
            tracing::debug!("the dead man's switch is let go, since something is not well");
            continue;
        }
        if let Err(err) = probe_write(app).await {
            tracing::warn!(error = %err.describe(), "the dead man's switch is let go, since the database takes no write");
            continue;
        }
        let reply = app.identity.clients().trusted.get_bounded(url, MAX_ANSWER_BYTES).await;
        let pinged = reply.map_err(super::channel::DeliverError::from).and_then(|reply| accepted(reply.status));
        if let Err(err) = pinged {
            tracing::warn!(error = %err, "the dead man's switch could not be held");
        }
    }
}
