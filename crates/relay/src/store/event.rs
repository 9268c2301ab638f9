//! The firehose's events, stored as the bytes that subscribers get.

use bytes::Bytes;
use common::cbor::Writer;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{AccountId, StoreError, meta, packed, row};

/// An event of the firehose.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) seq: i64,
    pub(crate) account: AccountId,
    pub(crate) time_millis: i64,
    /// Header and body, DAG-CBOR; empty when what is stored is damaged.
    pub(crate) frame: Bytes,
}

/// A frame that lacks only its `seq`, which the writer gives in order; all else was encoded when the commit was prepared.
#[derive(Clone, Debug)]
pub(crate) struct FrameParts {
    /// What stands before the value of `seq`.
    head: Vec<u8>,
    /// What follows it.
    tail: Vec<u8>,
    /// The tail as it is stored, where that is shorter.
    packed: Option<Vec<u8>>,
}

impl FrameParts {
    /// Takes what stands before the value of `seq`, and what follows it. Packs the latter: here, since the writer is one for all.
    pub(crate) fn new(head: Vec<u8>, tail: Vec<u8>) -> Self {
        let packed = packed::pack(&tail);
        Self { head, tail, packed }
    }

    /// Takes a frame that has its `seq`.
    pub(crate) fn whole(frame: &[u8]) -> Self {
        Self::new(Vec::new(), frame.to_vec())
    }

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

/// Stores an event, whose frame was made of `parts`.
pub(crate) fn insert(conn: &Connection, event: &Event, parts: &FrameParts) -> Result<(), StoreError> {
    let head = match parts.packed {
        Some(_) => &event.frame[..event.frame.len() - parts.tail.len()],
        None => &event.frame,
    };
    conn.prepare_cached("INSERT INTO event (seq, account, time, frame, packed_tail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![event.seq, event.account.0, event.time_millis, head, parts.packed])?;
    Ok(())
}

/// Returns the highest `seq` that was stored, or zero: pruning may have left none.
pub(crate) fn last_seq(conn: &Connection) -> Result<i64, StoreError> {
    let stored: Option<i64> = conn.query_row("SELECT max(seq) FROM event", [], |row| row.get(0))?;
    Ok(stored.unwrap_or(0).max(pruned_through(conn)?))
}

/// Returns events after `cursor` and up to `until`, in order, until their frames exceed `max_bytes` (at least one).
pub(crate) fn list_after(conn: &Connection, cursor: i64, until: i64, max_bytes: usize) -> Result<Vec<Event>, StoreError> {
    let mut statement = conn
        .prepare_cached("SELECT seq, account, time, frame, packed_tail FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")?;
    let mut rows = statement.query(params![cursor, until])?;
    let mut events = Vec::new();
    let mut bytes = 0;
    while bytes < max_bytes
        && let Some(row) = rows.next()?
    {
        let seq = row.get(0)?;
        let head = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        let tail = row.get_ref(4)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
        let frame = frame_of(seq, head, tail);
        bytes += frame.len().max(head.len());
        events.push(Event { seq, account: AccountId(row.get(1)?), time_millis: row.get(2)?, frame });
    }
    Ok(events)
}

/// Returns a frame from its stored parts; an empty one when they are damaged, which must not keep consumers from what follows.
fn frame_of(seq: i64, head: &[u8], packed_tail: Option<&[u8]>) -> Bytes {
    let Some(packed) = packed_tail else { return Bytes::copy_from_slice(head) };
    let mut frame = head.to_vec();
    if packed::unpack(packed, &mut frame).is_none() {
        tracing::error!(seq, "an event is damaged and is left out of the firehose; `relay verify` tells more");
        return Bytes::new();
    }
    frame.into()
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
    Ok(Some(pruned_through.max(last_old(conn, window_begins_millis, i64::MAX)?.unwrap_or(cursor)).max(cursor)))
}

/// Counts the events after `cursor`, up to `most`, and returns when the first of them came to be.
pub(crate) fn after(conn: &Connection, cursor: i64, most: i64) -> Result<(i64, Option<i64>), StoreError> {
    let sql = "SELECT count(*), min(time) FROM (SELECT time FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2)";
    Ok(conn.prepare_cached(sql)?.query_row([cursor, most], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Returns the highest `seq` that is stored and not above `most`, or zero.
pub(crate) fn last_seq_up_to(conn: &Connection, most: i64) -> Result<i64, StoreError> {
    let stored: Option<i64> = conn.query_row("SELECT max(seq) FROM event WHERE seq <= ?1", [most], |row| row.get(0))?;
    Ok(stored.unwrap_or(0))
}

/// Notes that events up to `seq` were sent, and are not here.
pub(crate) fn begin_after(conn: &Connection, seq: i64) -> Result<(), StoreError> {
    meta::set(conn, PRUNED_THROUGH, &seq.max(pruned_through(conn)?).to_be_bytes())
}

fn pruned_through(conn: &Connection) -> Result<i64, StoreError> {
    let mark = meta::find(conn, PRUNED_THROUGH)?;
    let mark =
        mark.map(|mark| mark.try_into().map_err(|_| row::corrupt("meta", PRUNED_THROUGH, &"not 8 bytes"))).transpose()?;
    Ok(mark.map_or(0, i64::from_be_bytes))
}

/// Events that are looked at for the end of those that are old; more are for the next time.
const LOOK_AT: i64 = 100_000;
/// How far ahead of the clock an event may be, and not be one of a time when the clock was wrong.
const AHEAD_MILLIS: i64 = 3_600_000;

/// Returns the last of the oldest events that all happened before `begins_millis`; `None` when there is none.
///
/// Times follow `seq` but for steps of the clock, so it goes on from the oldest one, and ends at the first that is not old: a
/// clock that was years behind for a while, in the middle, does not make those before it old. What lies in the future of
/// `now_millis` tells nothing of its age; it is as old as what comes after it.
pub(crate) fn last_old(conn: &Connection, begins_millis: i64, now_millis: i64) -> Result<Option<i64>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT seq, time FROM event ORDER BY seq LIMIT ?1")?;
    let mut rows = statement.query([LOOK_AT])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (seq, time): (i64, i64) = (row.get(0)?, row.get(1)?);
        if time < begins_millis {
            last = Some(seq);
        } else if time <= now_millis.saturating_add(AHEAD_MILLIS) {
            break;
        }
    }
    Ok(last)
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const NOW: i64 = 20_000 * DAY;
    const BEGINS: i64 = NOW - 3 * DAY;

    /// Returns how many of the events with these times may be pruned.
    fn old(times: &[i64]) -> i64 {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("migrations/0001_init.sql")).unwrap();
        for (at, time) in times.iter().enumerate() {
            let parts = FrameParts::new(b"frame ".to_vec(), b" tail".to_vec());
            let seq = at as i64 + 1;
            let event = Event { seq, account: AccountId(1), time_millis: *time, frame: parts.with_seq(seq) };
            insert(&conn, &event, &parts).unwrap();
        }
        last_old(&conn, BEGINS, NOW).unwrap().unwrap_or(0)
    }

    /// Subscribers that are behind get what those got that were there, byte for byte; what is damaged is left out.
    #[test]
    fn frames_come_back_as_they_were() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("migrations/0001_init.sql")).unwrap();
        let mut frames = Vec::new();
        for (seq, tail) in (1..).zip([Vec::new(), vec![7; 100], vec![7; 5000], (0..=255).cycle().take(70_000).collect()]) {
            let parts = FrameParts::new(b"head".to_vec(), tail);
            let event = Event { seq, account: AccountId(1), time_millis: NOW, frame: parts.with_seq(seq) };
            insert(&conn, &event, &parts).unwrap();
            frames.push(event.frame);
        }
        let read =
            || list_after(&conn, 0, i64::MAX, usize::MAX).unwrap().into_iter().map(|event| event.frame).collect::<Vec<_>>();
        assert_eq!(read(), frames);
        let stored: i64 = conn.query_row("SELECT sum(length(packed_tail)) FROM event", [], |row| row.get(0)).unwrap();
        assert!(stored < 1000, "{stored} bytes");

        conn.execute("UPDATE event SET packed_tail = x'0128' WHERE seq = 3", []).unwrap();
        frames[2] = Bytes::new();
        assert_eq!(read(), frames);
    }

