//! The directory's SQLite file.
//!
//! One connection behind a lock, so that transactions follow one another: a DID's log is read, judged and added to with nothing
//! in between. Operations are kept as their JSON; their CIDs do not depend on its spelling.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{Clock, Did};
use crypto::plc::LogEntry;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use super::export::After;

/// The schema's version; a file of a later one is not touched.
const VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE operation (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        did TEXT NOT NULL,
        cid TEXT NOT NULL,
        operation TEXT NOT NULL,
        nullified INTEGER NOT NULL DEFAULT 0,
        -- Milliseconds since 1970; grows with seq.
        created_at INTEGER NOT NULL UNIQUE,
        UNIQUE (did, cid)
    ) STRICT;
    CREATE INDEX operation_did ON operation (did, seq);
";
const COLUMNS: &str = "seq, did, cid, operation, nullified, created_at";
/// How long another program that has the file open may hold its lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The operations of a did:plc directory, in a SQLite file; cheap to clone.
#[derive(Clone, Debug)]
pub struct PlcStore {
    conn: Arc<Mutex<Connection>>,
    clock: Arc<dyn Clock>,
}

/// Why the directory's file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PlcStoreError {
    #[error("could not open {path}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("the file has schema {found}, which this program does not know; it knows those up to {VERSION}")]
    FromTheFuture { found: i64 },
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("operation {seq} has a {column} that cannot be read: {problem}")]
    Corrupt { seq: i64, column: &'static str, problem: String },
    #[error("an operation could not be written as JSON")]
    Encode(#[source] serde_json::Error),
    #[error("the work on the file was broken off")]
    BrokenOff(#[source] tokio::task::JoinError),
}

/// An operation as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) did: Did,
    pub(super) entry: LogEntry,
}

impl PlcStore {
    /// Opens or makes the file at `path`; `clock` tells when operations come.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, PlcStoreError> {
        let mut conn = Connection::open(path).map_err(|source| PlcStoreError::Open { path: path.to_owned(), source })?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        // An operation that was answered with "OK" must survive a loss of power.
        conn.pragma_update(None, "synchronous", "FULL")?;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match tx.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            0 => {
                tx.execute_batch(SCHEMA)?;
                tx.pragma_update(None, "user_version", VERSION)?;
            }
            VERSION => (),
            found => return Err(PlcStoreError::FromTheFuture { found }),
        }
        tx.commit()?;
        Ok(Self { conn: Arc::new(Mutex::new(conn)), clock })
    }

    /// Returns the present time in milliseconds since 1970.
    pub(super) fn now_millis(&self) -> i64 {
        self.clock.millis()
    }

    /// Runs `work` where it may block.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, PlcStoreError> + Send + 'static,
    ) -> Result<T, PlcStoreError> {
        self.blocking(move |conn| work(conn)).await
    }

    /// Runs `work` in a transaction that is alone at the file, and keeps what it wrote if it succeeds.
    pub(super) async fn write<T: Send + 'static, E: From<PlcStoreError> + Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.blocking(move |conn| {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(PlcStoreError::from)?;
            let done = work(&tx)?;
            tx.commit().map_err(PlcStoreError::from)?;
            Ok(done)
        })
        .await
    }

    async fn blocking<T: Send + 'static, E: From<PlcStoreError> + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let conn = Arc::clone(&self.conn);
        // A transaction that panicked was rolled back when it was dropped, so the connection is as good as before.
        let work = move || work(&mut conn.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(work).await.map_err(PlcStoreError::BrokenOff)?
    }
}

/// Returns all operations of a DID in the order in which they came.
pub(super) fn log(conn: &Connection, did: &str) -> Result<Vec<Stored>, PlcStoreError> {
    query(conn, &format!("SELECT {COLUMNS} FROM operation WHERE did = ?1 ORDER BY seq"), [did])
}

/// Finds the last operation in force of a DID.
pub(super) fn find_last(conn: &Connection, did: &str) -> Result<Option<Stored>, PlcStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM operation WHERE did = ?1 AND nullified = 0 ORDER BY seq DESC LIMIT 1");
    Ok(query(conn, &sql, [did])?.pop())
}

/// Lists up to `count` operations of all DIDs.
pub(super) fn list(conn: &Connection, after: After, count: u32) -> Result<Vec<Stored>, PlcStoreError> {
    let (column, after) = match after {
        After::Start => ("seq", 0),
        After::Time(millis) => ("created_at", millis),
        After::Seq(seq) => ("seq", seq),
    };
    let sql = format!("SELECT {COLUMNS} FROM operation WHERE {column} > ?1 ORDER BY {column} LIMIT ?2");
    query(conn, &sql, params![after, count])
}

/// Returns when the newest operation came, of whichever DID.
pub(super) fn find_last_time(conn: &Connection) -> Result<Option<i64>, PlcStoreError> {
    let sql = "SELECT created_at FROM operation ORDER BY seq DESC LIMIT 1";
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?)
}

/// Adds an operation to the log of `did`.
pub(super) fn insert(tx: &Transaction<'_>, did: &Did, entry: &LogEntry) -> Result<(), PlcStoreError> {
    let operation = serde_json::to_string(&entry.operation).map_err(PlcStoreError::Encode)?;
    tx.prepare_cached("INSERT INTO operation (did, cid, operation, nullified, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![did.as_str(), entry.cid.to_string(), operation, entry.nullified, entry.created_at_millis])?;
    Ok(())
}

/// Nullifies an operation of `did`, which must be in its log.
pub(super) fn nullify(tx: &Transaction<'_>, did: &Did, cid: &common::Cid) -> Result<(), PlcStoreError> {
    let changed = tx
        .prepare_cached("UPDATE operation SET nullified = 1 WHERE did = ?1 AND cid = ?2")?
        .execute(params![did.as_str(), cid.to_string()])?;
    if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed).into()) }
}

fn query(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Stored>, PlcStoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(from_row(row)?);
    }
    Ok(found)
}

fn from_row(row: &Row<'_>) -> Result<Stored, PlcStoreError> {
    let seq = row.get("seq")?;
    let operation = serde_json::from_str(row.get_ref("operation")?.as_str().map_err(rusqlite::Error::from)?)
        .map_err(|err| PlcStoreError::Corrupt { seq, column: "operation", problem: err.to_string() })?;
    let entry = LogEntry {
        operation,
        cid: parse(row, seq, "cid")?,
        nullified: row.get("nullified")?,
        created_at_millis: row.get("created_at")?,
    };
    Ok(Stored { seq, did: parse(row, seq, "did")?, entry })
}

fn parse<T: FromStr<Err: std::fmt::Display>>(row: &Row<'_>, seq: i64, column: &'static str) -> Result<T, PlcStoreError> {
    let text: String = row.get(column)?;
    text.parse().map_err(|err: T::Err| PlcStoreError::Corrupt { seq, column, problem: err.to_string() })
}
