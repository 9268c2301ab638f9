//! What is known of blobs. Their bytes lie in the blob store.
//!
//! A blob is temporary until a record refers to it. It is one row for each account that has it, over one file.

use common::{Cid, Codec, Tid};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::row::{self, rev_value};
use super::{AccountId, BatchTx, RepoId, StoreError};

/// A blob of an account.
#[derive(Clone, Debug)]
pub(crate) struct BlobRow {
    pub(crate) cid: Cid,
    pub(crate) mime_type: String,
    pub(crate) size: u64,
    pub(crate) temporary: bool,
    pub(crate) taken_down: bool,
}

/// A blob that was uploaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewBlob<'a> {
    pub(crate) cid: Cid,
    pub(crate) mime_type: &'a str,
    pub(crate) size: u64,
}

/// How a record names a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) cid: Cid,
    pub(crate) mime_type: String,
    pub(crate) size: u64,
}

/// Whether a record refers to a row of `blob`: of the account's repo, of one that is being imported, or of one that was replaced
/// and is not yet swept.
pub(crate) const IS_REFERRED_TO: &str = "EXISTS (SELECT 1 FROM blob_ref WHERE cid = blob.cid AND repo IN (
  SELECT repo FROM account WHERE id = blob.account UNION ALL SELECT number FROM unused_repo WHERE account = blob.account))";

pub(crate) fn find(conn: &Connection, account: AccountId, cid: &Cid) -> Result<Option<BlobRow>, StoreError> {
    let sql = "SELECT cid, mime_type, size, temporary, takedown_ref FROM blob WHERE account = ?1 AND cid = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![account.0, cid.digest()])?;
    rows.next()?.map(from_row).transpose()
}

fn from_row(row: &Row<'_>) -> Result<BlobRow, StoreError> {
    Ok(BlobRow {
        cid: row::cid(row, "blob", "cid", Codec::Raw)?,
        mime_type: row.get("mime_type")?,
        size: row.get::<_, i64>("size")? as u64,
        temporary: row.get("temporary")?,
        taken_down: row.get_ref("takedown_ref")? != rusqlite::types::ValueRef::Null,
    })
}

/// Adds an uploaded blob, which is permanent at once where a record refers to it already, and returns it as it is now. One
/// that is there keeps its state and counts as uploaded now; while it is temporary it also gets the new media type.
pub(crate) fn upsert(tx: &BatchTx<'_>, account: AccountId, new: &NewBlob<'_>) -> Result<BlobRow, StoreError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO blob (account, cid, mime_type, size, created_at, temporary)
         VALUES (?1, ?2, ?3, ?4, ?5, NOT EXISTS (SELECT 1 FROM blob_ref WHERE cid = ?2 AND repo IN (
           SELECT repo FROM account WHERE id = ?1 UNION ALL SELECT number FROM unused_repo WHERE account = ?1)))
         ON CONFLICT (account, cid) DO UPDATE SET
           created_at = excluded.created_at,
           mime_type = iif(temporary = 1, excluded.mime_type, mime_type),
           temporary = min(temporary, excluded.temporary)
         RETURNING cid, mime_type, size, temporary, takedown_ref",
    )?;
    let mut rows = statement.query(params![account.0, new.cid.digest(), new.mime_type, new.size as i64, tx.now_millis()])?;
    let row = rows.next()?.ok_or(StoreError::RowCount { table: "blob", changed: 0 })?;
    let stored = from_row(row)?;
    // To its end, which is when SQLite considers the insertion done.
    while rows.next()?.is_some() {}
    Ok(stored)
}

/// Notes that the record at `path` refers to a blob, which is permanent from now on; `false` when there is no such blob, or it
/// was taken down.
pub(crate) fn refer(
    conn: &Connection,
    account: AccountId,
    repo: RepoId,
    path: &str,
    cid: &Cid,
    rev: Tid,
) -> Result<bool, StoreError> {
    let sql = "UPDATE blob SET temporary = 0 WHERE account = ?1 AND cid = ?2 AND takedown_ref IS NULL";
    if conn.prepare_cached(sql)?.execute(params![account.0, cid.digest()])? == 0 {
        return Ok(false);
    }
    note(conn, repo, path, cid, rev)?;
    Ok(true)
}

