//! The one writer: many callers' changes under one transaction and one sync.
//!
//! While a batch is being synced, the next one gathers in the queue; so batches grow with the load and at rest a write costs
//! one sync. The queue is bounded: who finds it full is told at once ([`Overloaded`]).
//!
//! # Tricky bits
//!
//! - Who is next, and with whom, is said in [`super::queue`].
//! - A job that fails is undone by its savepoint, without harm to the others. When the transaction itself fails (disk full,
//!   failed sync), all of the batch fail, and none was told otherwise before.
//! - Events get their `seq` in the job, are published after the commit, and before any caller is answered: a client that reads
//!   the firehose after its response finds its event there.
//! - `seq` starts at the larger of what is stored and a floor that follows the clock ([`seq_floor`]), so that it does not go
//!   backwards even when the data folder is replaced by an older copy of itself.

use std::future::Future;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Instant;

use common::Clock;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpoints;
use super::event::{self, Event, FrameParts};
use super::queue::{Waiting, Weight};
use super::{AccountId, StoreError, WriterStats};
use crate::background;

/// The write queue is full; the caller should try again in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many writes are waiting")]
pub(crate) struct Overloaded;

/// Why a write did not become durable, when it was not its own fault.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum WriteFailed {
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error("the transaction failed")]
    Transaction(#[source] Arc<StoreError>),
    #[error("the writer stopped")]
    Stopped,
}

/// The transaction of a batch, as one of its jobs sees it.
pub(crate) struct BatchTx<'a> {
    conn: &'a Connection,
    next_seq: i64,
    now_millis: i64,
    events: Vec<Event>,
}

impl BatchTx<'_> {
    /// Gives an event the next `seq` and stores it; it is published when the batch has become durable.
    pub(crate) fn emit(&mut self, account: AccountId, parts: &FrameParts) -> Result<i64, StoreError> {
        let seq = self.next_seq;
        let event = Event { seq, account, time_millis: self.now_millis, frame: parts.with_seq(seq) };
        event::insert(self.conn, &event, parts)?;
        self.next_seq += 1;
        self.events.push(event);
        Ok(seq)
    }

    /// Returns when the transaction began, in milliseconds since the epoch.
    pub(crate) fn now_millis(&self) -> i64 {
        self.now_millis
    }
}

impl Deref for BatchTx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.conn
    }
}

/// What became of the transaction that a job was part of.
type Fate = Result<(), Arc<StoreError>>;
/// Told after the transaction ended.
type Done = Box<dyn FnOnce(&Fate) + Send>;
/// Runs in the transaction, unless that failed before its turn came; says whether its changes shall stay.
type Job = Box<dyn FnOnce(Option<&mut BatchTx<'_>>) -> (bool, Done) + Send>;

/// The way to the writer thread.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<(Weight, Job)>,
    stats: Arc<WriterStats>,
}

/// A place in the write queue.
pub(crate) struct WritePermit {
    permit: mpsc::OwnedPermit<(Weight, Job)>,
    weight: Weight,
}

/// A write that was handed in. It happens whether or not anyone waits for this.
pub(crate) struct Pending<T, E>(oneshot::Receiver<Result<T, E>>);

impl<T, E: From<WriteFailed>> Future for Pending<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|reply| reply.unwrap_or_else(|_| Err(WriteFailed::Stopped.into())))
    }
}

impl Writer {
    /// Takes a place in the queue.
    pub(super) fn reserve(&self) -> Result<WritePermit, WriteFailed> {
        match self.queue.clone().try_reserve_owned() {
            Ok(permit) => Ok(WritePermit { permit, weight: Weight::SMALL }),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.stats.refused.fetch_add(1, Relaxed);
                Err(Overloaded.into())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(WriteFailed::Stopped),
        }
    }

    /// Returns how many writes wait, and how many may.
    pub(super) fn queue(&self) -> (usize, usize) {
        let places = self.queue.max_capacity();
        (places - self.queue.capacity(), places)
    }

    pub(super) fn stats(&self) -> &Arc<WriterStats> {
        &self.stats
    }
}

