//! Where SQLite meets async code.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::Clock;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::checkpoint::Checkpoints;
use super::writer::{self, Publish, Writer};
use super::{BatchTx, StoreError, WriteFailed, WritePermit, WriterStats, migrate};
use crate::background::background;

/// When the operating system is asked to make a commit durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Synchronous {
    /// At every commit: an acknowledged write survives a loss of power.
    #[default]
    Full,
    /// At checkpoints: an acknowledged write survives a crash of the process, but perhaps not a loss of power.
    Normal,
}

/// Is told of the write-ahead log before its beginning may be overwritten.
pub(crate) trait LogWatch: std::fmt::Debug + Send + Sync {
    /// The pages in the log are about to be copied back. With `frames` the log may begin anew after that: it has so many, and
    /// does not change meanwhile, for this is the writer thread, between transactions. Without, there may be more to come, and
    /// this is called again before the log begins anew; so it is from a thread beside the transactions, and after the last one.
    fn before_checkpoint(&self, frames: Option<u64>);
    /// The last connection is closed.
    fn closed(&self);
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub(crate) struct DbOptions {
    pub(crate) synchronous: Synchronous,
    /// Page cache of the connection that writes.
    pub(crate) writer_cache_bytes: u64,
    /// Page cache of each connection that reads.
    pub(crate) reader_cache_bytes: u64,
    /// Connections for lookups and pages of lists, which answer in well under a millisecond; as many again are for
    /// exports, up to a bound, and a few for scans, so that these cannot keep lookups waiting.
    pub(crate) readers: usize,
    /// Writes that may wait.
    pub(crate) write_queue: usize,
    pub(crate) watch: Option<Arc<dyn LogWatch>>,
}

/// Of a new database. An event of a post takes somewhat less than 2 kB, of which two often do not fit in a page of 4 KiB, and
/// the row of a repo's head takes more than one of those.
const PAGE_BYTES: i32 = 8192;

/// Connections for scans: each takes a core while it runs, and few are asked for at a time.
const READERS_SCANNING: usize = 4;

/// Connections for commits of many records, which are prepared on threads that give way to others.
const READERS_PREPARING: usize = 2;

/// Exports at a time, however many connections there are for lookups: each has a thread of those for long work for as long as its
/// reader takes, and sign-ins need some of these threads, too.
const MOST_EXPORTS: usize = 32;

/// Connections for consumers of the firehose that are behind. Two of them unpack events as fast as a network takes them.
const READERS_BEHIND: usize = 2;

/// The database of the server.
#[derive(Debug)]
pub(crate) struct Db {
    quick: ReaderPool,
    scans: ReaderPool,
    exports: ReaderPool,
    behind: ReaderPool,
    preparing: ReaderPool,
    /// Taken when the database closes, which ends the thread.
    writer: Option<Writer>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// The `seq` that the last event before this start had, or the floor if that is higher.
    seq_at_start: i64,
    watch: Option<Arc<dyn LogWatch>>,
    /// What the copier syncs. Closing any descriptor of the file gives up all locks that this process has on it (POSIX), so this
    /// one is closed after all connections.
    _file: Arc<File>,
}

impl Db {
    /// Opens or makes the database at `path`, and brings it to the present schema.
    pub(crate) fn open(path: &Path, options: &DbOptions, clock: Arc<dyn Clock>, publish: Publish) -> Result<Self, StoreError> {
        let mut conn = connect(path, options, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        // Before anything is written; it changes nothing in a database that is there.
        conn.pragma_update(None, "page_size", PAGE_BYTES)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(
            None,
            "synchronous",
            match options.synchronous {
                Synchronous::Full => "FULL",
                Synchronous::Normal => "NORMAL",
            },
        )?;
        let file = Arc::new(File::open(path).map_err(StoreError::File)?);
        let more = {
            let (path, options) = (path.to_owned(), options.clone());
            Box::new(move |flags| connect(&path, &options, flags))
        };
        let checkpoints = Checkpoints::of(&mut conn, more, Arc::clone(&file), options.watch.clone())?;
        conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
        conn.pragma_update(None, "cache_size", -(options.writer_cache_bytes as i64 >> 10))?;
        migrate::migrate(&mut conn)?;
        let (writer, thread, seq_at_start) = writer::start(conn, options.write_queue, clock, publish, checkpoints)?;
        Ok(Self {
            quick: ReaderPool::new(path, options, options.readers),
            scans: ReaderPool::new(path, options, READERS_SCANNING),
            exports: ReaderPool::new(path, options, options.readers.min(MOST_EXPORTS)),
            behind: ReaderPool::new(path, options, READERS_BEHIND),
            preparing: ReaderPool::new(path, options, READERS_PREPARING),
            writer: Some(writer),
            thread: Some(thread),
            seq_at_start,
            watch: options.watch.clone(),
            _file: file,
        })
    }

    /// Runs a short read: a lookup, or a page of a list. It runs on the calling task.
    pub(crate) async fn read<T, E: From<StoreError>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let reader = self.quick.get().await?;
        read(&reader)
    }