/// Notes that the record at `path` refers to a blob, be it here or not; it is permanent as soon as it is.
pub(crate) fn refer_ahead(
    conn: &Connection,
    account: AccountId,
    repo: RepoId,
    path: &str,
    cid: &Cid,
    rev: Tid,
) -> Result<(), StoreError> {
    note(conn, repo, path, cid, rev)?;
    let sql = "UPDATE blob SET temporary = 0 WHERE account = ?1 AND cid = ?2 AND temporary = 1";
    conn.prepare_cached(sql)?.execute(params![account.0, cid.digest()])?;
    Ok(())
}

fn note(conn: &Connection, repo: RepoId, path: &str, cid: &Cid, rev: Tid) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO blob_ref (repo, path, cid, rev) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?.execute(params![repo.0, path, cid.digest(), rev_value(rev)])?;
    Ok(())
}

/// Returns the blobs that the record at `path` refers to, as noted.
pub(crate) fn references_of(conn: &Connection, repo: RepoId, path: &str) -> Result<Vec<Cid>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT cid FROM blob_ref WHERE repo = ?1 AND path = ?2")?;
    let mut rows = statement.query(params![repo.0, path])?;
    let mut cids = Vec::new();
    while let Some(row) = rows.next()? {
        cids.push(row::cid(row, "blob_ref", "cid", Codec::Raw)?);
    }
    Ok(cids)
}

/// Returns at most `limit` paths of records that refer to a blob.
pub(crate) fn paths_of(conn: &Connection, account: AccountId, cid: &Cid, limit: usize) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT path FROM blob_ref
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND cid = ?2 ORDER BY path LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![account.0, cid.digest(), limit as i64], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets that the record at `path` refers to a blob. [`settle`] is to follow.
pub(crate) fn drop_reference(tx: &BatchTx<'_>, repo: RepoId, path: &str, cid: &Cid) -> Result<(), StoreError> {
    let sql = "DELETE FROM blob_ref WHERE repo = ?1 AND path = ?2 AND cid = ?3";
    tx.prepare_cached(sql)?.execute(params![repo.0, path, cid.digest()])?;
    Ok(())
}

/// Forgets references of records that are not there, and makes each blob of an account temporary or not as the references say.
pub(crate) fn settle(tx: &BatchTx<'_>, account: AccountId, repo: RepoId) -> Result<(), StoreError> {
    tx.prepare_cached(
        "DELETE FROM blob_ref WHERE repo = ?1
         AND NOT EXISTS (SELECT 1 FROM record WHERE repo = blob_ref.repo AND path = blob_ref.path)",
    )?
    .execute([repo.0])?;
    let sql = format!(
        "UPDATE blob SET temporary = 1 - temporary, created_at = ?2 WHERE account = ?1 AND temporary = {IS_REFERRED_TO}"
    );
    tx.prepare_cached(&sql)?.execute(params![account.0, tx.now_millis()])?;
    Ok(())
}

/// Lists blobs that records refer to and that are not here, by CID after `cursor`, each with one of the records.
pub(crate) fn list_missing(
    conn: &Connection,
    account: AccountId,
    cursor: Option<&Cid>,
    limit: usize,
) -> Result<Vec<(Cid, String)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT cid, min(path) AS path FROM blob_ref AS ref
         WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND cid > ?2
         AND NOT EXISTS (SELECT 1 FROM blob WHERE account = ?1 AND cid = ref.cid)
         GROUP BY cid ORDER BY cid LIMIT ?3",
    )?;
    let after: &[u8] = cursor.map_or(&[], |cid| cid.digest());
    let mut rows = statement.query(params![account.0, after, limit as i64])?;
    let mut missing = Vec::new();
    while let Some(row) = rows.next()? {
        missing.push((row::cid(row, "blob_ref", "cid", Codec::Raw)?, row.get("path")?));
    }
    Ok(missing)
}

