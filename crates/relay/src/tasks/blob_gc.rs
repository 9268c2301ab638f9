//! Removes blobs to which no record has referred for a day.

use crate::blob;
use crate::error::XrpcError;
use crate::state::AppState;

/// Collects what can be, and returns how many blobs it removed.
pub(crate) async fn run_once(app: AppState) -> Result<usize, XrpcError> {
    Ok(blob::collect(&app.db, &app.blobs, &*app.clock, &app.stop).await?)
}
