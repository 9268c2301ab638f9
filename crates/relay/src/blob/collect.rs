//! Removes blobs that nothing refers to.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use common::{Cid, Clock};
use tokio_util::sync::CancellationToken;

use super::{BlobStore, CollectError};
use crate::store::{Db, blob};

/// How long a blob may wait for its record, counted from its last upload or from the end of the last record.
const GRACE: Duration = Duration::from_secs(24 * 3600);
/// How long bytes that had no row stay in the trash. They get there when the process died during an upload, but also when an
/// operator started the server on the wrong database.
const TRASH: Duration = Duration::from_secs(7 * 24 * 3600);
/// Rows that one write deletes, so that other writes do not wait.
const ROWS: usize = 100;
/// Blobs that one read looks up.
const LOOKUPS: usize = 500;

/// Collects all that can be, and returns how many blobs it removed. It ends early, without harm, at an error and when the
/// server stops.
pub(crate) async fn collect(
    db: &Db,
    blobs: &BlobStore,
    clock: &dyn Clock,
    stop: &CancellationToken,
) -> Result<usize, CollectError> {
    let expired = expire(db, blobs, clock, stop).await?;
    let orphans = sweep(db, blobs, clock, stop).await?;
    let cleared = blobs.clear(clock.now() - TRASH).await?;
    if orphans + cleared > 0 {
        tracing::info!(orphans, cleared, "moved blobs without an account to the trash, and cleared it of old ones");
    }
    Ok(expired + orphans)
}

/// Deletes the rows of blobs that were temporary for too long, then the bytes of those that no other account has.
///
/// The rows go first: should the process die in between, bytes without a row are left over, which the sweep finds, and not a
/// row without bytes.
async fn expire(db: &Db, blobs: &BlobStore, clock: &dyn Clock, stop: &CancellationToken) -> Result<usize, CollectError> {
    let before = clock.millis().saturating_sub(GRACE.as_millis() as i64);
    let mut removed = 0;
    while !stop.is_cancelled() {
        let rows = db.write(move |tx| blob::delete_expired(tx, before, ROWS).map_err(CollectError::from)).await?;
        let is_last = rows.len() < ROWS;
        for cid in rows.into_iter().collect::<HashSet<_>>() {
            if blobs.remove_unless(&cid, is_referenced(db, cid)).await? {
                removed += 1;
            }
        }
        if is_last {
            break;
        }
    }
    Ok(removed)
}

/// Moves bytes to the trash that no row names: the process died during their upload, or before it removed them.
async fn sweep(db: &Db, blobs: &BlobStore, clock: &dyn Clock, stop: &CancellationToken) -> Result<usize, CollectError> {
    let mut discarded = 0;
    let hour = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 3600;
    for shard in blobs.shards_at(hour) {
        if stop.is_cancelled() {
            break;
        }
        let cids = blobs.list_shard(shard).await?;
        for some in cids.chunks(LOOKUPS) {
            let some = some.to_vec();
            let orphans = db.scan(move |conn| blob::without_account(conn, &some).map_err(CollectError::from)).await?;
            for cid in orphans {
                if blobs.discard_unless(&cid, clock.now() - GRACE, is_referenced(db, cid)).await? {
                    discarded += 1;
                }
            }
        }
    }
    Ok(discarded)
}

async fn is_referenced(db: &Db, cid: Cid) -> Result<bool, CollectError> {
    db.read(|conn| blob::exists_anywhere(conn, &cid).map_err(CollectError::from)).await
}
