//! What is measured.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{Cid, Tid, cbor, json as data};
use crypto::plc::{PlcOperation, Service, UnsignedOperation};
use crypto::{Curve, SigningKey};
use hyper::Method;
use repo_engine::{Builder, Key, UnsignedCommit, car};
use serde_json::json;

use crate::client::Client;
use crate::firehose::{self, Depth, Reader};
use crate::report::Measured;
use crate::servers::Pds;
use crate::user::{self, PASSWORD, POST, User};
use crate::{Result, ensure};

/// A scenario by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Health,
    CreateSession,
    /// Connections, and whether all write to one account.
    CreateRecord(usize, bool),
    ApplyWrites,
    DeleteRecord,
    GetRecord,
    ListRecords,
    GetLatestCommit,
    GetRepo,
    ImportRepo,
    UploadBlob,
    GetBlob,
    Mixed,
    FanOut,
    LiveLatency,
    Replay,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "_health", what: What::Health },
    Scenario { name: "createRecord, 1 connection", what: What::CreateRecord(1, false) },
    Scenario { name: "createRecord, 8 connections", what: What::CreateRecord(8, false) },
    Scenario { name: "createRecord, 32 connections", what: What::CreateRecord(32, false) },
    Scenario { name: "createRecord, 8 connections, one account", what: What::CreateRecord(8, true) },
    Scenario { name: "applyWrites of 200", what: What::ApplyWrites },
    Scenario { name: "deleteRecord", what: What::DeleteRecord },
    Scenario { name: "getRecord", what: What::GetRecord },
    Scenario { name: "listRecords of 100", what: What::ListRecords },
    Scenario { name: "getLatestCommit", what: What::GetLatestCommit },
    Scenario { name: "getRepo of 10,000 records", what: What::GetRepo },
    Scenario { name: "importRepo of 10,000 records", what: What::ImportRepo },
    Scenario { name: "uploadBlob of 200 kB", what: What::UploadBlob },
    Scenario { name: "getBlob of 200 kB", what: What::GetBlob },
    Scenario { name: "createSession", what: What::CreateSession },
    Scenario { name: "mixed", what: What::Mixed },
    Scenario { name: "live latency", what: What::LiveLatency },
    Scenario { name: "fan-out", what: What::FanOut },
    Scenario { name: "replay", what: What::Replay },
];

/// Runs one scenario once.
pub(crate) async fn run(scenario: &Scenario, pds: &Pds, limit: Duration, subscribers: usize) -> Result<Measured> {
    match scenario.what {
        What::Health => {
            drive(pds, 8, limit, "requests", async |client, _| client.get("/xrpc/_health", None).await.map(|_| 1.0)).await
        }
        What::CreateSession => create_session(pds, limit).await,
        What::CreateRecord(connections, one_account) => create_record(pds, limit, connections, one_account).await,
        What::ApplyWrites => apply_writes(pds, limit).await,
        What::DeleteRecord => delete_record(pds, limit).await,
        What::GetRecord => get_record(pds, limit).await,
        What::ListRecords => list_records(pds, limit).await,
        What::GetLatestCommit => {
            drive(pds, 8, limit, "requests", async |client, n| {
                let user = &pds.users[n % pds.users.len()];
                let answer = client.get_json(&format!("/xrpc/com.atproto.sync.getLatestCommit?did={}", user.did)).await?;
                ensure(user::text(&answer, "rev")?.len() == 13, || "rev is no TID".into()).map(|()| 1.0)
            })
            .await
        }
        What::GetRepo => get_repo(pds, limit).await,
        What::ImportRepo => import_repo(pds, limit).await,
        What::UploadBlob => upload_blob(pds, limit).await,
        What::GetBlob => get_blob(pds, limit).await,
        What::Mixed => mixed(pds, limit).await,
        What::LiveLatency => live_latency(pds, limit).await,
        What::FanOut => fan_out(pds, limit, subscribers).await,
        What::Replay => replay(pds).await,
    }
}

