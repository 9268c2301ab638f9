//! Certificates that were ordered, the account that orders them, and when orders were made.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{BatchTx, StoreError, expect_one_row};

/// A certificate as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredCertificate {
    /// In lower case; it may begin with `*.`.
    pub(crate) name: String,
    /// In PEM, from the certificate on.
    pub(crate) chain: String,
    pub(crate) sealed_key: Vec<u8>,
}

pub(crate) fn list(conn: &Connection) -> Result<Vec<StoredCertificate>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT name, chain, sealed_key FROM tls_certificate ORDER BY name")?;
    let rows = statement
        .query_map([], |row| Ok(StoredCertificate { name: row.get(0)?, chain: row.get(1)?, sealed_key: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Stores a certificate, in the place of the one of that name.
pub(crate) fn put(tx: &BatchTx<'_>, certificate: &StoredCertificate) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO tls_certificate (name, chain, sealed_key) VALUES (?1, ?2, ?3)";
    let values = params![certificate.name, certificate.chain, certificate.sealed_key];
    expect_one_row("tls_certificate", tx.prepare_cached(sql)?.execute(values)?)
}

pub(crate) fn delete(tx: &BatchTx<'_>, name: &str) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM tls_certificate WHERE name = ?1")?.execute([name])?;
    Ok(())
}

/// Returns the sealed account at an authority.
pub(crate) fn find_account(conn: &Connection, directory: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT sealed FROM acme_account WHERE directory = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([directory], |row| row.get(0)).optional()?)
}

pub(crate) fn put_account(tx: &BatchTx<'_>, directory: &str, sealed: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO acme_account (directory, sealed) VALUES (?1, ?2)";
    expect_one_row("acme_account", tx.prepare_cached(sql)?.execute(params![directory, sealed])?)
}

pub(crate) fn delete_account(tx: &BatchTx<'_>, directory: &str) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM acme_account WHERE directory = ?1")?.execute([directory])?;
    Ok(())
}

/// Notes that an order is made now.
pub(crate) fn note_order(tx: &BatchTx<'_>, now: i64) -> Result<(), StoreError> {
    expect_one_row("tls_order", tx.prepare_cached("INSERT INTO tls_order (at) VALUES (?1)")?.execute([now])?)
}

/// Forgets orders from before a moment.
pub(crate) fn forget_orders(tx: &BatchTx<'_>, before: i64) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM tls_order WHERE at < ?1")?.execute([before])?;
    Ok(())
}

/// Returns when the `nth` latest order was made, if it was after a moment.
pub(crate) fn nth_latest_order(conn: &Connection, nth: u64, after: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT at FROM tls_order WHERE at > ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2";
    Ok(conn.prepare_cached(sql)?.query_row(params![after, nth.saturating_sub(1) as i64], |row| row.get(0)).optional()?)
}
