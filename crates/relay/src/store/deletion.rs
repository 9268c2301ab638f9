//! What is left to be deleted of accounts that are gone, beside the content of their repos ([`super::unused_repo`]).

use rusqlite::{Connection, params};

use super::{AccountId, BatchTx, StoreError};

/// An account that is gone, while rows of it are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deletion {
    pub(crate) account: AccountId,
    /// The event that announced it; those before it go.
    pub(crate) seq: i64,
}

pub(crate) fn insert(tx: &BatchTx<'_>, new: Deletion) -> Result<(), StoreError> {
    let sql = "INSERT INTO deletion (account, seq) VALUES (?1, ?2)";
    tx.prepare_cached(sql)?.execute(params![new.account.0, new.seq])?;
    Ok(())
}

pub(crate) fn list(conn: &Connection) -> Result<Vec<Deletion>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT account, seq FROM deletion ORDER BY account LIMIT 1000")?;
    let rows = statement.query_map([], |row| Ok(Deletion { account: AccountId(row.get(0)?), seq: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that nothing is left of an account.
pub(crate) fn delete(tx: &BatchTx<'_>, account: AccountId) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM deletion WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}

/// Gives up at most `limit` blobs that an account left behind, and returns how many that were.
///
/// A blob is given up by making it one that was temporary for long: the next collection removes it, with its bytes unless
/// another account has the blob, too.
pub(crate) fn give_blobs_up(tx: &BatchTx<'_>, account: AccountId, limit: usize) -> Result<usize, StoreError> {
    let sql = "UPDATE blob SET temporary = 1, created_at = 0, takedown_ref = NULL WHERE account = ?1 AND cid IN
               (SELECT cid FROM blob WHERE account = ?1 AND (created_at <> 0 OR temporary = 0) LIMIT ?2)";
    Ok(tx.prepare_cached(sql)?.execute(params![account.0, limit as i64])?)
}
