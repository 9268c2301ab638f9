//! Clients that go away in the middle of a write.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use crate::support::{Dice, Ledger, Load, Step, TestPds, User, audit};

/// A request that is dropped at any of its awaits, alone or while others wait for the same repo, leaves a whole write or none,
/// and does not stand in the way of the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_dropped_at_any_await_is_whole_or_not_there() {
    let mut dice = Dice::from_env();
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let router = relay::router::router(pds.app().clone());
    let (mut cut, mut ended) = (0, 0);
    let mut ledger = Ledger::default();
    for round in 0..60 {
        let mut others = Vec::new();
        for other in 0..round % 3 {
            let mut load = Load::new(&alice, format!("r{round}o{other}"), dice.fork());
            others.push(tokio::spawn(async move {
                load.write_many(3).await;
                load.ledger
            }));
        }
        let mut load = Load::new(&alice, format!("r{round}"), dice.fork());
        // As many awaits more each time, until the request ends before it is dropped.
        for polls in 0.. {
            let step = load.pick();
            match dropped_after(polls, router.clone().oneshot(request(&alice, &step))).await {
                Some(response) => {
                    let response: Response = response.unwrap();
                    assert_eq!(response.status(), 200);
                    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
                    load.done(step, &serde_json::from_slice(&body).unwrap());
                    ended += 1;
                    break;
                }
                None => cut += 1,
            }
            load.write_many(1).await;
        }
        ledger.merge(load.ledger);
        for other in others {
            ledger.merge(other.await.unwrap());
        }
    }
    println!("{cut} requests dropped, {ended} not");
    assert!(cut > 60, "requests have awaits");
    audit(pds.address(), &[alice], &ledger).await;
}

/// The same over the wire: connections that end after some bytes, or some time after the whole request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_connection_breaks_is_whole_or_not_there() {
    let mut dice = Dice::from_env();
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut ledger = Ledger::default();
    let mut tasks = Vec::new();
    for client in 0..4 {
        let (alice, address, mut dice) = (alice.clone(), pds.address(), dice.fork());
        tasks.push(tokio::spawn(async move {
            let mut load = Load::new(&alice, format!("c{client}"), dice.fork());
            for _ in 0..50 {
                let request = wire(&alice, &load.pick());
                let mut socket = TcpStream::connect(address).await.unwrap();
                if dice.below(3) == 0 {
                    let part = dice.below(request.len());
                    socket.write_all(&request[..part]).await.unwrap();
                } else {
                    socket.write_all(&request).await.unwrap();
                    // Not a wait for anything: it picks the await at which the connection ends.
                    tokio::time::sleep(Duration::from_micros(dice.next() % 3000)).await;
                }
                // With a reset, so that the server hears of it at once.
                socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
                drop(socket);
                load.write_many(1).await;
            }
            load.ledger
        }));
    }
    for task in tasks {
        ledger.merge(task.await.unwrap());
    }
    let pds = pds.restart().await;
    let alice = User::sign_in(&pds.anonymous(), "alice").await;
    audit(pds.address(), &[alice], &ledger).await;
}

/// Drives `future` until it has been pending `polls` times, and drops it then.
async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut pending = 0;
    std::future::poll_fn(|context| {
        if pending == polls {
            return Poll::Ready(None);
        }
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                pending += 1;
                if pending == polls { Poll::Ready(None) } else { Poll::Pending }
            }
        }
    })
    .await
}

fn request(user: &User, step: &Step) -> Request {
    let request = Request::post(format!("/xrpc/{}", step.nsid)).header("content-type", "application/json");
    request.header("authorization", format!("Bearer {}", user.access)).body(Body::from(step.body.to_string())).unwrap()
}

fn wire(user: &User, step: &Step) -> Vec<u8> {
    let (nsid, body, access) = (step.nsid, step.body.to_string(), &user.access);
    let length = body.len();
    format!(
        "POST /xrpc/{nsid} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         authorization: Bearer {access}\r\n\r\n{body}"
    )
    .into_bytes()
}
