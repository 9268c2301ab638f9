//! The newest events, in memory, shared by all subscribers.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use crate::store::{AccountId, Event};

/// Most bytes of frames that the ring holds.
const RING_BYTES: usize = 8 << 20;

/// Most bytes of frames that a subscriber takes at a time (but at least one frame): while its socket takes nothing they stay in
/// memory, also after the ring went on.
const READ_BYTES: usize = 1 << 20;

/// Where durable events arrive and subscribers wait for them.
#[derive(Debug)]
pub(crate) struct Firehose {
    ring: RwLock<Ring>,
    latest: watch::Sender<i64>,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Event>,
    bytes: usize,
    /// Every event with a larger `seq` than this is in `events`.
    complete_after: i64,
}

/// What the ring has for a subscriber.
#[derive(Debug)]
pub(crate) enum RingRead {
    /// The events after the cursor, in order; none when the subscriber is up to date.
    Events(Vec<Event>),
    /// The ring begins later than the cursor; the store has what lies between.
    Behind,
}

impl Firehose {
    pub(crate) fn new() -> Self {
        let ring = Ring { events: VecDeque::new(), bytes: 0, complete_after: i64::MAX };
        Self { ring: RwLock::new(ring), latest: watch::channel(0).0 }
    }

    /// Tells the `seq` that was reached before this start; nothing was published yet.
    pub(crate) fn begin_at(&self, seq: i64) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).complete_after = seq;
        self.latest.send_replace(seq);
    }

    /// Takes durable events, in `seq` order, each once.
    pub(crate) fn publish(&self, events: Vec<Event>) {
        let Some(last) = events.last().map(|event| event.seq) else { return };
        {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            for event in events {
                ring.bytes += event.frame.len();
                ring.events.push_back(event);
            }
            while ring.bytes > RING_BYTES
                && let Some(oldest) = ring.events.pop_front()
            {
                ring.bytes -= oldest.frame.len();
                ring.complete_after = oldest.seq;
            }
        }
        self.latest.send_replace(last);
    }

    /// Drops the events of an account before `seq`: it was deleted, and so are they in the store.
    pub(crate) fn forget(&self, account: AccountId, before_seq: i64) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let Ring { events, bytes, .. } = &mut *ring;
        events.retain(|event| {
            let stays = event.account != account || event.seq >= before_seq;
            if !stays {
                *bytes -= event.frame.len();
            }
            stays
        });
    }

    /// Returns the `seq` of the newest event.
    pub(crate) fn latest_seq(&self) -> i64 {
        *self.latest.borrow()
    }

    /// Returns a receiver that wakes when events arrive.
    pub(crate) fn watch(&self) -> watch::Receiver<i64> {
        self.latest.subscribe()
    }

    /// Number of subscribers that wait.
    pub(crate) fn subscribers(&self) -> usize {
        self.latest.receiver_count()
    }

    /// Returns at most `limit` events after `cursor`, and fewer when they are large.
    pub(crate) fn after(&self, cursor: i64, limit: usize) -> RingRead {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        if cursor < ring.complete_after {
            return RingRead::Behind;
        }
        let from = ring.events.partition_point(|event| event.seq <= cursor);
        let mut bytes = 0;
        let room = |event: &&Event| {
            let first = bytes == 0;
            bytes += event.frame.len();
            first || bytes <= READ_BYTES
        };
        RingRead::Events(ring.events.range(from..).take(limit).take_while(room).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(seq: i64, bytes: usize) -> Event {
        Event { seq, account: AccountId(1), time_millis: 0, frame: Bytes::from(vec![0; bytes]) }
    }

    #[test]
    fn a_cursor_before_the_ring_is_sent_to_the_store() {
        let firehose = Firehose::new();
        firehose.begin_at(10);
        assert!(matches!(firehose.after(9, 100), RingRead::Behind));
        assert!(matches!(firehose.after(10, 100), RingRead::Events(events) if events.is_empty()));

        firehose.publish(vec![event(12, RING_BYTES / 2), event(13, RING_BYTES / 2), event(17, RING_BYTES / 2)]);
        assert_eq!(firehose.latest_seq(), 17);
        // 12 was pushed out; 13 and 17 are there, and nothing is between.
        assert!(matches!(firehose.after(11, 100), RingRead::Behind));
        let RingRead::Events(events) = firehose.after(12, 100) else { panic!("12 is where the ring begins") };
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [13]);
    }

    #[test]
    fn a_read_is_bounded_in_events_and_bytes() {
        let firehose = Firehose::new();
        firehose.begin_at(0);
        firehose.publish((1..=10).map(|seq| event(seq, READ_BYTES / 4)).collect());
        firehose.publish((11..=12).map(|seq| event(seq, 2 * READ_BYTES)).collect());
        let read = |cursor, limit| match firehose.after(cursor, limit) {
            RingRead::Events(events) => events.iter().map(|event| event.seq).collect(),
            RingRead::Behind => Vec::new(),
        };
        assert_eq!(read(0, 3), [1, 2, 3]);
        assert_eq!(read(0, 100), [1, 2, 3, 4]);
        assert_eq!(read(8, 100), [9, 10]);
        assert_eq!(read(10, 100), [11], "one is always sent");
    }
}
