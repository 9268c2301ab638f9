//! Secrets that accounts share with authenticator apps.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{AccountId, StoreError, expect_one_row};

/// The secret of an account, as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Totp {
    pub(crate) sealed_secret: Vec<u8>,
    /// `None` until a first code was right.
    pub(crate) confirmed_at: Option<i64>,
    /// The time step of the last code that was taken.
    pub(crate) last_step: u64,
    /// Wrong codes since the last right one.
    pub(crate) failures: u32,
    /// When the last wrong code came.
    pub(crate) failed_at: i64,
}

pub(crate) fn find(conn: &Connection, account: AccountId) -> Result<Option<Totp>, StoreError> {
    let sql = "SELECT secret, confirmed_at, last_step, failures, failed_at FROM totp WHERE account = ?1";
    let found = conn.prepare_cached(sql)?.query_row([account.0], |row| {
        Ok(Totp {
            sealed_secret: row.get("secret")?,
            confirmed_at: row.get("confirmed_at")?,
            last_step: row.get::<_, i64>("last_step")?.cast_unsigned(),
            failures: row.get("failures")?,
            failed_at: row.get("failed_at")?,
        })
    });
    Ok(found.optional()?)
}

/// Adds a secret, which is not confirmed.
pub(crate) fn insert(conn: &Connection, account: AccountId, sealed_secret: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO totp (account, secret) VALUES (?1, ?2)";
    expect_one_row("totp", conn.prepare_cached(sql)?.execute(params![account.0, sealed_secret])?)
}

/// Notes that the code of a time step was taken, which is the first if the secret was not confirmed.
pub(crate) fn note_success(conn: &Connection, account: AccountId, step: u64, now: i64) -> Result<(), StoreError> {
    let sql = "UPDATE totp SET last_step = ?2, failures = 0, confirmed_at = coalesce(confirmed_at, ?3) WHERE account = ?1";
    expect_one_row("totp", conn.prepare_cached(sql)?.execute(params![account.0, step.cast_signed(), now])?)
}

/// Counts a wrong code.
pub(crate) fn note_failure(conn: &Connection, account: AccountId, now: i64) -> Result<(), StoreError> {
    let sql = "UPDATE totp SET failures = failures + 1, failed_at = ?2 WHERE account = ?1";
    expect_one_row("totp", conn.prepare_cached(sql)?.execute(params![account.0, now])?)
}

/// Deletes the secret of an account; nothing happens when it has none.
pub(crate) fn delete(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM totp WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}