/// Runs `request` over `connections` until the time is up; it returns what it counts for.
pub(crate) async fn drive(
    pds: &Pds,
    connections: usize,
    limit: Duration,
    unit: &'static str,
    request: impl AsyncFn(&mut Client, usize) -> Result<f64>,
) -> Result<Measured> {
    let (next, count, latencies) = (Cell::new(0), Cell::new(0.0), RefCell::new(Vec::new()));
    let (cpu, begun) = (pds.cpu(), Instant::now());
    let worker = async || {
        let mut client = pds.client();
        while begun.elapsed() < limit {
            let n = next.replace(next.get() + 1);
            let asked = Instant::now();
            let done = request(&mut client, n).await?;
            count.set(count.get() + done);
            latencies.borrow_mut().push(asked.elapsed().as_micros() as u64);
        }
        Result::Ok(())
    };
    for ended in futures_util::future::join_all((0..connections).map(|_| worker())).await {
        ended?;
    }
    Ok(Measured {
        count: count.get(),
        unit,
        elapsed: begun.elapsed(),
        cpu: pds.cpu().saturating_sub(cpu),
        latencies: latencies.into_inner(),
        rss_mib: pds.rss_mib(),
    })
}

async fn create_session(pds: &Pds, limit: Duration) -> Result<Measured> {
    drive(pds, 4, limit, "requests", async |client, n| {
        let user = &pds.users[n % pds.users.len()];
        let body = json!({ "identifier": user.handle, "password": PASSWORD });
        let session = client.call("com.atproto.server.createSession", None, &body).await?;
        ensure(session["did"] == *user.did, || "a session of another account".into()).map(|()| 1.0)
    })
    .await
}

async fn create_record(pds: &Pds, limit: Duration, connections: usize, one_account: bool) -> Result<Measured> {
    let last = RefCell::new(BTreeMap::new());
    let users = if one_account { 1 } else { pds.users.len() };
    let measured = drive(pds, connections, limit, "requests", async |client, n| {
        let written = pds.users[n % users].create_post(client).await?;
        last.borrow_mut().insert(n % users, written);
        Ok(1.0)
    })
    .await?;
    for (user, written) in last.into_inner() {
        pds.users[user].get_post(&mut pds.client(), &written).await?;
    }
    Ok(measured)
}

async fn apply_writes(pds: &Pds, limit: Duration) -> Result<Measured> {
    let user = User::create(&mut pds.client()).await?;
    drive(pds, 2, limit, "records", async |client, _| Ok(user.create_posts(client, 200).await?.len() as f64)).await
}

async fn delete_record(pds: &Pds, limit: Duration) -> Result<Measured> {
    let mut client = pds.client();
    let user = User::create(&mut client).await?;
    // So many that they last, and not many more.
    let filled = Instant::now();
    let mut written = user.fill(&mut client, 1000).await?;
    let per_second = 1000.0 / filled.elapsed().as_secs_f64();
    if per_second > 10_000.0 {
        written.extend(user.fill(&mut client, 40_000).await?);
    }
    let (begun, deleted) = (Instant::now(), Cell::new(Duration::ZERO));
    let mut measured = drive(pds, 8, limit, "requests", async |client, n| {
        let Some((rkey, _)) = written.get(n) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Ok(0.0);
        };
        let body = json!({ "repo": user.did, "collection": POST, "rkey": rkey });
        client.call("com.atproto.repo.deleteRecord", Some(&user.auth), &body).await?;
        deleted.set(begun.elapsed());
        Ok(1.0)
    })
    .await?;
    // All of them may be gone before the time is up.
    measured.elapsed = deleted.get();
    measured.latencies.truncate(measured.count as usize);
    ensure(user.get_post(&mut client, &written[0]).await.is_err(), || "a deleted record is still served".into())?;
    Ok(measured)
}

