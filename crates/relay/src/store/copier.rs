//! Copies the write-ahead log back into the database, on a thread of its own, while transactions go on.
//!
//! What must not happen is that the log begins anew before all that was in it has been taken for the backup ([`LogWatch`]). A log
//! begins anew with the next transaction once all of it is copied and nobody reads from it. So a snapshot is held while copying
//! goes on: pages are copied up to it and no further, and nothing is overwritten. It is given up by the writer thread, between two
//! transactions, when what came since is taken as well.
//!
//! What was written while the pages were copied is left, so it goes on in rounds, each with a newer snapshot, until little is.
//!
//! # Tricky bits
//!
//! - SQLite syncs the database only when no page is left. So it is synced here after each round, or the writer thread would have
//!   to wait for all of it: at leisure, since the sync of a transaction waits for what was given to the disk before.
//! - The newer snapshot is taken before the older one ends.
//! - Where copying fails after the log was taken, snapshots end here: what is copied is older than the first of them, and so
//!   taken.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;
use super::checkpoint::LogSize;
use super::db::{Connect, LogWatch};
use crate::{background, bulk};

/// So many pages are left to the writer thread: about as many as a batch of it writes.
const FEW_PAGES: i32 = 64;

/// More rounds than this are taken only where transactions write about as fast as pages can be copied.
const MAX_ROUNDS: usize = 8;

/// The way to the thread.
pub(super) struct Copier {
    orders: Sender<()>,
    outcomes: Receiver<Outcome>,
    snapshots: Sender<Connection>,
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    is_at_work: bool,
}

/// How a checkpoint went.
pub(super) enum Outcome {
    /// Few pages are left, or none.
    Copied(Snapshot),
    /// A reader of an older state is in the way.
    HeldUp,
    /// More is written than can be copied.
    Behind,
    /// The thread, or what it needs, is not there.
    Failed,
}

/// A state of the database, which keeps the log from beginning anew.
pub(super) struct Snapshot(Connection);

impl Snapshot {
    fn of(conn: Connection) -> Result<Self, rusqlite::Error> {
        conn.execute_batch("BEGIN")?;
        conn.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()))?;
        Ok(Self(conn))
    }

    /// Gives it up. `None` when the connection is of no more use; closing it does the same.
    fn end(self) -> Option<Connection> {
        self.0.execute_batch("ROLLBACK").is_ok().then_some(self.0)
    }
}

impl Copier {
    pub(super) fn start(connect: Connect, file: Arc<File>, log: Arc<LogSize>, watch: Option<Arc<dyn LogWatch>>) -> Self {
        let ((orders, ordered), (done, outcomes), (snapshots, returned)) = (channel(), channel(), channel());
        let ends = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&ends);
        let thread = std::thread::Builder::new()
            .name("sqlite-copier".into())
            .spawn(move || {
                background::give_way();
                let mut work = Work { connect, file, log, watch, ended, checkpointer: None, idle: Vec::new() };
                while ordered.recv().is_ok() {
                    work.idle.extend(returned.try_iter());
                    let outcome = work.copy().unwrap_or_else(|err| {
                        let error = &err as &dyn std::error::Error;
                        tracing::warn!(error, "the log of the database could not be copied back beside the transactions");
                        Outcome::Failed
                    });
                    // Nobody waits for it any more: the server ends.
                    drop(done.send(outcome));
                }
            })
            .expect("the operating system starts a thread");
        Self { orders, outcomes, snapshots, ends, thread, is_at_work: false }
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.is_at_work
    }

    pub(super) fn begin(&mut self) {
        // Should the thread be gone, the outcome tells it.
        let _is_there = self.orders.send(()).is_ok();
        self.is_at_work = true;
    }

    /// Returns how it went; `None` when it goes on, which it cannot when `wait` is set.
    pub(super) fn outcome(&mut self, wait: bool) -> Option<Outcome> {
        use std::sync::mpsc::TryRecvError;
        let outcome = if wait { self.outcomes.recv().map_err(TryRecvError::from) } else { self.outcomes.try_recv() };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Outcome::Failed,
        };
        self.is_at_work = false;
        Some(outcome)
    }

    /// Ends a snapshot, and keeps its connection for the next one.
    pub(super) fn take_back(&self, snapshot: Snapshot) {
        if let Some(conn) = snapshot.end() {
            drop(self.snapshots.send(conn));
        }
    }

    /// Waits for the thread, which closes its connections.
    pub(super) fn end(self) {
        let Self { orders, outcomes, snapshots, ends, thread, is_at_work: _ } = self;
        ends.store(true, Relaxed);
        drop(orders);
        // A panic of it was logged where it happened.
        drop(thread.join());
        drop((outcomes, snapshots));
    }
}

/// What the thread has.
struct Work {
    connect: Connect,
    file: Arc<File>,
    log: Arc<LogSize>,
    watch: Option<Arc<dyn LogWatch>>,
    /// Whether the server ends.
    ended: Arc<AtomicBool>,
    /// Made when first needed, and so are those in `idle`, which are for snapshots.
    checkpointer: Option<Connection>,
    idle: Vec<Connection>,
}

impl Work {
    fn copy(&mut self) -> Result<Outcome, StoreError> {
        let mut at_least = self.log.pages();
        let mut snapshot = self.snapshot()?;
        let mut left = i32::MAX;
        for _ in 0..MAX_ROUNDS {
            if let Some(watch) = &self.watch {
                watch.before_checkpoint(None);
            }
            let copied = self.checkpoint()?;
            self.log.are_copied(copied);
            if copied < at_least {
                // Someone has an older snapshot. What could be copied is synced when more can be.
                self.idle.extend(snapshot.end());
                return Ok(Outcome::HeldUp);
            }
            let is_in_a_hurry = || self.log.is_long() || self.ended.load(Relaxed);
            bulk::sync_at_leisure(&self.file, is_in_a_hurry).map_err(StoreError::File)?;
            at_least = self.log.pages();
            let now_left = at_least - copied;
            if now_left <= FEW_PAGES {
                return Ok(Outcome::Copied(snapshot));
            }
            if now_left >= left {
                self.idle.extend(snapshot.end());
                return Ok(Outcome::Behind);
            }
            left = now_left;
            let newer = self.snapshot()?;
            self.idle.extend(std::mem::replace(&mut snapshot, newer).end());
        }
        Ok(Outcome::Copied(snapshot))
    }

    fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        let conn = match self.idle.pop() {
            Some(conn) => conn,
            None => (self.connect)(OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        Ok(Snapshot::of(conn)?)
    }

    /// Copies what no reader is in the way of, and returns how many pages of the log are copied now.
    fn checkpoint(&mut self) -> Result<i32, StoreError> {
        let conn = match &mut self.checkpointer {
            Some(conn) => conn,
            none => none.insert((self.connect)(OpenFlags::SQLITE_OPEN_READ_WRITE)?),
        };
        Ok(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))?)
    }
}
