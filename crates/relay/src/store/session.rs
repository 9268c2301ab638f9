//! Sessions, each known by its refresh token.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{AccountId, StoreError, expect_one_row, oauth_consent, oauth_session, web_session};

/// A refresh token as it is remembered; the token itself is made from it anew.
#[derive(Clone, Debug)]
pub(crate) struct RefreshToken {
    /// The token's `jti`.
    pub(crate) id: String,
    pub(crate) account: AccountId,
    pub(crate) expires_at: i64,
    /// The token that took this one's place.
    pub(crate) next_id: Option<String>,
    /// The app password that began the session; `None` when the account's own did.
    pub(crate) app_password: Option<String>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<RefreshToken> {
    Ok(RefreshToken {
        id: row.get("id")?,
        account: AccountId(row.get("account")?),
        expires_at: row.get("expires_at")?,
        next_id: row.get("next_id")?,
        app_password: row.get("app_password_name")?,
    })
}

pub(crate) fn find(conn: &Connection, id: &str) -> Result<Option<RefreshToken>, StoreError> {
    let sql = "SELECT id, account, expires_at, next_id, app_password_name FROM refresh_token WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([id], from_row).optional()?)
}

pub(crate) fn insert(conn: &Connection, new: &RefreshToken) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO refresh_token (id, account, expires_at, next_id, app_password_name) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![new.id, new.account.0, new.expires_at, new.next_id, new.app_password])?;
    Ok(())
}

/// Notes that the token `next_id` takes the place of `id`, which is good until `expires_at`.
pub(crate) fn supersede(conn: &Connection, id: &str, next_id: &str, expires_at: i64) -> Result<(), StoreError> {
    let sql = "UPDATE refresh_token SET next_id = ?2, expires_at = ?3 WHERE id = ?1";
    expect_one_row("refresh_token", conn.prepare_cached(sql)?.execute(params![id, next_id, expires_at])?)
}

/// Ends a session: deletes a token and the one that it took the place of. Nothing happens when they are gone.
pub(crate) fn delete(conn: &Connection, id: &str) -> Result<(), StoreError> {
    // A token in its grace time would otherwise lead on to the one that was signed out.
    let sql = "DELETE FROM refresh_token WHERE id = ?1 OR next_id = ?1";
    conn.prepare_cached(sql)?.execute([id])?;
    Ok(())
}

/// Ends all sessions of an account: those of clients, and those in browsers.
pub(crate) fn delete_all(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    web_session::delete_all(conn, account)?;
    delete_of_clients(conn, account)
}

/// Ends all sessions of an account but those in browsers.
pub(crate) fn delete_of_clients(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    oauth_session::delete_all(conn, account)?;
    oauth_consent::delete_all(conn, account)?;
    conn.prepare_cached("DELETE FROM refresh_token WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}

/// Counts the sessions of an account that were begun with its own password: the tokens that none took the place of yet.
pub(crate) fn count_of_password(conn: &Connection, account: AccountId, now_millis: i64) -> Result<usize, StoreError> {
    let sql = "SELECT count(*) FROM refresh_token
               WHERE account = ?1 AND app_password_name IS NULL AND next_id IS NULL AND expires_at > ?2";
    Ok(conn.prepare_cached(sql)?.query_row(params![account.0, now_millis], |row| row.get::<_, i64>(0))? as usize)
}

/// Ends the sessions of an account that were begun with its own password.
pub(crate) fn delete_of_password(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    let sql = "DELETE FROM refresh_token WHERE account = ?1 AND app_password_name IS NULL";
    conn.prepare_cached(sql)?.execute([account.0])?;
    Ok(())
}

/// Ends the sessions that an app password began.
pub(crate) fn delete_of_app_password(conn: &Connection, account: AccountId, name: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM refresh_token WHERE account = ?1 AND app_password_name = ?2";
    conn.prepare_cached(sql)?.execute(params![account.0, name])?;
    Ok(())
}

/// Deletes the tokens of an account that are over, and of the rest all but the `keep` that last longest.
pub(crate) fn sweep(conn: &Connection, account: AccountId, now_millis: i64, keep: usize) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM refresh_token WHERE account = ?1 AND expires_at <= ?2")?
        .execute(params![account.0, now_millis])?;
    conn.prepare_cached(
        "DELETE FROM refresh_token WHERE account = ?1 AND id IN
         (SELECT id FROM refresh_token WHERE account = ?1 ORDER BY expires_at DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![account.0, keep as i64])?;
    Ok(())
}

/// Lists at most `limit` tokens that are over.
pub(crate) fn list_expired(conn: &Connection, now_millis: i64, limit: usize) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT id FROM refresh_token WHERE expires_at <= ?1 LIMIT ?2")?;
    let ids = statement.query_map(params![now_millis, limit as i64], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Deletes those of the tokens that are over, and returns how many that were.
pub(crate) fn delete_expired(conn: &Connection, ids: &[String], now_millis: i64) -> Result<usize, StoreError> {
    let mut statement = conn.prepare_cached("DELETE FROM refresh_token WHERE id = ?1 AND expires_at <= ?2")?;
    let mut deleted = 0;
    for id in ids {
        deleted += statement.execute(params![id, now_millis])?;
    }
    Ok(deleted)
}
