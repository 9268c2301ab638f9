//! Links that sign in, at most one for an account.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{AccountId, StoreError, expect_one_row};

/// Gives an account a link, in the place of any other.
pub(crate) fn put(conn: &Connection, account: AccountId, digest: &[u8; 32], expires_at: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO sign_in_link (account, digest, expires_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (account) DO UPDATE SET digest = ?2, expires_at = ?3";
    expect_one_row("sign_in_link", conn.prepare_cached(sql)?.execute(params![account.0, digest, expires_at])?)
}

/// Finds whose link this is, if it is good at `now`.
pub(crate) fn owner(conn: &Connection, digest: &[u8; 32], now: i64) -> Result<Option<AccountId>, StoreError> {
    let sql = "SELECT account FROM sign_in_link WHERE digest = ?1 AND expires_at > ?2";
    Ok(conn.prepare_cached(sql)?.query_row(params![digest, now], |row| row.get(0)).optional()?.map(AccountId))
}

/// Takes the link of an account away, if it has one.
pub(crate) fn delete(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM sign_in_link WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}
