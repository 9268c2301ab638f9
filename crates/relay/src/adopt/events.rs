//! The old server's last events, for consumers that are behind: they go on from their cursor as if nothing had happened.

use bytes::Bytes;
use common::cbor::{self, Writer};
use common::{Datetime, Did, Value};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::AdoptError;
use crate::store::event::{self, Event, FrameParts};
use crate::store::{AccountId, BatchTx, account};

/// Events that are stored in one transaction.
const AT_A_TIME: i64 = 500;

/// Returns the last `seq` that the old server gave.
pub(super) fn last_seq(conn: &Connection) -> rusqlite::Result<i64> {
    let stored: Option<i64> = conn.query_row("SELECT max(seq) FROM repo_seq", [], |row| row.get(0))?;
    // The last ones may have been deleted, with their account.
    let given = conn.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'repo_seq'", [], |row| row.get(0)).optional()?;
    Ok(stored.unwrap_or(0).max(given.unwrap_or(0)))
}

/// Returns the first event that is kept, of those since `begins_millis`, and how many there are.
pub(super) fn kept(conn: &Connection, begins_millis: i64) -> rusqlite::Result<(Option<i64>, u64)> {
    let sql = "SELECT min(seq), count(*) FROM repo_seq WHERE sequencedAt >= ?1 AND invalidated = 0";
    conn.query_row(sql, [Datetime::from_millis(begins_millis).as_str()], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))
}

/// Stores the next events after `after`; returns the `seq` to go on from, and how many were stored, or `None` at the end.
pub(super) fn store_some(tx: &BatchTx<'_>, conn: &Connection, after: i64) -> Result<Option<(i64, u64)>, AdoptError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, did, eventType, event, sequencedAt FROM repo_seq WHERE seq > ?1 AND invalidated = 0 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, AT_A_TIME])?;
    let (mut last, mut stored) = (None, 0);
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get("seq")?;
        last = Some(seq);
        let (did, kind, time): (String, String, String) = (row.get("did")?, row.get("eventType")?, row.get("sequencedAt")?);
        let body = row.get_ref("event")?.as_blob().map_err(rusqlite::Error::from)?;
        let owner = match did.parse::<Did>() {
            Ok(did) => account::find_by_did(tx, &did)?.map(|account| account.id),
            Err(_) => None,
        };
        // Of an account that is not here only that it is gone is told.
        let (header, account) = match (kind.as_str(), owner) {
            ("append", Some(owner)) => ("#commit", owner),
            ("sync", Some(owner)) => ("#sync", owner),
            ("identity", owner) => ("#identity", owner.unwrap_or(AccountId(0))),
            ("account", owner) => ("#account", owner.unwrap_or(AccountId(0))),
            _ => continue,
        };
        let Some(frame) = frame(header, seq, &time, body) else { continue };
        let time_millis = time.parse::<Datetime>().map_or_else(|_| tx.now_millis(), |time| time.millis());
        let parts = FrameParts::whole(&frame);
        event::insert(tx, &Event { seq, account, time_millis, frame }, &parts)?;
        stored += 1;
    }
    Ok(last.map(|last| (last, stored)))
}

/// Makes a frame of what the old server stored of an event: its body without `seq` and `time`. `None` when it cannot be read.
fn frame(header: &str, seq: i64, time: &str, body: &[u8]) -> Option<Bytes> {
    let Ok(Value::Map(mut map)) = cbor::decode(body) else { return None };
    map.insert("seq", Value::Integer(seq));
    map.insert("time", Value::String(time.to_owned()));
    let mut frame = Writer::with_capacity(body.len() + 64);
    frame.map(2);
    frame.text("t");
    frame.text(header);
    frame.text("op");
    frame.integer(1);
    frame.raw(&cbor::encode(&Value::Map(map)));
    Some(frame.into_vec().into())
}
