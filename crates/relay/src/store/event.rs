//! The firehose's events, stored as the bytes that subscribers get.

use bytes::Bytes;
use common::cbor::Writer;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{AccountId, StoreError, meta, row};

/// An event of the firehose.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) seq: i64,
    pub(crate) account: AccountId,
    pub(crate) time_millis: i64,
    /// Header and body, DAG-CBOR.
    pub(crate) frame: Bytes,
}

/// A frame that lacks only its `seq`, which the writer gives in order; all else was encoded when the commit was prepared.
#[derive(Clone, Debug)]
pub(crate) struct FrameParts {
    /// What stands before the value of `seq`.
    pub(crate) head: Vec<u8>,
    /// What follows it.
    pub(crate) tail: Vec<u8>,
}

impl FrameParts {
    /// Returns the frame with its `seq`.
    pub(crate) fn with_seq(&self, seq: i64) -> Bytes {
        let mut frame = Vec::with_capacity(self.head.len() + 9 + self.tail.len());
        frame.extend_from_slice(&self.head);
        let mut frame = Writer::from_vec(frame);
        frame.integer(seq);
        frame.raw(&self.tail);
        frame.into_vec().into()
    }
}

pub(crate) fn insert(conn: &Connection, event: &Event) -> Result<(), StoreError> {
    conn.prepare_cached("INSERT INTO event (seq, account, time, frame) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        event.seq,
        event.account.0,
        event.time_millis,
        &*event.frame
    ])?;
    Ok(())
}

/// Returns the highest `seq` that was stored, or zero: pruning may have left none.
pub(crate) fn last_seq(conn: &Connection) -> Result<i64, StoreError> {
    let stored: Option<i64> = conn.query_row("SELECT max(seq) FROM event", [], |row| row.get(0))?;
    Ok(stored.unwrap_or(0).max(pruned_through(conn)?))
}

/// Returns events after `cursor` and up to `until`, in order, until their frames exceed `max_bytes` (at least one).
pub(crate) fn list_after(conn: &Connection, cursor: i64, until: i64, max_bytes: usize) -> Result<Vec<Event>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT seq, account, time, frame FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")?;
    let mut rows = statement.query(params![cursor, until])?;
    let mut events = Vec::new();
    let mut bytes = 0;
    while bytes < max_bytes
        && let Some(row) = rows.next()?
    {
        let frame = Bytes::copy_from_slice(row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?);
        bytes += frame.len();
        events.push(Event { seq: row.get(0)?, account: AccountId(row.get(1)?), time_millis: row.get(2)?, frame });
    }
    Ok(events)
}

/// Name of the mark in `meta` up to which events were pruned.
const PRUNED_THROUGH: &str = "events_pruned_through";

/// Tells from which `seq` a replay must begin when events after `cursor` are gone, or older than the window that begins at
/// `window_begins_millis`; `None` when the replay can begin at the cursor.
pub(crate) fn replay_begins(conn: &Connection, cursor: i64, window_begins_millis: i64) -> Result<Option<i64>, StoreError> {
    let pruned_through = pruned_through(conn)?;
    let sql = "SELECT time FROM event WHERE seq > ?1 ORDER BY seq LIMIT 1";
    let next: Option<i64> = conn.prepare_cached(sql)?.query_row([cursor], |row| row.get(0)).optional()?;
    if cursor >= pruned_through && next.is_none_or(|time| time >= window_begins_millis) {
        return Ok(None);
    }
    Ok(Some(pruned_through.max(seq_before(conn, window_begins_millis)?.unwrap_or(cursor)).max(cursor)))
}

/// Counts the events after `cursor`, up to `most`, and returns when the first of them came to be.
pub(crate) fn after(conn: &Connection, cursor: i64, most: i64) -> Result<(i64, Option<i64>), StoreError> {
    let sql = "SELECT count(*), min(time) FROM (SELECT time FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2)";
    Ok(conn.prepare_cached(sql)?.query_row([cursor, most], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

fn pruned_through(conn: &Connection) -> Result<i64, StoreError> {
    let mark = meta::find(conn, PRUNED_THROUGH)?;
    let mark =
        mark.map(|mark| mark.try_into().map_err(|_| row::corrupt("meta", PRUNED_THROUGH, &"not 8 bytes"))).transpose()?;
    Ok(mark.map_or(0, i64::from_be_bytes))
}

/// Returns the last `seq` before the events that happened at or after `time_millis`.
///
/// Times follow `seq` but for steps of the clock, so a binary search over the primary key finds it without an index on time.
pub(crate) fn seq_before(conn: &Connection, time_millis: i64) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT min(seq), max(seq) FROM event";
    let (Some(first), Some(last)) =
        conn.query_row(sql, [], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?
    else {
        return Ok(None);
    };
    let mut statement = conn.prepare_cached("SELECT seq, time FROM event WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    // Invariant: what is before `low` is older than `time_millis`, what is at or after `high` is not, or does not exist.
    let (mut low, mut high): (i64, i64) = (first, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> = statement.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((seq, time)) if time < time_millis => low = seq + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(Some(low - 1))
}

/// Looks through at most `limit` events after `after` and before `until`, and returns the `seq` of those of the account, and of
/// the last one that was looked at; `None` when there are no more.
pub(crate) fn list_of_account(
    conn: &Connection,
    account: AccountId,
    after: i64,
    until: i64,
    limit: usize,
) -> Result<Option<(Vec<i64>, i64)>, StoreError> {
    let sql = "SELECT seq, account FROM event WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, until, limit as i64])?;
    let (mut found, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        last = Some(seq);
        if row.get::<_, i64>(1)? == account.0 {
            found.push(seq);
        }
    }
    Ok(last.map(|last| (found, last)))
}

/// Deletes events, and returns how many that were.
pub(crate) fn delete_some(conn: &Connection, seqs: &[i64]) -> Result<usize, StoreError> {
    let mut statement = conn.prepare_cached("DELETE FROM event WHERE seq = ?1")?;
    let mut deleted = 0;
    for seq in seqs {
        deleted += statement.execute([seq])?;
    }
    Ok(deleted)
}

/// Deletes at most `limit` of the oldest events up to `up_to_seq`, and returns how many that were.
pub(crate) fn prune(conn: &Connection, up_to_seq: i64, limit: usize) -> Result<usize, StoreError> {
    let sql = "SELECT max(seq) FROM (SELECT seq FROM event WHERE seq <= ?1 ORDER BY seq LIMIT ?2)";
    let last: Option<i64> = conn.prepare_cached(sql)?.query_row(params![up_to_seq, limit as i64], |row| row.get(0))?;
    let Some(last) = last else { return Ok(0) };
    let pruned = conn.prepare_cached("DELETE FROM event WHERE seq <= ?1")?.execute([last])?;
    meta::set(conn, PRUNED_THROUGH, &last.to_be_bytes())?;
    Ok(pruned)
}
