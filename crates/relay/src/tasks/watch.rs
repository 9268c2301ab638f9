//! Looks at the disk and at the writer, so that the operator hears of trouble before the users do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::XrpcError;
use crate::notice::Topic;
use crate::state::AppState;
use crate::status::probe_write;
use crate::telemetry::disk;

/// What was seen at the last look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    write_failures: AtomicU64,
}

pub(super) async fn run_once(app: AppState, seen: Arc<Seen>) -> Result<usize, XrpcError> {
    app.telemetry.sample();
    look_at_disk(&app);
    let failures = app.db.stats().failures.load(Ordering::Relaxed);
    let failed_since = seen.write_failures.swap(failures, Ordering::Relaxed) != failures;
    let is_failing = app.notices.problems().iter().any(|problem| problem.topic == "writes");
    // While all is well nothing is written just to see whether it can be.
    if failed_since || is_failing {
        match probe_write(&app).await {
            Ok(()) => app.notices.well(&Topic::Writes),
            Err(err) => app.notices.failing(
                &Topic::Writes,
                format!("The database takes no writes: {}.", err.describe()),
                "Look at the disk of data.dir: is it full, read-only or broken? Reads go on, and writes will when it is mended.",
            ),
        }
    } else {
        app.notices.well(&Topic::Writes);
    }
    Ok(0)
}

fn look_at_disk(app: &AppState) {
    let Some(space) = disk::space(&app.config.data.dir) else { return };
    let floor = app.config.notices.disk_free_below_bytes;
    if space.free_bytes < floor {
        let (free, floor) = (disk::in_words(space.free_bytes), disk::in_words(floor));
        app.notices.failing(
            &Topic::Disk,
            format!("The disk of data.dir has only {free} free, less than {floor}."),
            "Make room or use a larger disk; when it is full, the server takes no more writes. \
             The limit is notices.disk_free_below.",
        );
    } else if space.free_bytes >= floor.saturating_add(floor / 10) {
        // A little more than the limit, so that it is not told again and again around it.
        app.notices.well(&Topic::Disk);
    }
}