impl WritePermit {
    /// Says that the write changes a repo, in so many rows. Those of one repo stay in order; all else may go before a write of
    /// many rows that was handed in earlier.
    pub(crate) fn of_repo(self, repo: AccountId, rows: usize) -> Self {
        Self { weight: Weight { repo: Some(repo), rows }, ..self }
    }

    /// Says that the write changes many rows.
    pub(crate) fn of_many_rows(self) -> Self {
        Self { weight: Weight::LARGE, ..self }
    }

    /// Hands in a job. There is no await between taking the place and the job being queued, so a caller that goes away cannot
    /// leave a half-made write.
    ///
    /// `on_fate` is called on the writer thread, before the caller hears of it, with whether the change is durable.
    pub(crate) fn submit<T, E>(
        self,
        job: impl FnOnce(&mut BatchTx<'_>) -> Result<T, E> + Send + 'static,
        on_fate: impl FnOnce(bool) + Send + 'static,
    ) -> Pending<T, E>
    where
        T: Send + 'static,
        E: From<WriteFailed> + Send + 'static,
    {
        let (reply, pending) = oneshot::channel();
        let on_fate = OnFate(Some(on_fate));
        let job: Job = Box::new(move |tx| {
            let result = tx.map(job);
            let keep = matches!(result, Some(Ok(_)));
            let done: Done = Box::new(move |fate| {
                let result = match (result, fate) {
                    (Some(Ok(_)) | None, Err(cause)) => Err(WriteFailed::Transaction(Arc::clone(cause)).into()),
                    (Some(result), _) => result,
                    (None, Ok(())) => Err(WriteFailed::Stopped.into()),
                };
                on_fate.tell(result.is_ok());
                // The caller may have gone; what was written stays.
                drop(reply.send(result));
            });
            (keep, done)
        });
        self.permit.send((self.weight, job));
        Pending(pending)
    }
}

/// What is told of a job's fate. A job that is dropped, since it panicked, is told that it did not happen.
struct OnFate<F: FnOnce(bool)>(Option<F>);

impl<F: FnOnce(bool)> OnFate<F> {
    fn tell(mut self, durable: bool) {
        if let Some(on_fate) = self.0.take() {
            on_fate(durable);
        }
    }
}

impl<F: FnOnce(bool)> Drop for OnFate<F> {
    fn drop(&mut self) {
        if let Some(on_fate) = self.0.take() {
            on_fate(false);
        }
    }
}

/// The lowest `seq` that a server may begin with at this time: tenths of milliseconds since the epoch, so that only a server
/// that emitted more than 10,000 events a second for all of its life could be ahead of it.
fn seq_floor(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.micros() / 100).unwrap_or(i64::MAX)
}

/// What the writer thread does with the events of a durable batch.
pub(crate) type Publish = Box<dyn Fn(Vec<Event>) + Send>;

/// Starts the writer thread on `conn`. The thread ends when the last [`Writer`] is gone and the queue is empty.
///
/// # Errors
///
/// When the last `seq` cannot be read.
pub(super) fn start(
    conn: Connection,
    queue_length: usize,
    clock: Arc<dyn Clock>,
    publish: Publish,
    mut checkpoints: Checkpoints,
) -> Result<(Writer, std::thread::JoinHandle<()>, i64), StoreError> {
    let (queue, jobs) = mpsc::channel(queue_length);
    let next_seq = seq_floor(&*clock).max(event::last_seq(&conn)? + 1);
    let stats = Arc::<WriterStats>::default();
    let counted = Arc::clone(&stats);
    let thread = std::thread::Builder::new()
        .name("sqlite-writer".into())
        .spawn(move || {
            run(&conn, jobs, next_seq, &*clock, &publish, &counted, &mut checkpoints);
            checkpoints.end();
        })
        .expect("the operating system starts a thread");
    Ok((Writer { queue, stats }, thread, next_seq - 1))
}