async fn get_record(pds: &Pds, limit: Duration) -> Result<Measured> {
    let user = User::create(&mut pds.client()).await?;
    let written = user.fill(&mut pds.client(), 1000).await?;
    drive(pds, 8, limit, "requests", async |client, n| {
        user.get_post(client, &written[n.wrapping_mul(7919) % written.len()]).await.map(|()| 1.0)
    })
    .await
}

async fn list_records(pds: &Pds, limit: Duration) -> Result<Measured> {
    let user = User::create(&mut pds.client()).await?;
    user.fill(&mut pds.client(), 1000).await?;
    let cursor = RefCell::new(None);
    drive(pds, 8, limit, "requests", async |client, _| {
        let at: Option<String> = cursor.borrow().clone();
        let (count, next) = user.list(client, 100, at.as_deref()).await?;
        ensure(count == 100 || at.is_some(), || format!("a first page of {count}"))?;
        *cursor.borrow_mut() = next.filter(|_| count == 100);
        Ok(1.0)
    })
    .await
}

async fn get_repo(pds: &Pds, limit: Duration) -> Result<Measured> {
    let user = User::create(&mut pds.client()).await?;
    let written = user.fill(&mut pds.client(), 10_000).await?;
    let archive = user.export(&mut pds.client()).await?;
    user::check_export(&archive, &user.did, &written)?;
    drive(pds, 2, limit, "MB", async |client, _| {
        let again = user.export(client).await?;
        ensure(again.len() == archive.len(), || "the export changed".into())?;
        Ok(again.len() as f64 / 1e6)
    })
    .await
}

/// An account that moves here, with a repo of 10,000 records: only the import itself is measured.
async fn import_repo(pds: &Pds, limit: Duration) -> Result<Measured> {
    const RECORDS: usize = 10_000;
    let begun = Instant::now();
    let mut measured = Measured { unit: "records", ..Measured::default() };
    while measured.latencies.is_empty() || begun.elapsed() < limit && measured.latencies.len() < 10 {
        let mut client = pds.client();
        let (user, key) = moving_user(pds).await?;
        let archive = archive(&user.did, &key, RECORDS)?;
        let (cpu, asked) = (pds.cpu(), Instant::now());
        let path = "/xrpc/com.atproto.repo.importRepo";
        client.send(Method::POST, path, Some(&user.auth), "application/vnd.ipld.car", archive.into()).await?;
        measured.elapsed += asked.elapsed();
        measured.cpu += pds.cpu().saturating_sub(cpu);
        measured.latencies.push(asked.elapsed().as_micros() as u64);
        measured.count += RECORDS as f64;
        let status = client.get("/xrpc/com.atproto.server.checkAccountStatus", Some(&user.auth)).await?;
        let status: serde_json::Value = serde_json::from_slice(&status)?;
        ensure(status["indexedRecords"] == RECORDS, || format!("imported were {RECORDS} records: {status}"))?;
    }
    measured.rss_mib = pds.rss_mib();
    Ok(measured)
}

/// Makes an account that moves here, and returns it with the key of its DID.
pub(crate) async fn moving_user(pds: &Pds) -> Result<(User, SigningKey)> {
    let (key, did) = move_account(pds).await?;
    let handle = format!("m{:x}.test", user::unique() & 0xff_ffff_ffff);
    let token = user::service_token(&key, &did, &pds.service_did, "com.atproto.server.createAccount");
    let body = json!({ "did": did, "handle": handle, "email": format!("{handle}@example.com"), "password": PASSWORD });
    let made = pds.client().call("com.atproto.server.createAccount", Some(&format!("Bearer {token}")), &body).await?;
    Ok((User::of(&made)?, key))
}