    #[test]
    fn what_is_older_than_the_window_is_old() {
        assert_eq!(old(&[]), 0);
        assert_eq!(old(&[NOW, NOW]), 0);
        assert_eq!(old(&[BEGINS - 2, BEGINS - 1, BEGINS, NOW]), 2);
        assert_eq!(old(&[1, 2, 3]), 3);
    }

    /// A clock that fell back to 1970 and was set right: the search by time found the middle old, and pruned what came before
    /// it, minutes after it had happened.
    #[test]
    fn a_clock_that_was_years_behind_makes_nothing_before_it_old() {
        let times = [NOW - 9, NOW - 8, 1, 2, 3, 4, 5, 6, NOW - 1, NOW];
        assert_eq!(old(&times), 0);
        let later = times.map(|time| if time > DAY { time - 4 * DAY } else { time });
        assert_eq!(old(&later), 10);
    }

    /// A clock that was years ahead: its events neither stay for years nor go before their time.
    #[test]
    fn a_clock_that_was_years_ahead_keeps_nothing_for_long() {
        let ahead = NOW + 1000 * DAY;
        assert_eq!(old(&[ahead, ahead + 1, NOW - 2, NOW]), 0);
        assert_eq!(old(&[ahead, ahead + 1]), 0);
        assert_eq!(old(&[ahead, ahead + 1, BEGINS - 1, NOW]), 3);
        assert_eq!(old(&[BEGINS - 9, ahead, BEGINS - 1, NOW]), 3);
    }
}