/// Counts the blobs that records refer to and that are not here.
pub(crate) fn count_missing(conn: &Connection, account: AccountId) -> Result<u64, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT count(DISTINCT cid) FROM blob_ref AS ref WHERE repo = (SELECT repo FROM account WHERE id = ?1)
         AND NOT EXISTS (SELECT 1 FROM blob WHERE account = ?1 AND cid = ref.cid)",
    )?;
    Ok(statement.query_row([account.0], |row| row.get::<_, i64>(0))? as u64)
}

/// Forgets what the record at `path` referred to. A blob to which nothing refers any more is temporary again, from now on.
pub(crate) fn drop_references(tx: &BatchTx<'_>, account: AccountId, repo: RepoId, path: &str) -> Result<(), StoreError> {
    let dropped = references_of(tx, repo, path)?;
    if dropped.is_empty() {
        return Ok(());
    }
    tx.prepare_cached("DELETE FROM blob_ref WHERE repo = ?1 AND path = ?2")?.execute(params![repo.0, path])?;
    for cid in dropped {
        let_go(tx, account, &cid)?;
    }
    Ok(())
}

/// Makes a blob temporary from now on, if no record of its account refers to it any more.
fn let_go(tx: &BatchTx<'_>, account: AccountId, cid: &Cid) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE blob SET temporary = 1, created_at = ?3 WHERE account = ?1 AND cid = ?2 AND temporary = 0 AND NOT {IS_REFERRED_TO}"
    );
    tx.prepare_cached(&sql)?.execute(params![account.0, cid.digest(), tx.now_millis()])?;
    Ok(())
}

/// Forgets at most `limit` references under a number that is no (longer) an account's, and returns how many those were.
pub(super) fn sweep_references(tx: &BatchTx<'_>, account: AccountId, repo: RepoId, limit: usize) -> Result<usize, StoreError> {
    let sql = "DELETE FROM blob_ref WHERE repo = ?1 AND (path, cid) IN
               (SELECT path, cid FROM blob_ref WHERE repo = ?1 LIMIT ?2) RETURNING cid";
    let mut swept = Vec::new();
    {
        let mut statement = tx.prepare_cached(sql)?;
        let mut rows = statement.query(params![repo.0, limit as i64])?;
        while let Some(row) = rows.next()? {
            swept.push(row::cid(row, "blob_ref", "cid", Codec::Raw)?);
        }
    }
    for cid in &swept {
        let_go(tx, account, cid)?;
    }
    Ok(swept.len())
}

/// Lists the blobs that records refer to, by CID after `cursor`; with `since`, only those that a later commit referred to.
pub(crate) fn list(
    conn: &Connection,
    account: AccountId,
    since: Option<Tid>,
    cursor: Option<&Cid>,
    limit: usize,
) -> Result<Vec<Cid>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT cid FROM blob_ref WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND cid > ?2 AND rev > ?3
         ORDER BY cid LIMIT ?4",
    )?;
    let after: &[u8] = cursor.map_or(&[], |cid| cid.digest());
    let mut rows = statement.query(params![account.0, after, since.map_or(0, rev_value), limit as i64])?;
    let mut cids = Vec::new();
    while let Some(row) = rows.next()? {
        cids.push(row::cid(row, "blob_ref", "cid", Codec::Raw)?);
    }
    Ok(cids)
}

/// Lists the blobs of an account that are here, by CID after `cursor`.
pub(crate) fn list_stored(
    conn: &Connection,
    account: AccountId,
    cursor: Option<&Cid>,
    limit: usize,
) -> Result<Vec<BlobRow>, StoreError> {
    let sql = "SELECT cid, mime_type, size, temporary, takedown_ref FROM blob
               WHERE account = ?1 AND cid > ?2 AND takedown_ref IS NULL ORDER BY cid LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let after: &[u8] = cursor.map_or(&[], |cid| cid.digest());
    let mut rows = statement.query(params![account.0, after, limit as i64])?;
    let mut blobs = Vec::new();
    while let Some(row) = rows.next()? {
        blobs.push(from_row(row)?);
    }
    Ok(blobs)
}

