//! Removes blobs to which no record has referred for a day.

use crate::blob;
use crate::error::XrpcError;
use crate::state::AppState;

/// Collects what can be, and returns how many blobs it removed.
pub(crate) async fn run_once(app: AppState) -> Result<usize, XrpcError> {
    Ok(blob::collect(&app.db, &app.blobs, &*app.clock, &app.stop).await?)
}

/// Moves blobs that are files in the data folder to the store, where there is one; returns how many.
pub(crate) async fn move_in(app: AppState) -> Result<usize, XrpcError> {
    Ok(app.blobs.move_in(&app.stop).await?)
}
