//! The sessions of apps.

use rusqlite::{Connection, Row, params};

use super::oauth_request::request;
use super::{AccountId, StoreError, expect_one_row};
use crate::oauth::Request;

/// The session of an app: at first a code, then tokens.
#[derive(Clone, Debug)]
pub(crate) struct OauthSession {
    pub(crate) id: String,
    pub(crate) account: AccountId,
    /// The app, and what it asked.
    pub(crate) request: Request,
    /// What the user granted.
    pub(crate) scope: String,
    /// The same, with sets spelled out.
    pub(crate) expanded_scope: String,
    /// The browser in which the user said yes.
    pub(crate) device: Option<String>,
    pub(crate) code_digest: [u8; 32],
    /// The key that tokens are bound to; `None` until the code was redeemed.
    pub(crate) key_thumbprint: Option<String>,
    pub(crate) refresh_count: i64,
    pub(crate) refreshed_at: i64,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
}

const COLUMNS: &str = "id, account, request, scope, expanded_scope, device, code_digest, key_thumbprint, refresh_count, \
                       refreshed_at, created_at, expires_at";

fn from_row(row: &Row<'_>) -> Result<OauthSession, StoreError> {
    Ok(OauthSession {
        id: row.get("id")?,
        account: AccountId(row.get("account")?),
        request: request(row, "oauth_session")?,
        scope: row.get("scope")?,
        expanded_scope: row.get("expanded_scope")?,
        device: row.get("device")?,
        code_digest: row.get("code_digest")?,
        key_thumbprint: row.get("key_thumbprint")?,
        refresh_count: row.get("refresh_count")?,
        refreshed_at: row.get("refreshed_at")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn find_by(conn: &Connection, column: &str, value: impl rusqlite::ToSql) -> Result<Option<OauthSession>, StoreError> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM oauth_session WHERE {column} = ?1"))?;
    let mut rows = statement.query([value])?;
    rows.next()?.map(from_row).transpose()
}

pub(crate) fn find(conn: &Connection, id: &str) -> Result<Option<OauthSession>, StoreError> {
    find_by(conn, "id", id)
}

pub(crate) fn find_by_code(conn: &Connection, digest: &[u8; 32]) -> Result<Option<OauthSession>, StoreError> {
    find_by(conn, "code_digest", digest)
}

/// Lists the sessions of an account that have tokens, the newest first.
pub(crate) fn list(conn: &Connection, account: AccountId, now: i64) -> Result<Vec<OauthSession>, StoreError> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM oauth_session WHERE account = ?1 AND expires_at > ?2 AND key_thumbprint IS NOT NULL
         ORDER BY refreshed_at DESC, id"
    ))?;
    let mut rows = statement.query(params![account.0, now])?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        sessions.push(from_row(row)?);
    }
    Ok(sessions)
}

/// Adds a session. Those of the account that are over go, and of the rest the ones that end soonest, beyond `keep`.
pub(crate) fn insert(conn: &Connection, new: &OauthSession, now: i64, keep: usize) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM oauth_session WHERE account = ?1 AND expires_at <= ?2")?
        .execute(params![new.account.0, now])?;
    conn.prepare_cached(
        "DELETE FROM oauth_session WHERE account = ?1 AND id IN
         (SELECT id FROM oauth_session WHERE account = ?1 ORDER BY refreshed_at DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![new.account.0, keep.saturating_sub(1) as i64])?;
    let json = serde_json::to_string(&new.request).expect("a request serializes");
    conn.prepare_cached(
        "INSERT INTO oauth_session (id, account, client_id, request, scope, expanded_scope, device, code_digest,
         key_thumbprint, refresh_count, refreshed_at, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        new.id,
        new.account.0,
        new.request.client.id,
        json,
        new.scope,
        new.expanded_scope,
        new.device,
        new.code_digest,
        new.key_thumbprint,
        new.refresh_count,
        new.refreshed_at,
        new.created_at,
        new.expires_at
    ])?;
    Ok(())
}

/// Notes that a session got new tokens: under which key, for what, as which, and until when.
pub(crate) fn renew(conn: &Connection, session: &OauthSession) -> Result<(), StoreError> {
    let sql = "UPDATE oauth_session SET key_thumbprint = ?2, expanded_scope = ?3, refresh_count = ?4, refreshed_at = ?5,
               expires_at = ?6 WHERE id = ?1";
    let changed = conn.prepare_cached(sql)?.execute(params![
        session.id,
        session.key_thumbprint,
        session.expanded_scope,
        session.refresh_count,
        session.refreshed_at,
        session.expires_at
    ])?;
    expect_one_row("oauth_session", changed)
}

/// Ends a session; tells whether there was one.
pub(crate) fn delete(conn: &Connection, id: &str) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("DELETE FROM oauth_session WHERE id = ?1")?.execute([id])? > 0)
}

/// Ends all sessions of an account.
pub(crate) fn delete_all(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM oauth_session WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}

/// Ends at most `limit` sessions that are over, and returns how many that were.
pub(crate) fn delete_expired(conn: &Connection, now: i64, limit: usize) -> Result<usize, StoreError> {
    let sql = "DELETE FROM oauth_session WHERE id IN (SELECT id FROM oauth_session WHERE expires_at <= ?1 LIMIT ?2)";
    Ok(conn.prepare_cached(sql)?.execute(params![now, limit as i64])?)
}
