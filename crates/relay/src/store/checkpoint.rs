//! When the pages of the write-ahead log are copied back into the database, and by whom.
//!
//! It takes tens of milliseconds, so another thread does it ([`Copier`]) while transactions go on. What these write meanwhile
//! is copied by the writer thread, between two of them, when those who wait for the one before have been answered: only then is
//! nothing left, and the log can begin anew. See [`super::copier`] for what keeps it from doing so before.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};

use rusqlite::Connection;

use super::StoreError;
use super::copier::{Copier, Outcome, Snapshot};
use super::db::{Connect, LogWatch};

/// 16 MiB of log before its pages are copied back: hot pages are rewritten many times in the log and copied once.
const CHECKPOINT_PAGES: i32 = 2000;

/// A reader of an older state, such as an export, keeps the log from beginning anew, and the checkpoint does only a part. So many
/// pages later it is tried again.
const AGAIN_AFTER_PAGES: i32 = CHECKPOINT_PAGES / 4;

/// With so many pages to be rid of there are no rests in copying.
const HURRY_FROM_PAGES: i32 = 2 * CHECKPOINT_PAGES;

/// With so many pages to be rid of, transactions wait for who copies them: a slow disk must not make the log grow without end. For
/// a reader that is in the way they do not, since that would not make it go.
const WAIT_FROM_PAGES: i32 = 4 * CHECKPOINT_PAGES;

/// The checkpoints of the connection that writes.
pub(super) struct Checkpoints {
    log: Arc<LogSize>,
    copier: Copier,
    /// Whether a reader was in the way the last time.
    is_held_up: bool,
    watch: Option<Arc<dyn LogWatch>>,
}

/// How long the log is, by what SQLite tells after each commit.
#[derive(Debug, Default)]
pub(super) struct LogSize {
    pages: AtomicI32,
    /// How many of them are in the database.
    copied: AtomicI32,
    /// Whether it is time for a checkpoint.
    is_due: AtomicBool,
    /// Whether the next transaction begins the log anew, unless a reader is in the way.
    may_begin_anew: AtomicBool,
    /// Whether one was.
    is_kept: AtomicBool,
}

impl LogSize {
    /// Returns how many pages were committed to the log since it began.
    pub(super) fn pages(&self) -> i32 {
        self.pages.load(Relaxed)
    }

    /// Notes how many pages are in the database, which SQLite tells after a checkpoint.
    pub(super) fn are_copied(&self, pages: i32) {
        self.copied.store(pages, Relaxed);
    }

    /// Whether they are to be copied without a rest.
    pub(super) fn is_long(&self) -> bool {
        self.burden() >= HURRY_FROM_PAGES
    }

    /// Returns how many pages there are to be rid of: all of them; while readers follow upon each other, so that the log cannot
    /// begin anew, those that are to be copied yet.
    fn burden(&self) -> i32 {
        let copied = if self.is_kept.load(Relaxed) { self.copied.load(Relaxed) } else { 0 };
        self.pages() - copied
    }

    fn grew_to(&self, pages: i32) {
        let could_begin_anew = self.may_begin_anew.swap(false, Relaxed);
        if self.pages.swap(pages, Relaxed) > pages {
            self.copied.store(0, Relaxed);
            self.is_kept.store(false, Relaxed);
        } else if could_begin_anew {
            self.is_kept.store(true, Relaxed);
        }
    }
}

