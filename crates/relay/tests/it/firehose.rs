//! Consumers of the firehose: where they begin, how they end, and those that do not keep up.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{Dice, Follower, Frame, Ledger, Load, NOTE, Process, TestPds, User, audit};

/// Returns the next message of a socket, unread by the checks of [`Follower::next`].
async fn message(follower: &mut Follower) -> Option<Message> {
    let next = tokio::time::timeout(Duration::from_secs(60), follower.socket().next()).await;
    next.expect("the server says something in time").map(Result::unwrap)
}

async fn frame(follower: &mut Follower) -> Frame {
    match message(follower).await {
        Some(Message::Binary(bytes)) => Frame::parse(&bytes),
        other => panic!("not a frame: {other:?}"),
    }
}

async fn close_code(follower: &mut Follower) -> CloseCode {
    loop {
        match message(follower).await {
            Some(Message::Close(Some(close))) => return close.code,
            Some(Message::Binary(_) | Message::Ping(_)) => {}
            other => panic!("the server closes with a frame, not {other:?}"),
        }
    }
}

/// Subscribers that come while writes go on get exactly what follows their cursor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_followed_by_all_that_came_after_it_once() {
    let mut dice = Dice::from_env();
    let pds = TestPds::start().await;
    let mut users = Vec::new();
    for name in ["alice", "bob"] {
        users.push(pds.create_account(name).await);
    }
    let mut ledger = Ledger::default();
    let mut first = pds.follow(Some(0)).await;
    let mut known = vec![0];
    let mut followers = Vec::new();
    for round in 0..8 {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut load = Load::new(&users[writer % 2], format!("r{round}w{writer}"), dice.fork());
                tokio::spawn(async move {
                    load.write_many(15).await;
                    load.ledger
                })
            })
            .collect();
        for _ in 0..3 {
            for _ in 0..=dice.below(15) {
                known.push(first.next().await.unwrap().seq());
            }
            // From the middle, between two events, and from the newest that is known.
            let cursor = match dice.below(3) {
                0 => known[dice.below(known.len())],
                1 => known[dice.below(known.len())] + 1,
                _ => *known.last().unwrap(),
            };
            // The last one may be the newest of all, and there is nothing in the future.
            let cursor = cursor.min(*known.last().unwrap());
            followers.push((cursor, pds.follow(Some(cursor)).await));
        }
        for writer in writers {
            ledger.merge(writer.await.unwrap());
        }
    }
    let mut live = pds.follow(None).await;
    let all = audit(pds.address(), &users, &ledger).await;
    let fence = all.last().unwrap().commit();
    for (cursor, mut follower) in followers {
        let got = follower.until(|frame| frame.commit() == fence).await;
        let expected: Vec<i64> = all.iter().map(Frame::seq).filter(|seq| *seq > cursor).collect();
        assert_eq!(got.iter().map(Frame::seq).collect::<Vec<_>>(), expected, "after {cursor}");
        for (got, replayed) in got.iter().rev().zip(all.iter().rev()) {
            assert_eq!(got.bytes, replayed.bytes, "live and replayed are the same bytes");
        }
    }
    let last = live.next().await.unwrap();
    assert_eq!(last.commit(), fence);
}

/// After a restart the ring is empty, and all is read from the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_outlives_a_restart() {
    let mut dice = Dice::from_env();
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut load = Load::new(&alice, "w", dice.fork());
    load.write_many(30).await;
    let frames = audit(pds.address(), std::slice::from_ref(&alice), &load.ledger).await;
    let cursor = frames[10].seq();
    let pds = pds.restart().await;
    let mut follower = pds.follow(Some(cursor)).await;
    let mut at_end = pds.follow(Some(frames.last().unwrap().seq())).await;
    for frame in &frames[11..] {
        assert_eq!(follower.next().await.unwrap().bytes, frame.bytes);
    }
    alice.create_post("after the restart").await;
    let next = follower.next().await.unwrap();
    assert!(next.seq() > frames.last().unwrap().seq());
    assert_eq!(at_end.next().await.unwrap().bytes, next.bytes);
}

#[tokio::test]
async fn a_cursor_in_the_future_is_refused() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let newest = pds.follow(Some(0)).await.until(|frame| frame.kind == "#sync").await.last().unwrap().seq();
    let mut follower = pds.follow(Some(newest + 1)).await;
    let error = frame(&mut follower).await;
    assert_eq!((error.kind.as_str(), error.text("error")), ("", "FutureCursor"));
    assert_eq!(close_code(&mut follower).await, CloseCode::Policy);

    let mut follower = pds.follow(Some(newest)).await;
    alice.create_post("next").await;
    assert_eq!(frame(&mut follower).await.kind, "#commit");
}

