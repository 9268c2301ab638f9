//! Browsers, and who is signed in to the pages in which.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use super::{AccountId, StoreError, expect_one_row, row, sign_in_link};

/// The lasting name of a browser. It is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DeviceId(pub(crate) [u8; 16]);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// What is not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a device")]
pub(crate) struct NotADeviceId;

impl FromStr for DeviceId {
    type Err = NotADeviceId;

    fn from_str(text: &str) -> Result<Self, NotADeviceId> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| NotADeviceId)?;
        bytes.try_into().map(Self).map_err(|_| NotADeviceId)
    }
}

impl ToSql for DeviceId {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

/// A browser in which someone has signed in.
#[derive(Clone, Debug)]
pub(crate) struct WebDevice {
    /// SHA-256 of the secret in its cookie.
    pub(crate) secret_hash: [u8; 32],
    /// The account whose pages are shown.
    pub(crate) current: Option<AccountId>,
}

/// An account that is signed in, in a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebSession {
    pub(crate) device: DeviceId,
    pub(crate) account: AccountId,
    pub(crate) signed_in_at: i64,
    /// When the owner last gave their password or passkey here.
    pub(crate) confirmed_at: i64,
    pub(crate) last_seen_at: i64,
    pub(crate) expires_at: i64,
    /// Whether it lasts for as long as it is used.
    pub(crate) remembered: bool,
    pub(crate) user_agent: String,
    pub(crate) ip: String,
}

const COLUMNS: &str = "device, account, signed_in_at, confirmed_at, last_seen_at, expires_at, remembered, user_agent, ip";

fn from_row(row: &Row<'_>) -> Result<WebSession, StoreError> {
    Ok(WebSession {
        device: row::parse(row, "web_session", "device")?,
        account: AccountId(row.get("account")?),
        signed_in_at: row.get("signed_in_at")?,
        confirmed_at: row.get("confirmed_at")?,
        last_seen_at: row.get("last_seen_at")?,
        expires_at: row.get("expires_at")?,
        remembered: row.get("remembered")?,
        user_agent: row.get("user_agent")?,
        ip: row.get("ip")?,
    })
}

fn list(conn: &Connection, column: &str, of: impl ToSql, now: i64) -> Result<Vec<WebSession>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM web_session WHERE {column} = ?1 AND expires_at > ?2 ORDER BY signed_in_at DESC, device");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![of, now])?;
    let mut sessions = Vec::new();
    while let Some(row) = rows.next()? {
        sessions.push(from_row(row)?);
    }
    Ok(sessions)
}

pub(crate) fn find_device(conn: &Connection, id: DeviceId) -> Result<Option<WebDevice>, StoreError> {
    let sql = "SELECT secret_hash, current FROM web_device WHERE id = ?1";
    let read = |row: &Row<'_>| {
        Ok(WebDevice { secret_hash: row.get("secret_hash")?, current: row.get::<_, Option<i64>>("current")?.map(AccountId) })
    };
    Ok(conn.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// Adds a browser, or gives a known one another secret; it shows the pages of `current` from now on.
pub(crate) fn put_device(
    conn: &Connection,
    id: DeviceId,
    secret_hash: &[u8; 32],
    current: AccountId,
    now: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO web_device (id, secret_hash, created_at, current) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (id) DO UPDATE SET secret_hash = ?2, current = ?4";
    expect_one_row("web_device", conn.prepare_cached(sql)?.execute(params![id, secret_hash, now, current.0])?)
}

/// Gives a browser another secret, and the account whose pages it shows, if any is left.
pub(crate) fn set_secret(
    conn: &Connection,
    id: DeviceId,
    secret_hash: &[u8; 32],
    current: Option<AccountId>,
) -> Result<(), StoreError> {
    let sql = "UPDATE web_device SET secret_hash = ?2, current = ?3 WHERE id = ?1";
    let current = current.map(|account| account.0);
    expect_one_row("web_device", conn.prepare_cached(sql)?.execute(params![id, secret_hash, current])?)
}

/// Makes a browser show the pages of an account.
pub(crate) fn set_current(conn: &Connection, id: DeviceId, current: AccountId) -> Result<(), StoreError> {
    let sql = "UPDATE web_device SET current = ?2 WHERE id = ?1";
    conn.prepare_cached(sql)?.execute(params![id, current.0])?;
    Ok(())
}

/// Adds a session, in the place of the one that the account has in that browser.
pub(crate) fn put(conn: &Connection, session: &WebSession) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO web_session
               (device, account, signed_in_at, confirmed_at, last_seen_at, expires_at, remembered, user_agent, ip)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let values = params![
        session.device,
        session.account.0,
        session.signed_in_at,
        session.confirmed_at,
        session.last_seen_at,
        session.expires_at,
        session.remembered,
        session.user_agent,
        session.ip,
    ];
    expect_one_row("web_session", conn.prepare_cached(sql)?.execute(values)?)
}

