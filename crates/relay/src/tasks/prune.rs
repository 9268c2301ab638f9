//! Deletes events that are older than the backfill window.

use common::Clock as _;

use crate::error::XrpcError;
use crate::state::AppState;
use crate::store::event;

/// Events deleted in one transaction, so that writes are not kept waiting.
const AT_A_TIME: usize = 500;

pub(super) async fn run_once(app: AppState) -> Result<usize, XrpcError> {
    let now = app.clock.millis();
    let begins = now - app.config.limits.backfill.as_millis() as i64;
    let mut pruned = 0;
    while !app.stop.is_cancelled() {
        let old = app.db.scan(move |conn| event::last_old(conn, begins, now)).await.map_err(XrpcError::from)?;
        let Some(up_to) = old else { break };
        while !app.stop.is_cancelled() {
            let deleted = app.db.write_many(move |tx| event::prune(tx, up_to, AT_A_TIME).map_err(XrpcError::from)).await?;
            pruned += deleted;
            if deleted < AT_A_TIME {
                break;
            }
        }
    }
    Ok(pruned)
}
