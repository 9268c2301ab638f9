//! Handles that the operator keeps back.

use common::Handle;
use rusqlite::{Connection, params};

use super::StoreError;

/// Keeps a name back: a handle, or the part before the domain of this server, in lower case. Once is enough.
pub(crate) fn insert(conn: &Connection, name: &str, created_at: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO reserved_handle (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![name, created_at])?;
    Ok(())
}

/// Whether a handle is kept back, as itself or by its first part.
pub(crate) fn covers(conn: &Connection, handle: &Handle) -> Result<bool, StoreError> {
    let first = handle.as_str().split('.').next().unwrap_or_default();
    let sql = "SELECT 1 FROM reserved_handle WHERE name IN (?1, ?2)";
    Ok(conn.prepare_cached(sql)?.exists([handle.as_str(), first])?)
}
