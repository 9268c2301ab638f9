//! What users granted to apps before.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{AccountId, StoreError};

/// Returns the scopes that an app was granted last.
pub(crate) fn find(conn: &Connection, account: AccountId, client_id: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT scope FROM oauth_consent WHERE account = ?1 AND client_id = ?2";
    Ok(conn.prepare_cached(sql)?.query_row(params![account.0, client_id], |row| row.get(0)).optional()?)
}

/// Notes what an app was granted, in place of what it was granted before.
pub(crate) fn set(conn: &Connection, account: AccountId, client_id: &str, scope: &str, now: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO oauth_consent (account, client_id, scope, updated_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (account, client_id) DO UPDATE SET scope = excluded.scope, updated_at = excluded.updated_at";
    conn.prepare_cached(sql)?.execute(params![account.0, client_id, scope, now])?;
    Ok(())
}

/// Forgets what an app was granted.
pub(crate) fn delete(conn: &Connection, account: AccountId, client_id: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM oauth_consent WHERE account = ?1 AND client_id = ?2";
    conn.prepare_cached(sql)?.execute(params![account.0, client_id])?;
    Ok(())
}

/// Forgets what all apps were granted.
pub(crate) fn delete_all(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM oauth_consent WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}
