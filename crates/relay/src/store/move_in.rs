//! Accounts that are on their way here from another server, by the hand of this one.

use common::{Did, Handle};
use crypto::plc::Operation;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{AccountId, BatchTx, StoreError, expect_one_row, row};

/// A move that is not over.
#[derive(Clone, Debug)]
pub(crate) struct MoveIn {
    /// The URL of the server that has the account.
    pub(crate) old_server: String,
    /// The handle there.
    pub(crate) old_handle: Option<Handle>,
    /// Whether the account was here before.
    pub(crate) was_here: bool,
    /// The tokens there.
    pub(crate) sealed_session: Vec<u8>,
    /// What the repo was there when it was copied.
    pub(crate) copied_rev: Option<String>,
    /// When everything that could be copied was.
    pub(crate) copied_at: Option<i64>,
    /// When a code was mailed last.
    pub(crate) code_sent_at: Option<i64>,
    /// The operation that makes the DID lead here, once the old server has signed it.
    pub(crate) operation: Option<Operation>,
    /// When the account was here, and is only to be deactivated there.
    pub(crate) arrived_at: Option<i64>,
}

/// A move that begins.
#[derive(Debug)]
pub(crate) struct NewMoveIn<'a> {
    pub(crate) old_server: &'a str,
    pub(crate) old_handle: Option<&'a Handle>,
    /// The key that a did:web has, as a did:key.
    pub(crate) old_key: Option<&'a str>,
    pub(crate) was_here: bool,
    pub(crate) sealed_session: &'a [u8],
}

const COLUMNS: &str = "old_server, old_handle, was_here, session, copied_rev, copied_at, code_sent_at, operation, arrived_at";

/// Begins a move, or gives one that is under way another session.
pub(crate) fn begin(tx: &BatchTx<'_>, account: AccountId, new: &NewMoveIn<'_>) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO move_in (account, old_server, old_handle, old_key, was_here, session) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (account) DO UPDATE SET session = excluded.session";
    let NewMoveIn { old_server, old_handle, old_key, was_here, sealed_session } = new;
    let old_handle = old_handle.map(Handle::as_str);
    tx.prepare_cached(sql)?.execute(params![account.0, old_server, old_handle, old_key, was_here, sealed_session])?;
    Ok(())
}

/// Returns the key that the account's did:web had when its move here began, as a did:key.
pub(crate) fn old_key(conn: &Connection, account: AccountId) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT old_key FROM move_in WHERE account = ?1")?;
    Ok(statement.query_row([account.0], |row| row.get(0)).optional()?.flatten())
}

/// Lists the oldest moves of which nothing more is asked of the person: the operation was signed, or the account is here.
pub(crate) fn list_to_end(conn: &Connection, limit: usize) -> Result<Vec<Did>, StoreError> {
    let sql = "SELECT did FROM move_in JOIN account ON account.id = move_in.account
               WHERE operation IS NOT NULL OR arrived_at IS NOT NULL OR deactivated_at IS NULL ORDER BY account LIMIT ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(row::parse(row, "account", "did")?);
    }
    Ok(found)
}

pub(crate) fn find(conn: &Connection, account: AccountId) -> Result<Option<MoveIn>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM move_in WHERE account = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([account.0])?;
    rows.next()?.map(from_row).transpose()
}

fn from_row(found: &Row<'_>) -> Result<MoveIn, StoreError> {
    let operation: Option<String> = found.get("operation")?;
    let operation = operation.map(|text| serde_json::from_str(&text)).transpose();
    Ok(MoveIn {
        old_server: found.get("old_server")?,
        old_handle: row::parse_optional(found, "move_in", "old_handle")?,
        was_here: found.get("was_here")?,
        sealed_session: found.get("session")?,
        copied_rev: found.get("copied_rev")?,
        copied_at: found.get("copied_at")?,
        code_sent_at: found.get("code_sent_at")?,
        operation: operation.map_err(|err| row::corrupt("move_in", "operation", &err))?,
        arrived_at: found.get("arrived_at")?,
    })
}

pub(crate) fn set_session(tx: &BatchTx<'_>, account: AccountId, sealed: &[u8]) -> Result<(), StoreError> {
    let changed =
        tx.prepare_cached("UPDATE move_in SET session = ?2 WHERE account = ?1")?.execute(params![account.0, sealed])?;
    expect_one_row("move_in", changed)
}

pub(crate) fn set_copied_rev(tx: &BatchTx<'_>, account: AccountId, rev: Option<&str>) -> Result<(), StoreError> {
    let changed =
        tx.prepare_cached("UPDATE move_in SET copied_rev = ?2 WHERE account = ?1")?.execute(params![account.0, rev])?;
    expect_one_row("move_in", changed)
}

pub(crate) fn set_copied(tx: &BatchTx<'_>, account: AccountId) -> Result<(), StoreError> {
    let sql = "UPDATE move_in SET copied_at = ?2 WHERE account = ?1";
    let changed = tx.prepare_cached(sql)?.execute(params![account.0, tx.now_millis()])?;
    expect_one_row("move_in", changed)
}

pub(crate) fn set_code_sent(tx: &BatchTx<'_>, account: AccountId) -> Result<(), StoreError> {
    let sql = "UPDATE move_in SET code_sent_at = ?2 WHERE account = ?1";
    let changed = tx.prepare_cached(sql)?.execute(params![account.0, tx.now_millis()])?;
    expect_one_row("move_in", changed)
}

/// Keeps the operation that was signed; `None` forgets one that is of no use any more.
pub(crate) fn set_operation(tx: &BatchTx<'_>, account: AccountId, operation: Option<&Operation>) -> Result<(), StoreError> {
    let text = operation.map(serde_json::to_string).transpose();
    let text = text.map_err(|err| row::corrupt("move_in", "operation", &err))?;
    let sql = "UPDATE move_in SET operation = ?2 WHERE account = ?1";
    let changed = tx.prepare_cached(sql)?.execute(params![account.0, text])?;
    expect_one_row("move_in", changed)
}

/// Keeps when the account was here first, for which the operation was.
pub(crate) fn set_arrived(tx: &BatchTx<'_>, account: AccountId) -> Result<(), StoreError> {
    let sql = "UPDATE move_in SET operation = NULL, arrived_at = coalesce(arrived_at, ?2) WHERE account = ?1";
    let changed = tx.prepare_cached(sql)?.execute(params![account.0, tx.now_millis()])?;
    expect_one_row("move_in", changed)
}

/// Forgets a move that has arrived, for the account leaves again.
pub(crate) fn delete_arrived(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM move_in WHERE account = ?1 AND arrived_at IS NOT NULL")?.execute([account.0])?;
    Ok(())
}

pub(crate) fn delete(tx: &BatchTx<'_>, account: AccountId) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM move_in WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}