/// Lists who is signed in in a browser, the latest first.
pub(crate) fn list_of_device(conn: &Connection, device: DeviceId, now: i64) -> Result<Vec<WebSession>, StoreError> {
    list(conn, "device", device, now)
}

/// Lists where an account is signed in, the latest first.
pub(crate) fn list_of_account(conn: &Connection, account: AccountId, now: i64) -> Result<Vec<WebSession>, StoreError> {
    list(conn, "account", account.0, now)
}

/// Notes that a session was used.
pub(crate) fn touch(
    conn: &Connection,
    device: DeviceId,
    account: AccountId,
    now: i64,
    expires_at: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE web_session SET last_seen_at = ?3, expires_at = ?4 WHERE device = ?1 AND account = ?2";
    conn.prepare_cached(sql)?.execute(params![device, account.0, now, expires_at])?;
    Ok(())
}

/// Notes that the owner of a session has shown that it is them.
pub(crate) fn confirm(conn: &Connection, device: DeviceId, account: AccountId, now: i64) -> Result<(), StoreError> {
    let sql = "UPDATE web_session SET confirmed_at = ?3 WHERE device = ?1 AND account = ?2";
    conn.prepare_cached(sql)?.execute(params![device, account.0, now])?;
    Ok(())
}

/// Ends the sessions of an account in all browsers but one. A link that would begin another one goes, too.
pub(crate) fn delete_others(conn: &Connection, device: DeviceId, account: AccountId) -> Result<(), StoreError> {
    sign_in_link::delete(conn, account)?;
    let sql = "DELETE FROM web_session WHERE account = ?2 AND device <> ?1";
    conn.prepare_cached(sql)?.execute(params![device, account.0])?;
    Ok(())
}

/// Ends a session. Nothing happens when it has ended.
pub(crate) fn delete(conn: &Connection, device: DeviceId, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM web_session WHERE device = ?1 AND account = ?2")?.execute(params![device, account.0])?;
    Ok(())
}

/// Ends all sessions of an account in browsers. A link that would begin another one goes, too.
pub(crate) fn delete_all(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    sign_in_link::delete(conn, account)?;
    conn.prepare_cached("DELETE FROM web_session WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}

/// Of the sessions of an account in browsers, keeps the `keep` that were used last.
pub(crate) fn keep_latest(conn: &Connection, account: AccountId, keep: usize) -> Result<(), StoreError> {
    conn.prepare_cached(
        "DELETE FROM web_session WHERE account = ?1 AND device IN
         (SELECT device FROM web_session WHERE account = ?1 ORDER BY last_seen_at DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![account.0, keep as i64])?;
    Ok(())
}

/// Deletes at most `limit` sessions that are over, and then the browsers that have none; returns how many sessions.
pub(crate) fn sweep(conn: &Connection, now: i64, limit: usize) -> Result<usize, StoreError> {
    let swept = conn
        .prepare_cached(
            "DELETE FROM web_session WHERE (device, account) IN
             (SELECT device, account FROM web_session WHERE expires_at <= ?1 LIMIT ?2)",
        )?
        .execute(params![now, limit as i64])?;
    conn.prepare_cached(
        "DELETE FROM web_device WHERE id IN
         (SELECT id FROM web_device WHERE NOT EXISTS (SELECT 1 FROM web_session WHERE device = id) LIMIT ?1)",
    )?
    .execute([limit as i64])?;
    Ok(swept)
}
