//! The last times that someone signed in to an account.

use rusqlite::{Connection, params};

use super::{AccountId, StoreError, expect_one_row};

/// Someone signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignIn {
    pub(crate) at: i64,
    /// What the browser or app calls itself.
    pub(crate) user_agent: String,
    pub(crate) ip: String,
    /// By what a later one from the same device is known.
    pub(crate) device: [u8; 32],
}

/// Adds one, and forgets those before `begins` and all but the newest `keep`.
pub(crate) fn insert(conn: &Connection, account: AccountId, new: &SignIn, begins: i64, keep: usize) -> Result<(), StoreError> {
    let sql = "INSERT INTO sign_in (account, at, user_agent, ip, device) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![account.0, new.at, new.user_agent, new.ip, new.device];
    expect_one_row("sign_in", conn.prepare_cached(sql)?.execute(values)?)?;
    conn.prepare_cached(
        "DELETE FROM sign_in WHERE account = ?1 AND (at < ?2 OR id NOT IN
         (SELECT id FROM sign_in WHERE account = ?1 ORDER BY id DESC LIMIT ?3))",
    )?
    .execute(params![account.0, begins, keep as i64])?;
    Ok(())
}

/// Lists them, the newest first.
pub(crate) fn list(conn: &Connection, account: AccountId, limit: usize) -> Result<Vec<SignIn>, StoreError> {
    let sql = "SELECT at, user_agent, ip, device FROM sign_in WHERE account = ?1 ORDER BY id DESC LIMIT ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![account.0, limit as i64], |row| {
        Ok(SignIn { at: row.get(0)?, user_agent: row.get(1)?, ip: row.get(2)?, device: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
