//! App passwords.

use rusqlite::{Connection, OptionalExtension as _, Row, ffi, params};

use super::{AccountId, StoreError};

/// A password that an owner gave to an app.
#[derive(Clone, Debug)]
pub(crate) struct AppPassword {
    pub(crate) name: String,
    /// Whether it opens chats too.
    pub(crate) privileged: bool,
    pub(crate) created_at: i64,
}

/// Why an app password was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppPasswordConflict {
    #[error("the account has an app password of this name")]
    Name,
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AppPassword> {
    Ok(AppPassword { name: row.get("name")?, privileged: row.get("privileged")?, created_at: row.get("created_at")? })
}

/// Adds an app password.
///
/// # Errors
///
/// [`AppPasswordConflict::Name`] when the account has one of that name.
pub(crate) fn insert(conn: &Connection, account: AccountId, new: &AppPassword, hash: &str) -> Result<(), AppPasswordConflict> {
    let sql = "INSERT INTO app_password (account, name, password_hash, privileged, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let inserted = conn
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params![account.0, new.name, hash, new.privileged, new.created_at]));
    match inserted {
        Ok(_) => Ok(()),
        Err(rusqlite::Error::SqliteFailure(code, _)) if code.extended_code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            Err(AppPasswordConflict::Name)
        }
        Err(err) => Err(StoreError::from(err).into()),
    }
}

/// Finds an app password by the hash of its text.
pub(crate) fn find_by_hash(conn: &Connection, account: AccountId, hash: &str) -> Result<Option<AppPassword>, StoreError> {
    let sql = "SELECT name, privileged, created_at FROM app_password WHERE account = ?1 AND password_hash = ?2";
    Ok(conn.prepare_cached(sql)?.query_row(params![account.0, hash], from_row).optional()?)
}

/// Whether an account has app passwords whose hash is in the official PDS's form.
pub(crate) fn has_official(conn: &Connection, account: AccountId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM app_password WHERE account = ?1 AND instr(password_hash, ':') LIMIT 1";
    Ok(conn.prepare_cached(sql)?.exists([account.0])?)
}

/// Puts `hash` in the place of `old`, unless the app password is gone.
pub(crate) fn replace_hash(conn: &Connection, account: AccountId, old: &str, hash: &str) -> Result<(), StoreError> {
    let sql = "UPDATE app_password SET password_hash = ?3 WHERE account = ?1 AND password_hash = ?2";
    conn.prepare_cached(sql)?.execute(params![account.0, old, hash])?;
    Ok(())
}

pub(crate) fn find(conn: &Connection, account: AccountId, name: &str) -> Result<Option<AppPassword>, StoreError> {
    let sql = "SELECT name, privileged, created_at FROM app_password WHERE account = ?1 AND name = ?2";
    Ok(conn.prepare_cached(sql)?.query_row(params![account.0, name], from_row).optional()?)
}

/// Lists the app passwords of an account, newest first.
pub(crate) fn list(conn: &Connection, account: AccountId) -> Result<Vec<AppPassword>, StoreError> {
    let sql = "SELECT name, privileged, created_at FROM app_password WHERE account = ?1 ORDER BY created_at DESC, name";
    Ok(conn.prepare_cached(sql)?.query_map([account.0], from_row)?.collect::<Result<_, _>>()?)
}

pub(crate) fn count(conn: &Connection, account: AccountId) -> Result<usize, StoreError> {
    let sql = "SELECT count(*) FROM app_password WHERE account = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([account.0], |row| row.get::<_, i64>(0))? as usize)
}

/// Deletes all app passwords of an account.
pub(crate) fn delete_all(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM app_password WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}

/// Deletes an app password; nothing happens when there is none of that name.
pub(crate) fn delete(conn: &Connection, account: AccountId, name: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM app_password WHERE account = ?1 AND name = ?2";
    conn.prepare_cached(sql)?.execute(params![account.0, name])?;
    Ok(())
}