fn run(
    conn: &Connection,
    mut queue: mpsc::Receiver<(Weight, Job)>,
    mut next_seq: i64,
    clock: &dyn Clock,
    publish: &Publish,
    stats: &WriterStats,
    checkpoints: &mut Checkpoints,
) {
    let mut waiting = Waiting::new();
    while let Some(batch) = next_batch(&mut queue, &mut waiting) {
        let before = next_seq;
        let mut tx = BatchTx { conn, next_seq, now_millis: clock.millis(), events: Vec::new() };
        let mut dones = Vec::with_capacity(batch.len());
        let mut jobs = batch.into_iter();
        let begun = Instant::now();
        stats.jobs.fetch_add(jobs.len() as u64, Relaxed);
        // A panic is a bug of ours in one job; the others of its batch are told that it failed, and the next batch goes on.
        let fate = catch_unwind(AssertUnwindSafe(|| transaction(&mut tx, &mut jobs, &mut dones)))
            .unwrap_or_else(|_| Err(StoreError::Corrupt { table: "-", column: "-", reason: "a write job panicked".into() }));
        let fate: Fate = fate.map_err(Arc::new);
        // Those whose turn did not come are told why, too.
        dones.extend(jobs.map(|job| job(None).1));
        stats.transactions.observe(begun.elapsed());
        let events = std::mem::take(&mut tx.events);
        match &fate {
            Ok(()) => {
                next_seq = tx.next_seq;
                if !events.is_empty() {
                    stats.events.fetch_add(events.len() as u64, Relaxed);
                    stats.event_bytes.fetch_add(events.iter().map(|event| event.frame.len() as u64).sum(), Relaxed);
                    publish(events);
                }
            }
            Err(cause) => {
                next_seq = before;
                stats.failures.fetch_add(1, Relaxed);
                if !conn.is_autocommit()
                    && let Err(err) = conn.execute_batch("ROLLBACK")
                {
                    tracing::error!(error = &err as &dyn std::error::Error, "a failed transaction could not be rolled back");
                }
                tracing::error!(error = &**cause as &dyn std::error::Error, jobs = dones.len(), "a write transaction failed");
            }
        }
        for done in dones {
            done(&fate);
        }
        checkpoints.catch_up(conn);
    }
}

/// Waits for jobs, and returns those of the next transaction; `None` when there are none and nobody is left to hand any in.
fn next_batch(queue: &mut mpsc::Receiver<(Weight, Job)>, waiting: &mut Waiting<Job>) -> Option<Vec<Job>> {
    if waiting.is_empty() {
        let (weight, job) = queue.blocking_recv()?;
        waiting.push(weight, job);
    }
    for _ in 0..waiting.room() {
        let Ok((weight, job)) = queue.try_recv() else { break };
        waiting.push(weight, job);
    }
    Some(waiting.next_batch())
}

fn transaction(tx: &mut BatchTx<'_>, jobs: &mut std::vec::IntoIter<Job>, dones: &mut Vec<Done>) -> Result<(), StoreError> {
    let execute = |sql: &str| -> Result<(), StoreError> {
        tx.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    };
    execute("BEGIN IMMEDIATE")?;
    let alone = jobs.len() == 1;
    let mut kept = 0;
    for job in jobs {
        if !alone {
            tx.conn.prepare_cached("SAVEPOINT job")?.execute([])?;
        }
        let (seq, events) = (tx.next_seq, tx.events.len());
        let (keep, done) = job(Some(tx));
        dones.push(done);
        if keep {
            kept += 1;
        } else {
            tx.next_seq = seq;
            tx.events.truncate(events);
        }
        if tx.conn.is_autocommit() {
            // SQLite gave the whole transaction up (disk full, I/O error), with what earlier jobs did in it.
            return Err(StoreError::Sqlite(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                Some("the transaction was rolled back by SQLite".into()),
            )));
        }
        if !alone {
            if !keep {
                tx.conn.prepare_cached("ROLLBACK TO job")?.execute([])?;
            }
            tx.conn.prepare_cached("RELEASE job")?.execute([])?;
        }
    }
    let end = if kept == 0 { "ROLLBACK" } else { "COMMIT" };
    let mut end = tx.conn.prepare_cached(end)?;
    let _while_the_disk_works = background::hold_back();
    end.execute([])?;
    Ok(())
}