/// A consumer that was away for longer than events are replayed is told, and gets what there is.
#[tokio::test]
async fn a_cursor_older_than_the_window_is_outdated() {
    let pds = TestPds::start_with(|config| config.limits.backfill = Duration::from_secs(3600)).await;
    let alice = pds.create_account("alice").await;
    alice.create_post("old").await;
    pds.clock().shift_micros(3_601_000_000);
    let create = async || alice.create_record(NOTE, json!({ "text": "new" })).await.good().json();
    let new = create().await;
    for (round, cursor) in [0, 1].into_iter().enumerate() {
        let mut follower = pds.follow(Some(cursor)).await;
        let info = frame(&mut follower).await;
        assert_eq!((info.kind.as_str(), info.text("name")), ("#info", "OutdatedCursor"), "cursor {cursor}");
        // Nothing of what is too old, and all that is not.
        let first = frame(&mut follower).await;
        assert_eq!(first.commit(), new["commit"]["cid"].as_str().unwrap());
        let newer = create().await;
        let last = follower.until(|frame| frame.commit() == newer["commit"]["cid"].as_str().unwrap()).await.len();
        assert_eq!(last, 1 + round);
    }
    // Where it ends is no cursor to complain about.
    let newest = pds.follow(Some(0)).await.until(|frame| frame.kind == "#commit").await.pop().unwrap();
    let mut follower = pds.follow(Some(newest.seq() - 1)).await;
    assert_eq!(frame(&mut follower).await.bytes, newest.bytes);
}

/// Sockets are closed with a word when the server stops, and it does not wait for those that do not read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_says_goodbye() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut live = pds.follow(None).await;
    let mut replaying = pds.follow(Some(0)).await;
    alice.create_post("hello").await;
    assert_eq!(frame(&mut live).await.kind, "#commit");
    let ((), live, replaying) = tokio::join!(pds.stop(), close_code(&mut live), close_code(&mut replaying));
    assert_eq!((live, replaying), (CloseCode::Away, CloseCode::Away));
}

/// Twenty consumers that read nothing cost the server no memory for what they do not read, do not slow those that read, and
/// get all of it when they read again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_stall_cost_little_and_catch_up() {
    const STALLED: usize = 20;
    let dir = TempDir::new().unwrap();
    let server = Process::start(dir.path()).await;
    let alice = User::sign_in(&server.anonymous(), "alice").await;
    let write = async |count: usize| {
        for n in 0..count {
            let text = format!("{n} {}", "x".repeat(60_000));
            alice.create_record(NOTE, json!({ "text": text })).await.good();
        }
    };
    // The caches of the server are warm then.
    write(200).await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(Follower::connect(server.address(), None).await);
    }
    let before = resident_bytes(server.pid());
    let mut reader = Follower::connect(server.address(), None).await;
    // 36 MB for each of them; it is more than sockets and the ring hold.
    write(600).await;
    for _ in 0..600 {
        reader.next().await.unwrap();
    }
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    println!("{STALLED} stalled consumers: {} MB more", grown >> 20);
    assert!(grown < 120 << 20, "{grown} bytes more");
    for follower in &mut stalled {
        for _ in 0..600 {
            follower.next().await.expect("it was not given up yet");
        }
    }
}

#[cfg(target_os = "linux")]
fn resident_bytes(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Elsewhere nothing is measured.
#[cfg(not(target_os = "linux"))]
fn resident_bytes(_: u32) -> usize {
    0
}

/// A quiet consumer is pinged, and one whose socket takes nothing for half a minute loses it, and nothing else: it goes on from
/// its cursor. The two share the half minute that both take. Who stalled learns why it lost its socket: the word for it once had
/// a second, and since a socket that takes nothing does not take that either, no consumer ever got it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_minute_brings_pings_and_the_end_of_who_stalls() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut stalled = pds.follow(None).await;
    for n in 0..400 {
        let text = format!("{n} {}", "x".repeat(60_000));
        alice.create_record(NOTE, json!({ "text": text })).await.good();
    }
    let mut quiet = pds.follow(None).await;
    let Some(Message::Ping(_)) = message(&mut quiet).await else { panic!("a quiet consumer is pinged") };
    // It began to stall before the other came, so its time is up.
    let mut last = 0;
    let mut received = 0;
    loop {
        let frame = stalled.next().await.expect("it is told why the events end");
        if frame.kind.is_empty() {
            assert_eq!(frame.text("error"), "ConsumerTooSlow");
            break;
        }
        last = frame.seq();
        received += 1;
    }
    assert_eq!(close_code(&mut stalled).await, CloseCode::Policy);
    assert!((1..400).contains(&received), "it was cut off after {received}");
    let mut again = pds.follow(Some(last)).await;
    for _ in received..400 {
        again.next().await.unwrap();
    }
    alice.create_post("fence").await;
    assert_eq!(again.next().await.unwrap().ops().len(), 1);
}
