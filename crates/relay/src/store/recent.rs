//! The last records of a repo, for reads that must not wait for the network to have seen them.
//!
//! There is no index by rev: every write would pay for it. Posts have keys that sort by time, so the last ones are the end of
//! their collection.

use common::{Cid, Codec, Tid};
use rusqlite::{Connection, params};

use super::row::{self, rev_value};
use super::{AccountId, StoreError};

/// How many records are looked at for an old one.
const SAMPLE: i64 = 1000;

/// A record and the commit that wrote it.
#[derive(Clone, Debug)]
pub(crate) struct RecentRecord {
    pub(crate) path: String,
    pub(crate) cid: Cid,
    pub(crate) rev: Tid,
    pub(crate) block: Vec<u8>,
}

/// Returns the `limit` records of a collection whose keys sort last, in that order, without those that were taken down.
pub(crate) fn last_of(
    conn: &Connection,
    account: AccountId,
    collection: &str,
    limit: usize,
) -> Result<Vec<RecentRecord>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT path, cid, rev, block FROM record
         WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND path > ?2 AND path < ?3 AND takedown_ref IS NULL
         ORDER BY path DESC LIMIT ?4",
    )?;
    // '0' follows '/': the range holds what begins with `collection/`.
    let mut rows = statement.query(params![account.0, format!("{collection}/"), format!("{collection}0"), limit as i64])?;
    let mut found = Vec::with_capacity(limit);
    while let Some(row) = rows.next()? {
        found.push(RecentRecord {
            path: row.get("path")?,
            cid: row::cid(row, "record", "cid", Codec::DagCbor)?,
            rev: row::rev(row, "record", "rev")?,
            block: row.get("block")?,
        });
    }
    Ok(found)
}

/// Whether one of the first records of a repo was written by `rev` or before. In a repo that was just imported there is none.
pub(crate) fn has_written_by(conn: &Connection, account: AccountId, rev: Tid) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM (SELECT rev FROM record
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) LIMIT ?2) WHERE rev <= ?3 LIMIT 1";
    Ok(conn.prepare_cached(sql)?.exists(params![account.0, SAMPLE, rev_value(rev)])?)
}
