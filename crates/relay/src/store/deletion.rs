//! What is left to be deleted of accounts that are gone.

use rusqlite::{Connection, params};

use super::{AccountId, BatchTx, StoreError};

/// An account that is gone, while rows of it are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deletion {
    pub(crate) account: AccountId,
    /// The event that announced it; those before it go.
    pub(crate) seq: i64,
}

/// What an account leaves behind, by table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftovers {
    Records,
    Nodes,
    Backlinks,
    BlobReferences,
    /// Blobs keep their rows until their bytes are collected.
    Blobs,
}

impl Leftovers {
    pub(crate) const ALL: [Self; 5] = [Self::Records, Self::Nodes, Self::Backlinks, Self::BlobReferences, Self::Blobs];
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

/// Deletes at most `limit` rows that an account left behind, and returns how many that were.
pub(crate) fn delete_leftovers(
    tx: &BatchTx<'_>,
    account: AccountId,
    what: Leftovers,
    limit: usize,
) -> Result<usize, StoreError> {
    // Each statement goes along a primary key. A blob is given up by making it one that was temporary for long: the next
    // collection removes it, with its bytes unless another account has the blob, too.
    let sql = match what {
        Leftovers::Records => {
            "DELETE FROM record WHERE repo = ?1 AND path IN (SELECT path FROM record WHERE repo = ?1 LIMIT ?2)"
        }
        Leftovers::Nodes => "DELETE FROM node WHERE repo = ?1 AND cid IN (SELECT cid FROM node WHERE repo = ?1 LIMIT ?2)",
        Leftovers::Backlinks => {
            "DELETE FROM backlink WHERE repo = ?1 AND (kind, subject, rkey) IN
               (SELECT kind, subject, rkey FROM backlink WHERE repo = ?1 LIMIT ?2)"
        }
        Leftovers::BlobReferences => {
            "DELETE FROM blob_ref WHERE account = ?1 AND (path, cid) IN
               (SELECT path, cid FROM blob_ref WHERE account = ?1 LIMIT ?2)"
        }
        Leftovers::Blobs => {
            "UPDATE blob SET temporary = 1, created_at = 0, takedown_ref = NULL WHERE account = ?1 AND cid IN
               (SELECT cid FROM blob WHERE account = ?1 AND (created_at <> 0 OR temporary = 0) LIMIT ?2)"
        }
    };
    Ok(tx.prepare_cached(sql)?.execute(params![account.0, limit as i64])?)
}
