//! Signing keys for accounts to come.

use common::Did;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{BatchTx, StoreError};

/// Keys that are kept; the oldest go, since anyone may reserve keys.
const MAX_KEYS: i64 = 10_000;

/// A key that was reserved.
#[derive(Clone, Debug)]
pub(crate) struct ReservedKey {
    /// As a did:key.
    pub(crate) public_key: String,
    pub(crate) sealed: Vec<u8>,
}

pub(crate) fn find(conn: &Connection, did: &Did) -> Result<Option<ReservedKey>, StoreError> {
    let sql = "SELECT public_key, sealed FROM reserved_key WHERE did = ?1";
    let row = |row: &rusqlite::Row<'_>| Ok(ReservedKey { public_key: row.get(0)?, sealed: row.get(1)? });
    Ok(conn.prepare_cached(sql)?.query_row([did.as_str()], row).optional()?)
}

/// Keeps a key, for a DID when it is known. There must be none for that DID.
pub(crate) fn insert(tx: &BatchTx<'_>, did: Option<&Did>, key: &ReservedKey) -> Result<(), StoreError> {
    let sql = "INSERT INTO reserved_key (did, public_key, sealed) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute(params![did.map(Did::as_str), key.public_key, key.sealed])?;
    let oldest = tx.last_insert_rowid() - MAX_KEYS;
    tx.prepare_cached("DELETE FROM reserved_key WHERE id <= ?1")?.execute([oldest])?;
    Ok(())
}

/// Deletes the key of a DID, whose account has it now.
pub(crate) fn delete(tx: &BatchTx<'_>, did: &Did) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM reserved_key WHERE did = ?1")?.execute([did.as_str()])?;
    Ok(())
}
