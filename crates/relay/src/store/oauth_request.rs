//! Pushed authorization requests, until they are answered.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{StoreError, expect_one_row, row};
use crate::oauth::Request;

/// A request that waits for its user.
#[derive(Clone, Debug)]
pub(crate) struct StoredRequest {
    pub(crate) id: String,
    pub(crate) request: Request,
    /// The browser that opened it.
    pub(crate) device: Option<String>,
    pub(crate) expires_at: i64,
}

fn from_row(row: &Row<'_>) -> Result<StoredRequest, StoreError> {
    Ok(StoredRequest {
        id: row.get("id")?,
        request: request(row, "oauth_request")?,
        device: row.get("device")?,
        expires_at: row.get("expires_at")?,
    })
}

/// Reads the column `request` of one of the tables that have it.
pub(super) fn request(row: &Row<'_>, table: &'static str) -> Result<Request, StoreError> {
    let json: String = row.get("request")?;
    serde_json::from_str(&json).map_err(|err| row::corrupt(table, "request", &err))
}

pub(crate) fn find(conn: &Connection, id: &str) -> Result<Option<StoredRequest>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT id, request, device, expires_at FROM oauth_request WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(from_row).transpose()
}

/// Adds a request. Those that are over go, and of the rest the oldest beyond `keep`.
pub(crate) fn insert(conn: &Connection, new: &StoredRequest, now: i64, keep: usize) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM oauth_request WHERE expires_at <= ?1")?.execute([now])?;
    conn.prepare_cached(
        "DELETE FROM oauth_request WHERE id IN (SELECT id FROM oauth_request ORDER BY created_at DESC LIMIT -1 OFFSET ?1)",
    )?
    .execute([keep.saturating_sub(1) as i64])?;
    let json = serde_json::to_string(&new.request).expect("a request serializes");
    let sql = "INSERT INTO oauth_request (id, request, device, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    conn.prepare_cached(sql)?.execute(params![new.id, json, new.device, now, new.expires_at])?;
    Ok(())
}

/// Notes that a browser opened a request, which lasts until `expires_at` from then on.
pub(crate) fn bind(conn: &Connection, id: &str, device: &str, expires_at: i64) -> Result<(), StoreError> {
    let sql = "UPDATE oauth_request SET device = ?2, expires_at = ?3 WHERE id = ?1";
    expect_one_row("oauth_request", conn.prepare_cached(sql)?.execute(params![id, device, expires_at])?)
}

/// Takes a request away; `None` when it is gone already.
pub(crate) fn take(conn: &Connection, id: &str) -> Result<Option<i64>, StoreError> {
    let sql = "DELETE FROM oauth_request WHERE id = ?1 RETURNING expires_at";
    Ok(conn.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
}
