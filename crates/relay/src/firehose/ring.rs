//! The newest events, in memory, shared by all subscribers.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use crate::store::Event;

/// Most bytes of frames that the ring holds.
const RING_BYTES: usize = 8 << 20;

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

    /// Returns at most `limit` events after `cursor`.
    pub(crate) fn after(&self, cursor: i64, limit: usize) -> RingRead {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        if cursor < ring.complete_after {
            return RingRead::Behind;
        }
        let from = ring.events.partition_point(|event| event.seq <= cursor);
        RingRead::Events(ring.events.range(from..).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::AccountId;

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
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [13, 17]);
    }
}
