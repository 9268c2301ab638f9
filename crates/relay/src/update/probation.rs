//! The time in which a new version is watched after it changed the form of the database.
//!
//! If it fails then, the data goes back to what it was before. So nothing must be acknowledged meanwhile: people read, and
//! who writes is asked to come again. It begins with a file that `relay update` puts into the data folder, and ends when the
//! updater says so; should that have died, it ends by itself.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::Method;

use crate::error::XrpcError;
use crate::state::App;

/// Longer than any updater watches.
pub(super) const LIMIT: Duration = Duration::from_secs(15 * 60);
const RETRY_AFTER_SECONDS: u32 = 10;

/// Whether writes wait.
#[derive(Debug)]
pub(crate) struct Probation {
    file: PathBuf,
    on: AtomicBool,
}

/// Returns the file whose presence makes a server begin on probation.
pub(super) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(super::FOLDER).join("probation")
}

impl Probation {
    /// Looks whether the server over this data folder is to begin on probation.
    pub(crate) fn open(data_dir: &Path) -> Self {
        let file = file(data_dir);
        Self { on: AtomicBool::new(file.exists()), file }
    }

    /// Lets people write from now on.
    pub(crate) fn lift(&self) -> std::io::Result<()> {
        if self.on.swap(false, Ordering::Relaxed) {
            tracing::info!("the update stands; writes are taken");
        }
        match std::fs::remove_file(&self.file) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(err),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Completes when probation has ended by itself; at once when there is none.
    pub(crate) async fn expire(&self) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        tracing::info!("this version is being watched after an update; writes wait until the updater is content");
        tokio::time::sleep(LIMIT).await;
        if self.on.load(Ordering::Relaxed) {
            tracing::warn!("the updater has not said how the update went; writes are taken from now on");
            if let Err(err) = self.lift() {
                tracing::warn!(error = &err as &dyn std::error::Error, "the file update/probation cannot be removed");
            }
        }
    }
}

/// Refuses what might write.
pub(crate) async fn layer(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && app.probation.on.load(Ordering::Relaxed) {
        let message = "The server is being updated and takes no writes for a moment";
        return XrpcError::unavailable(message, RETRY_AFTER_SECONDS).into_response();
    }
    next(request).await
}
