//! One consumer of the firehose.
//!
//! A consumer has a position, the `seq` it was sent last, and is served from the ring while that covers the position, else from
//! the store. So a slow consumer costs no memory: it reads from the store until it has caught up. One whose socket takes
//! nothing for [`STALL`] is told `ConsumerTooSlow`, if it takes that within [`LAST_WORD`].

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::frames;
use super::ring::{Firehose, RingRead};
use crate::store::{Db, StoreError, event};

/// How long a socket may take nothing.
const STALL: Duration = Duration::from_secs(30);
/// How long a socket that took nothing has for the word that it was too slow: whoever reads on in that time learns why the
/// events end. What is left to be sent by then is a few frames.
const LAST_WORD: Duration = Duration::from_secs(30);
/// How often a quiet consumer is pinged, so that proxies keep the connection and dead peers are found.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A peer that answered none of this many pings is gone.
const MISSED_PINGS: u32 = 3;
/// Events taken from the ring, and bytes read from the store, at a time.
const RING_EVENTS: usize = 256;
const STORE_BYTES: usize = 1 << 20;

/// How long a subscriber rests after it was sent what there was, so that what comes meanwhile shares the next write: a write to
/// a socket costs as much as several events in it. Few subscribers rest for less than a millisecond, which is none; and an event
/// that comes alone, to one that is not resting, is sent at once.
fn rest(subscribers: usize) -> Duration {
    const EACH: Duration = Duration::from_micros(20);
    const MOST: Duration = Duration::from_millis(20);
    let rest = EACH.saturating_mul(u32::try_from(subscribers).unwrap_or(u32::MAX)).min(MOST);
    if rest < Duration::from_millis(1) { Duration::ZERO } else { rest }
}

/// Why a subscription ended.
#[derive(Debug)]
enum End {
    /// The consumer closed, or is gone.
    Gone,
    TooSlow,
    Shutdown,
    Store(StoreError),
}

/// What a subscription needs of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) db: &'a Db,
    pub(crate) firehose: &'a Firehose,
    /// Events before this moment are not replayed.
    pub(crate) window_begins_millis: i64,
}

/// Serves `socket` until it or the server ends.
pub(crate) async fn serve(mut socket: WebSocket, source: Source<'_>, cursor: Option<i64>, stop: CancellationToken) {
    let end = match run(&mut socket, source, cursor, &stop).await {
        Ok(end) | Err(end) => end,
    };
    let (code, reason) = match &end {
        End::Gone => return,
        End::TooSlow => {
            let frame = frames::error("ConsumerTooSlow", "Stream consumer too slow");
            let said = tokio::time::timeout(LAST_WORD, socket.send(Message::Binary(frame.into())));
            if !matches!(stop.run_until_cancelled(said).await, Some(Ok(Ok(())))) {
                return;
            }
            (close_code::POLICY, "ConsumerTooSlow")
        }
        End::Shutdown => (close_code::AWAY, "the server restarts"),
        End::Store(err) => {
            tracing::error!(error = err as &dyn std::error::Error, "a subscription could not read its events");
            (close_code::ERROR, "internal error")
        }
    };
    close(&mut socket, code, reason).await;
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    let closing = async {
        socket.send(Message::Close(Some(frame))).await.ok()?;
        // The peer's own close frame ends the connection cleanly on both sides.
        while let Some(Ok(_)) = socket.recv().await {}
        Some(())
    };
    drop(tokio::time::timeout(Duration::from_secs(2), closing).await);
}

async fn run(socket: &mut WebSocket, source: Source<'_>, cursor: Option<i64>, stop: &CancellationToken) -> Result<End, End> {
    let mut latest = source.firehose.watch();
    let newest = *latest.borrow_and_update();
    let mut position = newest;
    if let Some(cursor) = cursor {
        if cursor > newest {
            let frame = frames::error("FutureCursor", "Cursor in the future.");
            drop(socket.send(Message::Binary(frame.into())).await);
            close(socket, close_code::POLICY, "FutureCursor").await;
            return Ok(End::Gone);
        }
        let begins = source.db.read(|conn| event::replay_begins(conn, cursor, source.window_begins_millis)).await;
        position = cursor;
        if let Some(begins) = begins.map_err(End::Store)? {
            send(socket, [Bytes::from(frames::outdated_cursor())]).await?;
            position = begins;
        }
    }

    let mut pings_unanswered = 0;
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut has_all = false;
        let events = match source.firehose.after(position, RING_EVENTS) {
            RingRead::Events(events) => {
                has_all = events.len() < RING_EVENTS;
                events
            }
            RingRead::Behind => {
                let until = *latest.borrow_and_update();
                let read = move |conn: &_| event::list_after(conn, position, until, STORE_BYTES);
                let events = source.db.catch_up(read).await.map_err(End::Store)?;
                if events.is_empty() {
                    // Nothing is stored in between: the ring has all that is left.
                    position = position.max(until);
                }
                events
            }
        };
        if let Some(last) = events.last() {
            position = last.seq;
            send(socket, events.into_iter().map(|event| event.frame).filter(|frame| !frame.is_empty())).await?;
            let rest = if has_all { rest(source.firehose.subscribers()) } else { Duration::ZERO };
            if !rest.is_zero() && stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() || stop.is_cancelled() {
                return Ok(End::Shutdown);
            }
            continue;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(End::Shutdown),
            changed = latest.changed() => if changed.is_err() { return Ok(End::Shutdown) },
            message = socket.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(End::Gone),
                // Consumers have nothing to say; any frame shows that they live.
                Some(Ok(_)) => pings_unanswered = 0,
            },
            _ = ping.tick() => {
                if pings_unanswered >= MISSED_PINGS {
                    return Ok(End::Gone);
                }
                pings_unanswered += 1;
                within_stall(socket.send(Message::Ping(Bytes::new()))).await?;
            }
        }
    }
}

/// Sends frames with one flush.
async fn send(socket: &mut WebSocket, frames: impl IntoIterator<Item = Bytes>) -> Result<(), End> {
    for frame in frames {
        within_stall(socket.feed(Message::Binary(frame))).await?;
    }
    within_stall(socket.flush()).await
}

async fn within_stall(send: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
    match tokio::time::timeout(STALL, send).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::TooSlow),
    }
}
