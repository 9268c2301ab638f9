//! What one who takes all that he can get does to the others.
//!
//! A few ordinary accounts write and read at a fixed modest rate, each over a connection and a thread of its own, and their
//! latencies count from when a request was due: one that waits makes those behind it late as well. They run alone, then beside
//! one disturber after the other, which has as many connections as one client would. The machine is shared with them, so the
//! last disturber does not touch the server at all, but takes a core: that is what the others are to be compared with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Method;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::firehose::{Depth, Reader};
use crate::report::quantile_ms;
use crate::scenarios;
use crate::servers::Pds;
use crate::user::{PASSWORD, User, Written, unique};
use crate::{Result, ensure};

/// Ordinary accounts, each with two connections: over one it writes, over the other it reads, so that reads that wait behind a
/// write are not taken for slow ones.
const ORDINARY: usize = 4;
/// Of each of them.
const WRITES_PER_SECOND: u32 = 30;
const READS_PER_SECOND: u32 = 60;

/// What one client does without pause.
#[derive(Clone, Copy, Debug)]
enum Disturber {
    Nobody,
    CreateRecord,
    ApplyWrites,
    GetRepo,
    UploadBlob,
    CreateSession,
    ImportRepo,
    Replay,
    OtherProgram,
}

/// Disturbers, by name, with their connections.
const DISTURBERS: &[(&str, Disturber, usize)] = &[
    ("nobody", Disturber::Nobody, 0),
    ("createRecord by one account", Disturber::CreateRecord, 4),
    ("applyWrites of 200 by one account", Disturber::ApplyWrites, 2),
    ("getRepo of 100,000 records", Disturber::GetRepo, 2),
    ("uploadBlob of 5 MB", Disturber::UploadBlob, 2),
    ("createSession, every second one wrong", Disturber::CreateSession, 16),
    ("importRepo of 20,000 records", Disturber::ImportRepo, 1),
    ("subscribeRepos from the beginning", Disturber::Replay, 1),
    ("another program on one core", Disturber::OtherProgram, 1),
];

/// What the others got beside a disturber.
#[derive(Debug)]
pub(crate) struct Beside {
    disturber: &'static str,
    writes: Vec<u64>,
    reads: Vec<u64>,
    disturbances: f64,
    rss_mib: f64,
}

impl Beside {
    pub(crate) fn json(&self) -> Value {
        json!({
            "disturber": self.disturber, "disturbances_per_second": self.disturbances, "rss_mib": self.rss_mib,
            "createRecord": { "p50_ms": quantile_ms(&self.writes, 0.5), "p99_ms": quantile_ms(&self.writes, 0.99) },
            "getRecord": { "p50_ms": quantile_ms(&self.reads, 0.5), "p99_ms": quantile_ms(&self.reads, 0.99) },
        })
    }
}

