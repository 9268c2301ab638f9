//! Repo numbers that no account has (any more): what is stored under them is being imported, or is to be deleted bit by bit.
//!
//! A number comes from here and is never given out twice. An import draws one that stays here until the repo is whole and the
//! account has it, so that whatever becomes of the import, its rows are found; the number that the account had takes its place.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{AccountId, BatchTx, RepoId, StoreError, blob};

/// Rows that are deleted between two looks at what the slice took.
const STEP: usize = 64;

/// Draws a number for a new account.
pub(crate) fn draw(conn: &Connection) -> Result<RepoId, StoreError> {
    conn.prepare_cached("INSERT INTO unused_repo (account) VALUES (0)")?.execute([])?;
    let number = RepoId(conn.last_insert_rowid());
    delete(conn, number)?;
    Ok(number)
}

/// Draws a number for a repo of `account` that is not to be seen yet.
pub(crate) fn draw_for(tx: &BatchTx<'_>, account: AccountId) -> Result<RepoId, StoreError> {
    tx.prepare_cached("INSERT INTO unused_repo (account) VALUES (?1)")?.execute([account.0])?;
    Ok(RepoId(tx.last_insert_rowid()))
}

/// Notes that an account does not have `number` any more.
pub(crate) fn insert(tx: &BatchTx<'_>, number: RepoId, account: AccountId) -> Result<(), StoreError> {
    let sql = "INSERT INTO unused_repo (number, account) VALUES (?1, ?2)";
    tx.prepare_cached(sql)?.execute(params![number.0, account.0])?;
    Ok(())
}

/// Takes a number off the list: an account has it now, or nothing is stored under it.
pub(crate) fn delete(conn: &Connection, number: RepoId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM unused_repo WHERE number = ?1")?.execute([number.0])?;
    Ok(())
}

/// Whether `number` is on the list, of `account`.
pub(crate) fn is_of(conn: &Connection, number: RepoId, account: AccountId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM unused_repo WHERE number = ?1 AND account = ?2";
    Ok(conn.prepare_cached(sql)?.exists(params![number.0, account.0])?)
}

/// Lists numbers, oldest first.
pub(crate) fn list(conn: &Connection) -> Result<Vec<RepoId>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT number FROM unused_repo ORDER BY number LIMIT 1000")?;
    let rows = statement.query_map([], |row| row.get(0).map(RepoId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a slice of a sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) rows: usize,
    /// Whether nothing is left, and the number is off the list.
    pub(crate) done: bool,
}

/// Deletes rows under `number` for as long as `goes_on` says so, a few at a time, and at least a few.
pub(crate) fn sweep(tx: &BatchTx<'_>, number: RepoId, goes_on: impl Fn() -> bool) -> Result<Swept, StoreError> {
    let sql = "SELECT account, EXISTS (SELECT 1 FROM account WHERE repo = ?1) FROM unused_repo WHERE number = ?1";
    let listed =
        tx.prepare_cached(sql)?.query_row([number.0], |row| Ok((AccountId(row.get(0)?), row.get::<_, bool>(1)?))).optional()?;
    // What an account has is not swept, whatever the list says.
    let Some((account, false)) = listed else {
        delete(tx, number)?;
        return Ok(Swept { rows: 0, done: true });
    };
    let limit = params![number.0, STEP as i64];
    let mut rows = 0;
    // Each statement goes along a primary key.
    for sql in [
        "DELETE FROM record WHERE repo = ?1 AND path IN (SELECT path FROM record WHERE repo = ?1 LIMIT ?2)",
        "DELETE FROM node WHERE repo = ?1 AND cid IN (SELECT cid FROM node WHERE repo = ?1 LIMIT ?2)",
        "DELETE FROM backlink WHERE repo = ?1 AND (kind, subject, rkey) IN
           (SELECT kind, subject, rkey FROM backlink WHERE repo = ?1 LIMIT ?2)",
    ] {
        loop {
            let deleted = tx.prepare_cached(sql)?.execute(limit)?;
            rows += deleted;
            if deleted < STEP {
                break;
            }
            if !goes_on() {
                return Ok(Swept { rows, done: false });
            }
        }
    }
    loop {
        let deleted = blob::sweep_references(tx, account, number, STEP)?;
        rows += deleted;
        if deleted < STEP {
            break;
        }
        if !goes_on() {
            return Ok(Swept { rows, done: false });
        }
    }
    delete(tx, number)?;
    Ok(Swept { rows, done: true })
}
