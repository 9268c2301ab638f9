//! DIDs that are being made: what is known of them before the PLC directory hears of them.

use common::{Did, Handle};
use crypto::plc::Operation;
use rusqlite::{Connection, Row, params};

use super::{StoreError, row};

/// Rows that are read at once; there are more only where the directory was away for long.
const AT_A_TIME: i64 = 1000;

/// A DID whose account is not there yet.
#[derive(Clone, Debug)]
pub(crate) struct PendingDid {
    pub(crate) did: Did,
    pub(crate) handle: Handle,
    /// The operation that makes the DID.
    pub(crate) operation: Operation,
    /// The signing key of the account to be, as in `account`.
    pub(crate) sealed_signing_key: Vec<u8>,
    pub(crate) created_at: i64,
}

pub(crate) fn insert(conn: &Connection, new: &PendingDid) -> Result<(), StoreError> {
    let operation = serde_json::to_string(&new.operation).map_err(|err| row::corrupt("pending_did", "operation", &err))?;
    let sql = "INSERT INTO pending_did (did, handle, operation, signing_key, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    conn.prepare_cached(sql)?.execute(params![
        new.did.as_str(),
        new.handle.as_str(),
        operation,
        new.sealed_signing_key,
        new.created_at
    ])?;
    Ok(())
}

/// Deletes what is noted of a DID, if anything is.
pub(crate) fn delete(conn: &Connection, did: &Did) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM pending_did WHERE did = ?1")?.execute([did.as_str()])?;
    Ok(())
}

/// Lists what is pending, the oldest first.
pub(crate) fn list(conn: &Connection) -> Result<Vec<PendingDid>, StoreError> {
    let sql = "SELECT did, handle, operation, signing_key, created_at FROM pending_did ORDER BY created_at LIMIT ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([AT_A_TIME])?;
    let mut pending = Vec::new();
    while let Some(row) = rows.next()? {
        pending.push(from_row(row)?);
    }
    Ok(pending)
}

fn from_row(row: &Row<'_>) -> Result<PendingDid, StoreError> {
    let operation: String = row.get("operation")?;
    Ok(PendingDid {
        did: row::parse(row, "pending_did", "did")?,
        handle: row::parse(row, "pending_did", "handle")?,
        operation: serde_json::from_str(&operation).map_err(|err| row::corrupt("pending_did", "operation", &err))?,
        sealed_signing_key: row.get("signing_key")?,
        created_at: row.get("created_at")?,
    })
}