/// Runs all of them whose name begins with one of `only`, after those that are alone. Prints a table.
pub(crate) async fn run(pds: &Pds, only: &[String], limit: Duration) -> Result<Vec<Beside>> {
    let ordinary = ordinary(pds).await?;
    let prey = Arc::new(Prey::prepare(pds).await?);
    println!(
        "\n| beside | createRecord p50, p99 ms | times quiet | getRecord p50, p99 ms | times quiet | disturbances/s | MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut all: Vec<Beside> = Vec::new();
    for &(name, disturber, connections) in DISTURBERS {
        let wanted = only.is_empty() || only.iter().any(|only| name.starts_with(only.as_str()));
        if !wanted && !matches!(disturber, Disturber::Nobody) {
            continue;
        }
        let archives = match disturber {
            Disturber::ImportRepo => Prey::moving(pds, (limit.as_secs() * 6) as usize).await?,
            _ => Vec::new(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (begun, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let disturbing = std::thread::spawn({
            let (base, prey, stop, done) = (pds.base.clone(), Arc::clone(&prey), Arc::clone(&stop), Arc::clone(&done));
            move || disturb(disturber, connections, &base, &prey, archives, &stop, &done)
        });
        std::thread::sleep(Duration::from_millis(300));
        let measured = measure(&pds.base, &ordinary, limit);
        let elapsed = begun.elapsed();
        stop.store(true, Relaxed);
        let disturbed = disturbing.join().map_err(|_| "a disturber panicked")?;
        let (writes, reads) = measured?;
        disturbed?;
        let disturbances = done.load(Relaxed) as f64 / elapsed.as_secs_f64();
        let beside = Beside { disturber: name, writes, reads, disturbances, rss_mib: pds.rss_mib() };
        let quiet = all.first().unwrap_or(&beside);
        let cell = |pick: fn(&Beside) -> &Vec<u64>| {
            let p99 = quantile_ms(pick(&beside), 0.99);
            format!("{:.2}, {p99:.2} | {:.1} x", quantile_ms(pick(&beside), 0.5), p99 / quantile_ms(pick(quiet), 0.99))
        };
        let (writes, reads) = (cell(|beside| &beside.writes), cell(|beside| &beside.reads));
        println!("| {name} | {writes} | {reads} | {:.1} | {} |", beside.disturbances, beside.rss_mib);
        all.push(beside);
    }
    Ok(all)
}

async fn ordinary(pds: &Pds) -> Result<Vec<(User, Vec<Written>)>> {
    let mut all = Vec::new();
    for _ in 0..ORDINARY {
        let user = User::create(&mut pds.client()).await?;
        let written = user.fill(&mut pds.client(), 100).await?;
        all.push((user, written));
    }
    Ok(all)
}

/// Returns the latencies of writes and of reads, in microseconds.
fn measure(base: &str, ordinary: &[(User, Vec<Written>)], limit: Duration) -> Result<(Vec<u64>, Vec<u64>)> {
    let begins = Instant::now() + Duration::from_millis(50);
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let begin = |n: usize, per_second: u32| {
            let offset = Duration::from_secs(1) / per_second * n as u32 / ORDINARY as u32;
            scope.spawn(move || behave(base, &ordinary[n], per_second, begins + offset, limit))
        };
        let writing: Vec<_> = (0..ORDINARY).map(|n| begin(n, WRITES_PER_SECOND)).collect();
        let reading: Vec<_> = (0..ORDINARY).map(|n| begin(n, READS_PER_SECOND)).collect();
        for thread in writing {
            writes.extend(thread.join().map_err(|_| "an ordinary account panicked")??);
        }
        for thread in reading {
            reads.extend(thread.join().map_err(|_| "an ordinary account panicked")??);
        }
        Ok((writes, reads))
    })
}

/// Sends a request whenever one is due, writes or reads by their rate, and returns how long after that each was answered.
fn behave(
    base: &str,
    (user, written): &(User, Vec<Written>),
    per_second: u32,
    begins: Instant,
    limit: Duration,
) -> Result<Vec<u64>> {
    // The clock of who measures must not wait behind who disturbs. Without the right to, it may.
    let _allowed = rustix::process::setpriority_process(None, -10).is_ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut client, mut latencies) = (Client::new(base), Vec::new());
    for n in 0.. {
        let due = begins + Duration::from_secs(1) / per_second * n;
        if due > begins + limit {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if per_second == WRITES_PER_SECOND {
            runtime.block_on(user.create_post(&mut client))?;
        } else {
            runtime.block_on(user.get_post(&mut client, &written[n as usize % written.len()]))?;
        }
        latencies.push(due.elapsed().as_micros() as u64);
    }
    Ok(latencies)
}

/// What disturbers work with.
struct Prey {
    /// Writes, and has 100,000 records.
    user: User,
    people: Vec<String>,
}

impl Prey {
    async fn prepare(pds: &Pds) -> Result<Self> {
        let user = User::create(&mut pds.client()).await?;
        user.fill(&mut pds.client(), 100_000).await?;
        Ok(Self { user, people: pds.users.iter().map(|user| user.handle.clone()).collect() })
    }

    /// Makes accounts that move here, with what they bring.
    async fn moving(pds: &Pds, count: usize) -> Result<Vec<(User, Bytes)>> {
        let mut all = Vec::new();
        for _ in 0..count {
            let (user, key) = scenarios::moving_user(pds).await?;
            let archive = scenarios::archive(&user.did, &key, 20_000)?;
            all.push((user, archive.into()));
        }
        Ok(all)
    }
}

fn disturb(
    disturber: Disturber,
    connections: usize,
    base: &str,
    prey: &Prey,
    archives: Vec<(User, Bytes)>,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> Result<()> {
    if let Disturber::OtherProgram = disturber {
        while !stop.load(Relaxed) {
            done.fetch_add(1, Relaxed);
        }
        return Ok(());
    }
    let archives = std::cell::RefCell::new(archives);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let blob = &scenarios::noise(5_000_000);
    runtime.block_on(async {
        let one = async |n: usize| {
            let mut client = Client::new(base);
            for round in 0_usize.. {
                if stop.load(Relaxed) {
                    break;
                }
                match disturber {
                    Disturber::Nobody | Disturber::OtherProgram => break,
                    Disturber::CreateRecord => drop(prey.user.create_post(&mut client).await?),
                    Disturber::ApplyWrites => drop(prey.user.create_posts(&mut client, 200).await?),
                    Disturber::GetRepo => {
                        discard(base, &format!("/xrpc/com.atproto.sync.getRepo?did={}", prey.user.did), stop).await?;
                    }
                    Disturber::UploadBlob => {
                        let mut blob = blob.clone();
                        blob[8..16].copy_from_slice(&unique().to_le_bytes());
                        let path = "/xrpc/com.atproto.repo.uploadBlob";
                        client.send(Method::POST, path, Some(&prey.user.auth), "application/octet-stream", blob.into()).await?;
                    }
                    Disturber::CreateSession => sign_in(&mut client, prey, n, round).await?,
                    Disturber::ImportRepo => {
                        let Some((user, archive)) = archives.borrow_mut().pop() else { break };
                        let path = "/xrpc/com.atproto.repo.importRepo";
                        client.send(Method::POST, path, Some(&user.auth), "application/vnd.ipld.car", archive).await?;
                    }
                    Disturber::Replay => replay(base, stop, done).await?,
                }
                done.fetch_add(1, Relaxed);
            }
            Result::Ok(())
        };
        for ended in futures_util::future::join_all((0..connections).map(one)).await {
            ended?;
        }
        Ok(())
    })
}

/// Half of the passwords are wrong, and half of the wrong ones are for nobody. A server may refuse what it finds too much.
async fn sign_in(client: &mut Client, prey: &Prey, n: usize, round: usize) -> Result<()> {
    let person = &prey.people[(n + round) % prey.people.len()];
    let nobody = format!("nobody{}.test", unique() & 0xffff);
    let (identifier, password) = match round % 4 {
        0 | 2 => (person, PASSWORD),
        1 => (person, "a wrong password"),
        _ => (&nobody, "a wrong password"),
    };
    let body = json!({ "identifier": identifier, "password": password });
    let answer = client.call("com.atproto.server.createSession", None, &body).await;
    let is_server_error = |err: &crate::Error| err.to_string().contains(": 500");
    ensure(!answer.is_err_and(|err| is_server_error(&err)), || "createSession: 500".into())
}

/// Reads an answer without keeping it.
async fn discard(base: &str, path: &str, stop: &AtomicBool) -> Result<()> {
    let host = base.trim_start_matches("http://");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(host).await?)).await?;
    tokio::spawn(async move { drop(connection.await) });
    let request = hyper::Request::builder().uri(path).header("host", host).body(Empty::<Bytes>::new())?;
    let mut answer = sender.send_request(request).await?;
    ensure(answer.status().is_success(), || format!("{path}: {}", answer.status()))?;
    while let Some(frame) = answer.frame().await {
        frame?;
        if stop.load(Relaxed) {
            break;
        }
    }
    Ok(())
}

/// Replays from the beginning until what comes is new; counts events.
async fn replay(base: &str, stop: &AtomicBool, done: &AtomicU64) -> Result<()> {
    let mut reader = Reader::connect(base, Some(0), Depth::Nothing).await?;
    while !stop.load(Relaxed) {
        match tokio::time::timeout(Duration::from_millis(5), reader.next()).await {
            Ok(frame) => drop(frame?),
            Err(_) => break,
        }
        done.fetch_add(1, Relaxed);
    }
    Ok(())
}