/// Deletes the rows of at most `limit` blobs that were temporary since before `before_millis`, and returns their CIDs, some
/// perhaps more than once.
///
/// What was taken down keeps its row, which is what refuses it when it is uploaded again.
pub(crate) fn delete_expired(tx: &BatchTx<'_>, before_millis: i64, limit: usize) -> Result<Vec<Cid>, StoreError> {
    // A blob to which a record refers is not temporary. Should that ever be wrong, the reference decides.
    let sql = format!(
        "DELETE FROM blob WHERE (account, cid) IN
           (SELECT account, cid FROM blob WHERE temporary = 1 AND created_at < ?1 AND takedown_ref IS NULL
            AND NOT {IS_REFERRED_TO} LIMIT ?2)
         RETURNING cid"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(params![before_millis, limit as i64])?;
    let mut cids = Vec::new();
    while let Some(row) = rows.next()? {
        cids.push(row::cid(row, "blob", "cid", Codec::Raw)?);
    }
    Ok(cids)
}

/// Lists all blobs that any account has, with their sizes, by digest after `cursor`.
pub(crate) fn list_all(conn: &Connection, cursor: Option<&Cid>, limit: usize) -> Result<Vec<(Cid, u64)>, StoreError> {
    let sql = "SELECT cid, max(size) AS size FROM blob WHERE cid > ?1 GROUP BY cid ORDER BY cid LIMIT ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let after: &[u8] = cursor.map_or(&[], |cid| cid.digest());
    let mut rows = statement.query(params![after, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row::cid(row, "blob", "cid", Codec::Raw)?, row.get::<_, i64>("size")? as u64));
    }
    Ok(found)
}

/// Lists blobs that came after `since_millis`, or then and with a digest after `digest`: when, which, and how large.
pub(crate) fn list_since(
    conn: &Connection,
    since_millis: i64,
    digest: &[u8],
    limit: usize,
) -> Result<Vec<(i64, Cid, u64)>, StoreError> {
    let sql = "SELECT created_at, cid, max(size) AS size FROM blob INDEXED BY blob_created_at
         WHERE (created_at, cid) > (?1, ?2) GROUP BY created_at, cid ORDER BY created_at, cid LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![since_millis, digest, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let size = row.get::<_, i64>("size")? as u64;
        found.push((row.get("created_at")?, row::cid(row, "blob", "cid", Codec::Raw)?, size));
    }
    Ok(found)
}

/// What moderators decided about a blob.
#[derive(Clone, Debug)]
pub(crate) struct BlobStanding {
    /// Why it was taken down: the moderator's reference, which may be empty.
    pub(crate) takedown_ref: Option<String>,
}

pub(crate) fn standing(conn: &Connection, account: AccountId, cid: &Cid) -> Result<Option<BlobStanding>, StoreError> {
    let sql = "SELECT takedown_ref FROM blob WHERE account = ?1 AND cid = ?2";
    let from_row = |row: &Row<'_>| Ok(BlobStanding { takedown_ref: row.get("takedown_ref")? });
    Ok(conn.prepare_cached(sql)?.query_row(params![account.0, cid.digest()], from_row).optional()?)
}

/// Takes a blob of an account down, or puts it back; `false` when there is no such blob.
pub(crate) fn set_takedown(conn: &Connection, account: AccountId, cid: &Cid, to: Option<&str>) -> Result<bool, StoreError> {
    let sql = "UPDATE blob SET takedown_ref = ?3 WHERE account = ?1 AND cid = ?2";
    Ok(conn.prepare_cached(sql)?.execute(params![account.0, cid.digest(), to])? == 1)
}

/// Whether any account has the blob.
pub(crate) fn exists_anywhere(conn: &Connection, cid: &Cid) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM blob WHERE cid = ?1 LIMIT 1";
    Ok(conn.prepare_cached(sql)?.query_row([cid.digest()], |_| Ok(())).optional()?.is_some())
}

/// Returns those of `cids` that no account has.
pub(crate) fn without_account(conn: &Connection, cids: &[Cid]) -> Result<Vec<Cid>, StoreError> {
    let mut found = Vec::new();
    for cid in cids {
        if !exists_anywhere(conn, cid)? {
            found.push(*cid);
        }
    }
    Ok(found)
}