/// Makes a DID whose account is elsewhere, and returns it with its key.
async fn move_account(pds: &Pds) -> Result<(SigningKey, String)> {
    let mut secret = [1; 32];
    secret[..8].copy_from_slice(&user::unique().to_be_bytes());
    let key = SigningKey::from_bytes(Curve::K256, &secret)?;
    let public = key.verifying_key().to_did_key();
    let elsewhere = Service { r#type: "AtprotoPersonalDataServer".into(), endpoint: "https://elsewhere.test".into() };
    let operation = UnsignedOperation::Plc(PlcOperation {
        rotation_keys: vec![public.clone()],
        verification_methods: [("atproto".to_owned(), public)].into(),
        also_known_as: vec!["at://elsewhere.test".into()],
        services: [("atproto_pds".to_owned(), elsewhere)].into(),
        prev: None,
    });
    let operation = operation.sign(&key);
    let did = operation.derived_did().to_string();
    let body = serde_json::to_vec(&operation)?;
    Client::new(&pds.plc).send(Method::POST, &format!("/{did}"), None, "application/json", body.into()).await?;
    Ok((key, did))
}

/// Returns a signed repo as a CAR.
pub(crate) fn archive(did: &str, key: &SigningKey, count: usize) -> Result<Vec<u8>> {
    let mut blocks: Vec<(Cid, Vec<u8>)> = Vec::with_capacity(2 * count);
    let mut nodes = Vec::new();
    let mut builder = Builder::new(|cid, _, block| {
        nodes.push((cid, block));
        Ok::<(), std::convert::Infallible>(())
    });
    let first = user::micros() - 3_600_000_000;
    for n in 0..count {
        let block = cbor::encode(&data::parse(user::post().to_string().as_bytes())?);
        let cid = Cid::dag_cbor(&block);
        let key: Key = format!("{POST}/{}", Tid::from_parts(first + n as u64 * 1000, 1)).parse()?;
        builder.push(&key, cid)?;
        blocks.push((cid, block));
    }
    let root = builder.finish()?;
    let rev = Tid::from_parts(user::micros(), 3);
    let commit = UnsignedCommit { did: did.parse()?, rev, data: root }.sign(key);
    let mut out = car::header(&commit.cid);
    car::write_block(&mut out, &commit.cid, &commit.block);
    for (cid, block) in nodes.iter().chain(&blocks) {
        car::write_block(&mut out, cid, block);
    }
    Ok(out)
}

const BLOB_BYTES: usize = 200_000;

/// Returns bytes that no other blob has.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = user::unique() | 1;
    let mut out = Vec::with_capacity(bytes);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out
}

async fn upload(client: &mut Client, user: &User) -> Result<serde_json::Value> {
    let bytes = noise(BLOB_BYTES);
    let own = Cid::raw(&bytes).to_string();
    let path = "/xrpc/com.atproto.repo.uploadBlob";
    let answer = client.send(Method::POST, path, Some(&user.auth), "application/octet-stream", bytes.into()).await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    ensure(answer["blob"]["ref"]["$link"] == own, || format!("uploadBlob answered {answer}, the blob is {own}"))?;
    Ok(answer["blob"].clone())
}

async fn upload_blob(pds: &Pds, limit: Duration) -> Result<Measured> {
    drive(pds, 4, limit, "MB", async |client, _| upload(client, &pds.users[0]).await.map(|_| BLOB_BYTES as f64 / 1e6)).await
}

async fn get_blob(pds: &Pds, limit: Duration) -> Result<Measured> {
    let (mut client, user) = (pds.client(), &pds.users[0]);
    let mut cids = Vec::new();
    for _ in 0..10 {
        let blob = upload(&mut client, user).await?;
        let record = json!({ "$type": "com.example.blob", "blob": blob });
        let body = json!({ "repo": user.did, "collection": "com.example.blob", "record": record, "validate": false });
        client.call("com.atproto.repo.createRecord", Some(&user.auth), &body).await?;
        cids.push(user::text(&blob["ref"], "$link")?.to_owned());
    }
    // The official server moves the blob after its answer.
    tokio::time::sleep(Duration::from_millis(300)).await;
    drive(pds, 4, limit, "MB", async |client, n| {
        let cid = &cids[n % cids.len()];
        let bytes = client.get(&format!("/xrpc/com.atproto.sync.getBlob?did={}&cid={cid}", user.did), None).await?;
        ensure(bytes.len() == BLOB_BYTES, || format!("a blob of {} bytes", bytes.len()))?;
        // Hashing all of them would be most of the work.
        ensure(n >= cids.len() || Cid::raw(&bytes).to_string() == *cid, || "another blob".into())?;
        Ok(BLOB_BYTES as f64 / 1e6)
    })
    .await
}

