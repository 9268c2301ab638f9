//! When the pages of the write-ahead log are copied back into the database, and how.
//!
//! The writer thread does it between two transactions, when those who wait for the one before have been answered: it takes tens
//! of milliseconds, for which none of them waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use rusqlite::Connection;

use super::StoreError;
use super::db::LogWatch;

/// 16 MiB of log before its pages are copied back: hot pages are rewritten many times in the log and copied once.
const CHECKPOINT_PAGES: i32 = 2000;

/// A reader of an older state, such as an export, keeps the log from beginning anew, and the checkpoint does only a part. So many
/// pages later it is tried again: at every commit, as SQLite does it, each write would wait for two more syncs for as long as
/// anyone exports.
const AGAIN_AFTER_PAGES: i32 = CHECKPOINT_PAGES / 16;

/// The checkpoints of the connection that writes.
pub(super) struct Checkpoints {
    /// Pages that the log has, when it is time; else 0.
    due: Arc<AtomicI32>,
    watch: Option<Arc<dyn LogWatch>>,
}

impl Checkpoints {
    /// Takes those of `conn` over from SQLite, which makes them within commits.
    pub(super) fn of(conn: &mut Connection, watch: Option<Arc<dyn LogWatch>>) -> Result<Self, StoreError> {
        let due = Arc::<AtomicI32>::default();
        let (told, clock) = (Arc::clone(&due), CheckpointDue::default());
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            if clock.is_at(pages) {
                told.store(pages, Relaxed);
            }
            Ok(())
        }))?;
        Ok(Self { due, watch })
    }

    /// Makes one if it is time. To be called between transactions.
    pub(super) fn catch_up(&self, conn: &Connection) {
        let pages = self.due.swap(0, Relaxed);
        if pages > 0 {
            if let Some(watch) = &self.watch {
                watch.before_checkpoint(u64::try_from(pages).ok());
            }
            // A reader in the way is no failure, and neither is a full disk: it is tried again.
            drop(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
        }
    }

    /// To be called after the last transaction: closing the last connection copies the log back and removes it.
    pub(super) fn end(&self) {
        if let Some(watch) = &self.watch {
            watch.before_checkpoint(None);
        }
    }
}

/// Tells when pages of the log are to be copied back.
#[derive(Debug, Default)]
struct CheckpointDue {
    /// Pages that the log had when that was tried last, if it has not begun anew.
    tried_at: AtomicI32,
}

impl CheckpointDue {
    /// Whether it is time, with so many pages in the log.
    fn is_at(&self, pages: i32) -> bool {
        let tried_at = self.tried_at.load(Relaxed);
        let due = if pages < tried_at { CHECKPOINT_PAGES } else { CHECKPOINT_PAGES.max(tried_at + AGAIN_AFTER_PAGES) };
        if pages >= due {
            self.tried_at.store(pages, Relaxed);
        } else if pages < tried_at {
            self.tried_at.store(0, Relaxed);
        }
        pages >= due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::test_support;
    use crate::store::{WriteFailed, meta};

    /// While anyone exported, every commit found the log long and copied the few pages that the one before had left: two more
    /// syncs for each write.
    #[test]
    fn a_checkpoint_that_a_reader_holds_up_is_not_tried_at_every_commit() {
        let due = CheckpointDue::default();
        let tried = |pages: &mut dyn Iterator<Item = i32>| pages.filter(|&pages| due.is_at(pages)).collect::<Vec<_>>();
        assert_eq!(tried(&mut (3..=CHECKPOINT_PAGES)), [CHECKPOINT_PAGES]);
        let held_up = tried(&mut (CHECKPOINT_PAGES + 1..=2 * CHECKPOINT_PAGES));
        assert_eq!(held_up.len(), 16);
        assert_eq!(held_up[0], CHECKPOINT_PAGES + AGAIN_AFTER_PAGES);
        // The log began anew.
        assert_eq!(tried(&mut (3..=CHECKPOINT_PAGES + 1)), [CHECKPOINT_PAGES]);
        // A transaction alone that fills it.
        assert!(!due.is_at(10) && due.is_at(3 * CHECKPOINT_PAGES));
    }

    #[tokio::test]
    async fn the_log_begins_anew_when_it_is_long() {
        const BYTES: usize = 1 << 19;
        let (dir, db, _clock) = test_support::db();
        for n in 0..100_u8 {
            let written = db.write(move |tx| Ok::<_, WriteError>(meta::set(tx, "large", &vec![n; BYTES])?));
            written.await.unwrap();
        }
        let log = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        let log = log
            .filter(|entry| entry.file_name().to_string_lossy().ends_with("-wal"))
            .map(|entry| entry.metadata().unwrap().len());
        let bytes = log.sum::<u64>();
        assert!((1..24 << 20).contains(&bytes), "{bytes} bytes of log after {} written", 100 * BYTES);
    }

    #[derive(Debug, thiserror::Error)]
    enum WriteError {
        #[error(transparent)]
        Store(#[from] StoreError),
        #[error(transparent)]
        Write(#[from] WriteFailed),
    }
}