impl Checkpoints {
    /// Takes those of `conn` over from SQLite, which makes them within commits. `file` is that of the database.
    pub(super) fn of(
        conn: &mut Connection,
        connect: Connect,
        file: Arc<File>,
        watch: Option<Arc<dyn LogWatch>>,
    ) -> Result<Self, StoreError> {
        let log = Arc::<LogSize>::default();
        let (told, due) = (Arc::clone(&log), CheckpointDue::default());
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            told.grew_to(pages);
            if due.is_at(pages) {
                told.is_due.store(true, Relaxed);
            }
            Ok(())
        }))?;
        let copier = Copier::start(connect, file, Arc::clone(&log), watch.clone());
        Ok(Self { log, copier, is_held_up: false, watch })
    }

    /// Begins one if it is time, and ends one that another thread has done most of. To be called between transactions.
    pub(super) fn catch_up(&mut self, conn: &Connection) {
        if self.copier.is_at_work() {
            let Some(outcome) = self.copier.outcome(self.log.burden() >= WAIT_FROM_PAGES && !self.is_held_up) else { return };
            self.is_held_up = matches!(outcome, Outcome::HeldUp);
            match outcome {
                Outcome::Copied(snapshot) => self.finish(conn, Some(snapshot)),
                Outcome::Failed => self.finish(conn, None),
                Outcome::HeldUp | Outcome::Behind => {}
            }
        } else if self.log.is_due.swap(false, Relaxed) {
            self.copier.begin();
        }
    }

    /// Copies what is left.
    fn finish(&mut self, conn: &Connection, snapshot: Option<Snapshot>) {
        if let Some(watch) = &self.watch {
            watch.before_checkpoint(u64::try_from(self.log.pages()).ok());
        }
        if let Some(snapshot) = snapshot {
            self.copier.take_back(snapshot);
        }
        self.log.is_due.store(false, Relaxed);
        // A reader in the way is no failure, and neither is a full disk: it is tried again.
        if let Ok(copied) = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2)) {
            self.log.are_copied(copied);
            self.log.may_begin_anew.store(copied == self.log.pages(), Relaxed);
        }
    }

    /// To be called after the last transaction: closing the last connection copies the log back and removes it.
    pub(super) fn end(self) {
        self.copier.end();
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
    use std::sync::Mutex;

    use super::*;
    use crate::account::test_support::{self, WriteError};
    use crate::store::meta;

    /// While anyone exported, every commit found the log long and copied the few pages that the one before had left: two more
    /// syncs for each write.
    #[test]
    fn a_checkpoint_that_a_reader_holds_up_is_not_tried_at_every_commit() {
        let due = CheckpointDue::default();
        let tried = |pages: &mut dyn Iterator<Item = i32>| pages.filter(|&pages| due.is_at(pages)).collect::<Vec<_>>();
        assert_eq!(tried(&mut (3..=CHECKPOINT_PAGES)), [CHECKPOINT_PAGES]);
        let held_up = tried(&mut (CHECKPOINT_PAGES + 1..=2 * CHECKPOINT_PAGES));
        assert_eq!(held_up.len(), 4);
        assert_eq!(held_up[0], CHECKPOINT_PAGES + AGAIN_AFTER_PAGES);
        // The log began anew.
        assert_eq!(tried(&mut (3..=CHECKPOINT_PAGES + 1)), [CHECKPOINT_PAGES]);
        // A transaction alone that fills it.
        assert!(!due.is_at(10) && due.is_at(3 * CHECKPOINT_PAGES));
    }

    /// While exports followed upon each other, transactions waited each time that pages were copied, and were none the better for it.
    #[test]
    fn a_log_that_readers_keep_weighs_what_is_not_copied() {
        let log = LogSize::default();
        log.grew_to(9000);
        log.are_copied(8000);
        assert_eq!(log.burden(), 9000, "it may be that more is written than can be copied");
        log.are_copied(9000);
        log.may_begin_anew.store(true, Relaxed);
        log.grew_to(9010);
        assert_eq!(log.burden(), 10);
        log.grew_to(20_000);
        assert_eq!(log.burden(), 11_000);
        log.grew_to(3);
        assert_eq!(log.burden(), 3);
        log.grew_to(9000);
        assert_eq!(log.burden(), 9000);
    }

    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<Option<u64>>>);

    impl LogWatch for Told {
        fn before_checkpoint(&self, frames: Option<u64>) {
            self.0.lock().unwrap().push(frames);
        }

        fn closed(&self) {}
    }

    #[test]
    fn the_log_begins_anew_only_when_its_end_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test.sqlite");
        let mut conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        let told = Arc::<Told>::default();
        let more = path.clone();
        let connect: Connect = Box::new(move |flags| Ok(Connection::open_with_flags(&more, flags)?));
        let file = Arc::new(File::open(&path).unwrap());
        let mut checkpoints = Checkpoints::of(&mut conn, connect, file, Some(Arc::clone(&told) as _)).unwrap();
        let log = dir.path().join("test.sqlite-wal");
        // The salt, which changes when it does.
        let log = || std::fs::read(&log).unwrap()[16..20].to_vec();

        conn.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(20000000))").unwrap();
        let first = log();
        checkpoints.catch_up(&conn);
        let Some(Outcome::Copied(snapshot)) = checkpoints.copier.outcome(true) else { panic!("nothing is in the way") };
        conn.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert_eq!((log(), told.0.lock().unwrap().as_slice()), (first.clone(), &[None][..]), "all of it was copied");
        let pages = u64::try_from(checkpoints.log.pages()).unwrap();
        checkpoints.finish(&conn, Some(snapshot));
        assert_eq!(told.0.lock().unwrap().as_slice(), [None, Some(pages)]);
        conn.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        assert_ne!(log(), first);
        assert!(checkpoints.log.pages() < 5);
        checkpoints.end();
        assert_eq!(told.0.lock().unwrap().last(), Some(&None));
    }

    #[tokio::test]
    async fn the_log_begins_anew_when_it_is_long() {
        const BYTES: usize = 1 << 19;
        let (dir, db, _clock) = test_support::db();
        for n in 0..250_u8 {
            let written = db.write(move |tx| Ok::<_, WriteError>(meta::set(tx, "large", &vec![n; BYTES])?));
            written.await.unwrap();
        }
        let log = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        let log = log
            .filter(|entry| entry.file_name().to_string_lossy().ends_with("-wal"))
            .map(|entry| entry.metadata().unwrap().len());
        let bytes = log.sum::<u64>();
        assert!((1..72 << 20).contains(&bytes), "{bytes} bytes of log after {} written", 250 * BYTES);
    }
}