/// Nine reads to one write, by twenty accounts.
async fn mixed(pds: &Pds, limit: Duration) -> Result<Measured> {
    let mut client = pds.client();
    let mut written = Vec::new();
    for user in &pds.users {
        written.push(user.fill(&mut client, 50).await?);
    }
    drive(pds, 8, limit, "requests", async |client, n| {
        let who = n.wrapping_mul(31) % pds.users.len();
        let user = &pds.users[who];
        match n % 20 {
            0 | 10 => drop(user.create_post(client).await?),
            1..=6 | 11..=16 => user.get_post(client, &written[who][n % 50]).await?,
            7 | 8 | 17 => drop(user.list(client, 50, None).await?),
            9 | 18 => drop(client.get(&format!("/xrpc/com.atproto.sync.getLatestCommit?did={}", user.did), None).await?),
            _ => drop(client.get("/xrpc/com.atproto.server.getSession", Some(&user.auth)).await?),
        }
        Ok(1.0)
    })
    .await
}

/// From the answer to a write until its event is there, on a server that does nothing else.
async fn live_latency(pds: &Pds, limit: Duration) -> Result<Measured> {
    let mut reader = live_reader(pds, Depth::Order).await?;
    let mut client = pds.client();
    let (mut latencies, begun, cpu) = (Vec::new(), Instant::now(), pds.cpu());
    while begun.elapsed() < limit && latencies.len() < 200 {
        let user = &pds.users[0];
        // The reader listens while the answer is waited for, or it would only be seen when the answer has come.
        let path = |(rkey, _): &user::Written| format!("{}/{POST}/{rkey}", user.did);
        let events = reader.events;
        let (written, ()) =
            futures_util::future::try_join(async { Ok((user.create_post(&mut client).await?, Instant::now())) }, async {
                while reader.events == events {
                    tokio::time::timeout(Duration::from_secs(5), reader.next()).await??;
                }
                Result::Ok(())
            })
            .await?;
        let (written, answered) = written;
        let (seen, cid) = reader.seen.get(&path(&written)).ok_or("the event is another one")?;
        ensure(*cid == written.1, || "the event has another CID".into())?;
        latencies.push(seen.saturating_duration_since(answered).as_micros() as u64);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let count = latencies.len() as f64;
    Ok(Measured {
        count,
        unit: "events",
        elapsed: begun.elapsed(),
        cpu: pds.cpu().saturating_sub(cpu),
        latencies,
        rss_mib: pds.rss_mib(),
    })
}

/// Connects a reader and waits until it gets what is new.
async fn live_reader(pds: &Pds, depth: Depth) -> Result<Reader> {
    let mut reader = Reader::connect(&pds.base, None, depth).await?;
    let mut client = pds.client();
    for _ in 0..50 {
        pds.users[0].create_post(&mut client).await?;
        if let Ok(frame) = tokio::time::timeout(Duration::from_millis(1500), reader.next()).await {
            frame?;
            // What else came of those attempts.
            while tokio::time::timeout(Duration::from_millis(50), reader.next()).await.is_ok() {}
            return Ok(reader);
        }
    }
    Err("the firehose stayed silent".into())
}

/// Many readers while four connections write flat out. Each reader gets every commit between two marks once and in one order, and
/// the first one checks what is in them.
async fn fan_out(pds: &Pds, limit: Duration, subscribers: usize) -> Result<Measured> {
    let mut readers = Vec::new();
    for n in 0..subscribers {
        readers.push(Reader::connect(&pds.base, None, if n == 0 { Depth::Whole } else { Depth::Count }).await?);
    }
    mark_live(pds, &mut readers).await?;
    let (paths, cpu, begun) = (RefCell::new(Vec::new()), pds.cpu(), Instant::now());
    let (says, said) = tokio::sync::watch::channel(None);
    let writers = async {
        let written = drive(pds, 4, limit, "events", async |client, n| {
            let user = &pds.users[n % pds.users.len()];
            let (rkey, _) = user.create_post(client).await?;
            paths.borrow_mut().push(format!("{}/{POST}/{rkey}", user.did));
            Ok(1.0)
        })
        .await?;
        let (rkey, _) = pds.users[0].create_post(&mut pds.client()).await?;
        says.send_replace(Some(rkey));
        Result::Ok(written)
    };
    let reading = futures_util::future::join_all(readers.iter_mut().map(|reader| {
        let mut said = said.clone();
        async move {
            let mut last: Option<bytes::Bytes> = None;
            loop {
                let mark = said.borrow().clone();
                match mark {
                    // The mark may have been read before its name was known.
                    Some(mark) if last.as_ref().is_some_and(|frame| firehose::names(frame, &mark)) => {
                        return Result::Ok(Instant::now());
                    }
                    Some(mark) => {
                        reader.until(&mark).await?;
                        return Result::Ok(Instant::now());
                    }
                    None => tokio::select! {
                        frame = reader.next() => last = Some(frame?),
                        changed = said.changed() => changed?,
                    },
                }
            }
        }
    }));
    let (written, read) = futures_util::future::join(writers, reading).await;
    let latencies = written?.latencies;
    let mut end = begun;
    for at in read {
        end = end.max(at?);
    }
    let paths = paths.into_inner();
    let first = &readers[0];
    for (n, reader) in readers.iter().enumerate() {
        ensure(reader.commits == paths.len() as u64 + 1, || {
            format!("reader {n} got {} of {} commits", reader.commits - 1, paths.len())
        })?;
        ensure(reader.order == first.order, || format!("reader {n} got another order than the first"))?;
    }
    ensure(paths.iter().all(|path| first.seen.contains_key(path)), || "an event is missing".into())?;
    let (elapsed, cpu) = (end - begun, pds.cpu().saturating_sub(cpu));
    let count = (paths.len() * readers.len()) as f64;
    Ok(Measured { count, unit: "deliveries", elapsed, cpu, latencies, rss_mib: pds.rss_mib() })
}

/// Brings readers to the same place: they are live, and all that was before has been read.
async fn mark_live(pds: &Pds, readers: &mut [Reader]) -> Result<()> {
    let mut client = pds.client();
    for reader in readers.iter_mut() {
        // A server may take a while to see a new consumer, who gets nothing of what is written until then.
        let mut attempts = 0;
        while tokio::time::timeout(Duration::from_millis(1500), reader.next()).await.is_err() {
            attempts += 1;
            ensure(attempts < 20, || "the firehose stayed silent".into())?;
            pds.users[0].create_post(&mut client).await?;
        }
    }
    let (rkey, _) = pds.users[0].create_post(&mut client).await?;
    for reader in readers {
        reader.until(&rkey).await?;
        reader.count_anew();
    }
    Ok(())
}

/// Everything that is stored, from the beginning. The frames are counted while it is timed, and checked in a second pass.
async fn replay(pds: &Pds) -> Result<Measured> {
    let until = async |depth| {
        let (rkey, _) = pds.users[0].create_post(&mut pds.client()).await?;
        let mut reader = Reader::connect(&pds.base, Some(0), depth).await?;
        let (cpu, begun) = (pds.cpu(), Instant::now());
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(20), reader.next()).await??;
            if firehose::names(&frame, &rkey) {
                return Result::Ok((reader.events, begun.elapsed(), pds.cpu().saturating_sub(cpu)));
            }
        }
    };
    let (events, elapsed, cpu) = until(Depth::Count).await?;
    until(Depth::Whole).await?;
    let latencies = vec![elapsed.as_micros() as u64];
    Ok(Measured { count: events as f64, unit: "events", elapsed, cpu, latencies, rss_mib: pds.rss_mib() })
}
