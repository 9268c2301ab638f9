//! The head of each repo, and its tree nodes.

use common::{Cid, Codec, Tid};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{self, rev_value};
use super::{AccountId, RepoId, StoreError};

/// The last durable state of a repo.
#[derive(Clone, Debug)]
pub(crate) struct RepoRow {
    pub(crate) head: Cid,
    pub(crate) rev: Tid,
    /// Root of the tree.
    pub(crate) data: Cid,
    pub(crate) commit_block: Vec<u8>,
    /// See [`crate::repo::fresh`].
    pub(crate) fresh_nodes: Vec<u8>,
}

pub(crate) fn find(conn: &Connection, repo: AccountId) -> Result<Option<RepoRow>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT head, rev, data, commit_block, fresh_nodes FROM repo WHERE account = ?1")?;
    let mut rows = statement.query([repo.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(RepoRow {
        head: row::cid(row, "repo", "head", Codec::DagCbor)?,
        rev: row::rev(row, "repo", "rev")?,
        data: row::cid(row, "repo", "data", Codec::DagCbor)?,
        commit_block: row.get("commit_block")?,
        fresh_nodes: row.get("fresh_nodes")?,
    }))
}

/// Returns the number under which an account has its repo; `None` when there is no such account.
pub(crate) fn number(conn: &Connection, account: AccountId) -> Result<Option<RepoId>, StoreError> {
    let sql = "SELECT repo FROM account WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([account.0], |row| row.get(0).map(RepoId)).optional()?)
}

/// Returns head and rev alone.
pub(crate) fn find_head(conn: &Connection, repo: AccountId) -> Result<Option<(Cid, Tid)>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT head, rev FROM repo WHERE account = ?1")?;
    let mut rows = statement.query([repo.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((row::cid(row, "repo", "head", Codec::DagCbor)?, row::rev(row, "repo", "rev")?)))
}

pub(crate) fn insert(conn: &Connection, repo: AccountId, new: &RepoRow) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO repo (account, head, rev, data, commit_block, fresh_nodes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        repo.0,
        new.head.digest(),
        rev_value(new.rev),
        new.data.digest(),
        new.commit_block,
        new.fresh_nodes
    ])?;
    Ok(())
}

/// Stores the head of a repo, whatever it was before.
pub(crate) fn put(conn: &Connection, repo: AccountId, row: &RepoRow) -> Result<(), StoreError> {
    conn.execute("DELETE FROM repo WHERE account = ?1", [repo.0])?;
    insert(conn, repo, row)
}

/// Moves the repo of an active account from `expected` to its next commit; `false`, and no change, when the repo is elsewhere,
/// or the account is not active (any more).
///
/// A commit is prepared on what was true before it came to the writer. That the account is still active is looked at here, so
/// that no commit follows the event that tells the network otherwise.
pub(crate) fn advance(conn: &Connection, repo: AccountId, expected: &Cid, next: &RepoRow) -> Result<bool, StoreError> {
    let sql = "UPDATE repo SET head = ?3, rev = ?4, data = ?5, commit_block = ?6, fresh_nodes = ?7
         WHERE account = ?1 AND head = ?2 AND EXISTS (SELECT 1 FROM account WHERE id = ?1
           AND takedown_ref IS NULL AND suspended_at IS NULL AND deactivated_at IS NULL)";
    move_head(conn, sql, repo, expected, next)
}

/// Moves a repo as [`advance`] does, for one that was imported: its account may be deactivated, as it is while it moves here.
pub(crate) fn replace(conn: &Connection, repo: AccountId, expected: &Cid, next: &RepoRow) -> Result<bool, StoreError> {
    let sql = "UPDATE repo SET head = ?3, rev = ?4, data = ?5, commit_block = ?6, fresh_nodes = ?7
         WHERE account = ?1 AND head = ?2 AND EXISTS (SELECT 1 FROM account WHERE id = ?1
           AND takedown_ref IS NULL AND suspended_at IS NULL)";
    move_head(conn, sql, repo, expected, next)
}

fn move_head(conn: &Connection, sql: &str, repo: AccountId, expected: &Cid, next: &RepoRow) -> Result<bool, StoreError> {
    let changed = conn.prepare_cached(sql)?.execute(params![
        repo.0,
        expected.digest(),
        next.head.digest(),
        rev_value(next.rev),
        next.data.digest(),
        next.commit_block,
        next.fresh_nodes,
    ])?;
    Ok(changed == 1)
}

/// Returns the block of a tree node that is not fresh.
pub(crate) fn find_node(conn: &Connection, account: AccountId, cid: &Cid) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT block FROM node WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND cid = ?2";
    Ok(conn.prepare_cached(sql)?.query_row(params![account.0, cid.digest()], |row| row.get(0)).optional()?)
}

pub(crate) fn insert_node(conn: &Connection, repo: RepoId, cid: &Cid, rev: Tid, block: &[u8]) -> Result<(), StoreError> {
    // A node may come back while an older commit's spill of it is still there: same name, same bytes.
    conn.prepare_cached("INSERT OR REPLACE INTO node (repo, cid, rev, block) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        repo.0,
        cid.digest(),
        rev_value(rev),
        block
    ])?;
    Ok(())
}

pub(crate) fn delete_node(conn: &Connection, repo: RepoId, cid: &Cid) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM node WHERE repo = ?1 AND cid = ?2")?.execute(params![repo.0, cid.digest()])?;
    Ok(())
}

/// Returns how many tree nodes of a repo are stored, but for those that are fresh.
pub(crate) fn count_nodes(conn: &Connection, account: AccountId) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM node WHERE repo = (SELECT repo FROM account WHERE id = ?1)";
    Ok(conn.prepare_cached(sql)?.query_row([account.0], |row| row.get::<_, i64>(0))? as u64)
}

/// Lists the tree nodes of a repo, but for those that are fresh.
pub(crate) fn list_nodes(conn: &Connection, repo: RepoId) -> Result<Vec<Cid>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT cid FROM node WHERE repo = ?1")?;
    let mut rows = statement.query([repo.0])?;
    let mut cids = Vec::new();
    while let Some(row) = rows.next()? {
        cids.push(row::cid(row, "node", "cid", Codec::DagCbor)?);
    }
    Ok(cids)
}

/// Visits the nodes that commits after `since` made and that are not fresh, until `visit` returns `false`.
pub(crate) fn scan_nodes_since(
    conn: &Connection,
    account: AccountId,
    since: Tid,
    mut visit: impl FnMut(Cid, &[u8]) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT cid, block FROM node
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND rev > ?2",
    )?;
    let mut rows = statement.query(params![account.0, rev_value(since)])?;
    while let Some(row) = rows.next()? {
        let block = row.get_ref(1)?.as_blob().map_err(|err| row::corrupt("node", "block", &err))?;
        if !visit(row::cid(row, "node", "cid", Codec::DagCbor)?, block)? {
            break;
        }
    }
    Ok(())
}
