//! Records, in the order of their repo's tree.

use common::{Cid, Codec, Tid};
use rusqlite::{Connection, params};

use super::backlink::Backlink;
use super::row::{self, rev_value};
use super::{AccountId, RepoId, StoreError, backlink, expect_one_row};

/// A record as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct RecordRow {
    pub(crate) cid: Cid,
    pub(crate) block: Vec<u8>,
    pub(crate) taken_down: bool,
}

pub(crate) fn insert(conn: &Connection, repo: RepoId, path: &str, cid: &Cid, rev: Tid, block: &[u8]) -> Result<(), StoreError> {
    insert_linked(conn, repo, path, cid, rev, block, Backlink::of_record(path, block).as_ref())
}

/// Inserts a record, of which it is known what it is of.
pub(crate) fn insert_linked(
    conn: &Connection,
    repo: RepoId,
    path: &str,
    cid: &Cid,
    rev: Tid,
    block: &[u8],
    link: Option<&Backlink>,
) -> Result<(), StoreError> {
    conn.prepare_cached("INSERT INTO record (repo, path, cid, rev, block) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        repo.0,
        path,
        cid.digest(),
        rev_value(rev),
        block
    ])?;
    link.map_or(Ok(()), |link| backlink::insert(conn, repo, path, link))
}

pub(crate) fn update(conn: &Connection, repo: RepoId, path: &str, cid: &Cid, rev: Tid, block: &[u8]) -> Result<(), StoreError> {
    backlink::forget(conn, repo, path)?;
    let sql = "UPDATE record SET cid = ?3, rev = ?4, block = ?5 WHERE repo = ?1 AND path = ?2";
    let changed = conn.prepare_cached(sql)?.execute(params![repo.0, path, cid.digest(), rev_value(rev), block])?;
    expect_one_row("record", changed)?;
    backlink::note(conn, repo, path, block)
}

pub(crate) fn delete(conn: &Connection, repo: RepoId, path: &str) -> Result<(), StoreError> {
    backlink::forget(conn, repo, path)?;
    let sql = "DELETE FROM record WHERE repo = ?1 AND path = ?2";
    expect_one_row("record", conn.prepare_cached(sql)?.execute(params![repo.0, path])?)
}

pub(crate) fn find(conn: &Connection, account: AccountId, path: &str) -> Result<Option<RecordRow>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT cid, block, takedown_ref FROM record
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path = ?2",
    )?;
    let mut rows = statement.query(params![account.0, path])?;
    rows.next()?.map(from_row).transpose()
}

fn from_row(row: &rusqlite::Row<'_>) -> Result<RecordRow, StoreError> {
    Ok(RecordRow {
        cid: row::cid(row, "record", "cid", Codec::DagCbor)?,
        block: row.get("block")?,
        taken_down: row.get_ref("takedown_ref")? != rusqlite::types::ValueRef::Null,
    })
}

/// Returns the CID of a record, and why it was taken down: the moderator's reference, which may be empty.
pub(crate) fn takedown_ref(
    conn: &Connection,
    account: AccountId,
    path: &str,
) -> Result<Option<(Cid, Option<String>)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT cid, takedown_ref FROM record
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path = ?2",
    )?;
    let mut rows = statement.query(params![account.0, path])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((row::cid(row, "record", "cid", Codec::DagCbor)?, row.get("takedown_ref")?)))
}

/// Takes a record down, or puts it back; `false` when there is no such record.
pub(crate) fn set_takedown(conn: &Connection, account: AccountId, path: &str, to: Option<&str>) -> Result<bool, StoreError> {
    let sql = "UPDATE record SET takedown_ref = ?3 WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path = ?2";
    Ok(conn.prepare_cached(sql)?.execute(params![account.0, path, to])? == 1)
}

/// Takes those records of the repo `to` down whose path is one of a record of the repo `from` that is taken down.
pub(crate) fn carry_takedowns(conn: &Connection, from: RepoId, to: RepoId) -> Result<(), StoreError> {
    let sql = "UPDATE record SET takedown_ref = old.takedown_ref
        FROM record AS old INDEXED BY record_takedown
        WHERE old.repo = ?1 AND old.takedown_ref IS NOT NULL AND record.repo = ?2 AND record.path = old.path";
    conn.prepare_cached(sql)?.execute(params![from.0, to.0])?;
    Ok(())
}

/// Where a page of [`list`] begins and which way it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    /// The rkey that the last page ended with.
    pub(crate) cursor: Option<&'a str>,
    pub(crate) limit: usize,
    /// Oldest rkey first.
    pub(crate) ascending: bool,
}

