//! The backup codes of accounts.

use rusqlite::{Connection, params};

use super::{AccountId, StoreError};

/// Gives an account new codes, known by their digests, in the place of those that it has.
pub(crate) fn replace(conn: &Connection, account: AccountId, digests: &[[u8; 32]]) -> Result<(), StoreError> {
    delete_all(conn, account)?;
    let mut statement = conn.prepare_cached("INSERT INTO backup_code (account, digest) VALUES (?1, ?2)")?;
    for digest in digests {
        statement.execute(params![account.0, digest])?;
    }
    Ok(())
}

/// Takes a code away, and returns whether it was there.
pub(crate) fn take(conn: &Connection, account: AccountId, digest: &[u8; 32]) -> Result<bool, StoreError> {
    let sql = "DELETE FROM backup_code WHERE account = ?1 AND digest = ?2";
    Ok(conn.prepare_cached(sql)?.execute(params![account.0, digest])? == 1)
}

/// Counts the codes that are left.
pub(crate) fn count(conn: &Connection, account: AccountId) -> Result<usize, StoreError> {
    let sql = "SELECT count(*) FROM backup_code WHERE account = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([account.0], |row| row.get::<_, i64>(0))? as usize)
}

pub(crate) fn delete_all(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM backup_code WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}