    /// Runs a long read, on a thread that gives way to others.
    pub(crate) async fn scan<T, E>(&self, read: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let reader = self.scans.get().await?;
        background(move || read(&reader)).await
    }

    /// Runs what prepares a commit of many records, on a thread that gives way to others.
    pub(crate) async fn prepare<T: Send + 'static>(
        &self,
        prepare: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = self.preparing.get().await?;
        Ok(background(move || prepare(&reader)).await)
    }

    /// Runs a read for a consumer of the firehose that is behind. Only a few run at a time: who asks for days of events waits for
    /// others of the kind, and keeps no connection from look-ups or exports.
    pub(crate) async fn catch_up<T, E>(&self, read: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let reader = self.behind.get().await?;
        background(move || read(&reader)).await
    }

    /// Returns a connection for a read that takes as long as its reader likes, as of an export over a slow link, which the caller
    /// drives itself on a blocking thread.
    pub(crate) async fn long_reader(&self) -> Result<Reader, StoreError> {
        self.exports.get().await
    }

    /// Makes a change, and returns when it is durable.
    pub(crate) async fn write<T, E>(&self, job: impl FnOnce(&mut BatchTx<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<WriteFailed> + Send + 'static,
    {
        self.reserve_write()?.submit(job, |_| ()).await
    }

    /// Makes a change of many rows: small ones go before it, and have no part in its transaction.
    pub(crate) async fn write_many<T, E>(
        &self,
        job: impl FnOnce(&mut BatchTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<WriteFailed> + Send + 'static,
    {
        self.reserve_write()?.of_many_rows().submit(job, |_| ()).await
    }

    /// Takes a place in the write queue, before work is done that would be in vain without one.
    pub(crate) fn reserve_write(&self) -> Result<WritePermit, WriteFailed> {
        self.writer.as_ref().ok_or(WriteFailed::Stopped)?.reserve()
    }

    /// Returns what the writer counts of itself.
    pub(crate) fn stats(&self) -> Arc<WriterStats> {
        self.writer.as_ref().map(|writer| Arc::clone(writer.stats())).unwrap_or_default()
    }

    /// Returns how many writes wait, and how many may.
    pub(crate) fn write_queue(&self) -> (usize, usize) {
        self.writer.as_ref().map_or((0, 0), Writer::queue)
    }

    pub(crate) fn seq_at_start(&self) -> i64 {
        self.seq_at_start
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // Readers first: the connection that closes last copies the log back and removes it, which only the writer's may.
        self.quick.close();
        self.scans.close();
        self.exports.close();
        self.behind.close();
        self.preparing.close();
        drop(self.writer.take());
        if let Some(thread) = self.thread.take() {
            // It finishes what is queued; a panic of it was logged where it happened.
            drop(thread.join());
        }
        if let Some(watch) = &self.watch {
            watch.closed();
        }
    }
}

/// Opens another connection.
pub(super) type Connect = Box<dyn Fn(OpenFlags) -> Result<Connection, StoreError> + Send>;

fn connect(path: &Path, options: &DbOptions, flags: OpenFlags) -> Result<Connection, StoreError> {
    let open = || {
        let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(Duration::from_secs(10))?;
        conn.set_prepared_statement_cache_capacity(128);
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        conn.pragma_update(None, "cache_size", -(options.reader_cache_bytes as i64 >> 10))?;
        Ok(conn)
    };
    open().map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

/// Read-only connections, made when first needed.
#[derive(Debug)]
struct ReaderPool {
    path: PathBuf,
    options: DbOptions,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// A read-only connection, given back when dropped.
pub(crate) struct Reader {
    conn: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl ReaderPool {
    fn new(path: &Path, options: &DbOptions, connections: usize) -> Self {
        Self {
            path: path.to_owned(),
            options: options.clone(),
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(connections)),
        }
    }

    fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn get(&self) -> Result<Reader, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the pool's semaphore is never closed");
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => connect(&self.path, &self.options, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        Ok(Reader { conn: Some(conn), idle: Arc::clone(&self.idle), _permit: permit })
    }
}

impl Deref for Reader {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.conn.as_ref().expect("a reader has its connection until it is dropped")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        // A transaction that its user left open would pin the log; such a connection is not used again.
        if conn.is_autocommit() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}