/// Visits a page of a collection's records that are not taken down: path, CID and block of each.
pub(crate) fn list(
    conn: &Connection,
    account: AccountId,
    collection: &str,
    page: Page<'_>,
    mut visit: impl FnMut(&str, Cid, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // '0' follows '/': the range holds what begins with `collection/`.
    let (first, end) = (format!("{collection}/"), format!("{collection}0"));
    let cursor = page.cursor.map(|rkey| format!("{collection}/{rkey}"));
    let (sql, low, high) = if page.ascending {
        (
            "SELECT path, cid, block FROM record
             WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path > ?2 AND path < ?3 AND takedown_ref IS NULL
             ORDER BY path LIMIT ?4",
            cursor.unwrap_or(first),
            end,
        )
    } else {
        (
            "SELECT path, cid, block FROM record
             WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path > ?2 AND path < ?3 AND takedown_ref IS NULL
             ORDER BY path DESC LIMIT ?4",
            first,
            cursor.unwrap_or(end),
        )
    };
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![account.0, low, high, page.limit as i64])?;
    while let Some(row) = rows.next()? {
        let path = row.get_ref(0)?.as_str().map_err(|err| row::corrupt("record", "path", &err))?;
        let block = row.get_ref(2)?.as_blob().map_err(|err| row::corrupt("record", "block", &err))?;
        visit(path, row::cid(row, "record", "cid", Codec::DagCbor)?, block)?;
    }
    Ok(())
}

/// Returns the collections of a repo, in order, by seeking from each to the next.
pub(crate) fn collections(conn: &Connection, account: AccountId) -> Result<Vec<String>, StoreError> {
    // '0' follows '/': what is greater than `collection0` is of another collection.
    let sql = "WITH RECURSIVE own (repo) AS (SELECT repo FROM account WHERE id = ?1),
         found (path) AS (
           SELECT min(path) FROM record WHERE repo = (SELECT repo FROM own)
           UNION ALL SELECT (SELECT min(path) FROM record WHERE repo = (SELECT repo FROM own)
             AND record.path > substr(found.path, 1, instr(found.path, '/') - 1) || '0') FROM found WHERE found.path IS NOT NULL)
         SELECT substr(path, 1, instr(path, '/') - 1) FROM found WHERE path IS NOT NULL";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([account.0], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a repo has a record in `collection`.
pub(crate) fn has_collection(conn: &Connection, account: AccountId, collection: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM record
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path > ?2 AND path < ?3 LIMIT 1";
    let range = params![account.0, format!("{collection}/"), format!("{collection}0")];
    Ok(conn.prepare_cached(sql)?.exists(range)?)
}

/// Visits all records of a repo in order, or those that a commit after `since` wrote, until `visit` returns `false`.
pub(crate) fn scan(
    conn: &Connection,
    account: AccountId,
    since: Option<Tid>,
    mut visit: impl FnMut(&str, Cid, &[u8]) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT path, cid, block FROM record
            WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND rev > ?2 ORDER BY path",
    )?;
    let mut rows = statement.query(params![account.0, since.map_or(-1, rev_value)])?;
    while let Some(row) = rows.next()? {
        let path = row.get_ref(0)?.as_str().map_err(|err| row::corrupt("record", "path", &err))?;
        let block = row.get_ref(2)?.as_blob().map_err(|err| row::corrupt("record", "block", &err))?;
        if !visit(path, row::cid(row, "record", "cid", Codec::DagCbor)?, block)? {
            break;
        }
    }
    Ok(())
}

/// Returns at most `limit` records after the path `after`, in order.
pub(crate) fn page_after(
    conn: &Connection,
    account: AccountId,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, Cid, Vec<u8>)>, StoreError> {
    let sql = "SELECT path, cid, block FROM record
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path > ?2 ORDER BY path LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![account.0, after, limit as i64])?;
    let mut page = Vec::with_capacity(limit);
    while let Some(row) = rows.next()? {
        page.push((row.get(0)?, row::cid(row, "record", "cid", Codec::DagCbor)?, row.get(2)?));
    }
    Ok(page)
}

/// Returns path and CID of at most `limit` records after the path `after`, in order.
pub(crate) fn paths_after(
    conn: &Connection,
    account: AccountId,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, Cid)>, StoreError> {
    let sql = "SELECT path, cid FROM record
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path > ?2 ORDER BY path LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![account.0, after, limit as i64])?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push((row.get(0)?, row::cid(row, "record", "cid", Codec::DagCbor)?));
    }
    Ok(page)
}

/// Returns path, CID and rev of at most `limit` records after the path `after`, in order.
pub(crate) fn versions_after(
    conn: &Connection,
    account: AccountId,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, Cid, Tid)>, StoreError> {
    let sql = "SELECT path, cid, rev FROM record
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path > ?2 ORDER BY path LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![account.0, after, limit as i64])?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push((row.get(0)?, row::cid(row, "record", "cid", Codec::DagCbor)?, row::rev(row, "record", "rev")?));
    }
    Ok(page)
}
