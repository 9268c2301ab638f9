//! Very many open connections, of which most say nothing; and subscribers, of whom one hardly reads.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Client;
use crate::firehose::{Depth, Reader};
use crate::report::quantile_ms;
use crate::servers::Pds;
use crate::user::User;
use crate::{Result, ensure};

/// What the one on the slow link reads in a second.
const SLOW_BYTES_PER_SECOND: usize = 10_000;

/// Opens `connections` and leaves them alone, then subscribes with a tenth as many beside them; returns what was found.
pub(crate) async fn run(pds: &Pds, connections: usize, limit: Duration) -> Result<Value> {
    room_for(connections as u64 * 2 + 1000)?;
    let mut found = serde_json::Map::new();
    let mut tell = |what: &str, value: Value| {
        println!("| {what} | {value} |");
        found.insert(what.to_owned(), value);
    };
    let user = User::create(&mut pds.client()).await?;
    latencies(pds, &user, limit / 2).await?;
    let (before, quiet) = (pds.rss_mib(), latencies(pds, &user, limit).await?);
    tell("MiB before", json!(before));
    tell("createRecord before: p50, p99 ms", json!([quantile_ms(&quiet, 0.5), quantile_ms(&quiet, 0.99)]));

    let mut open = Vec::with_capacity(connections);
    let begun = Instant::now();
    for _ in 0..connections {
        let mut client = Client::new(&pds.base);
        client.get("/xrpc/_health", None).await?;
        open.push(client);
    }
    tell("idle connections", json!(connections));
    tell("opened in s", json!(begun.elapsed().as_secs_f64()));
    tell("KiB for each", json!(((pds.rss_mib() - before) * 1024.0 / connections as f64 * 10.0).round() / 10.0));
    let beside = latencies(pds, &user, limit).await?;
    tell("createRecord beside them: p50, p99 ms", json!([quantile_ms(&beside, 0.5), quantile_ms(&beside, 0.99)]));
    for client in &mut open {
        client.get("/xrpc/_health", None).await?;
    }
    tell("all served again", json!(true));

    let before = pds.rss_mib();
    let mut readers = Vec::with_capacity(connections / 10);
    for _ in 0..connections / 10 {
        readers.push(Reader::connect(&pds.base, None, Depth::Count).await?);
    }
    tell("idle subscribers beside them", json!(readers.len()));
    tell("KiB for each subscriber", json!(((pds.rss_mib() - before) * 1024.0 / readers.len() as f64 * 10.0).round() / 10.0));
    let (rkey, _) = user.create_post(&mut pds.client()).await?;
    for reader in &mut readers {
        reader.until(&rkey).await?;
    }
    tell("all of them got the event", json!(true));
    drop((open, readers));
    slow(pds, &user, limit, &mut tell).await?;
    Ok(Value::Object(found))
}

/// One consumer over a slow link, while others read and an account writes: it costs no memory, and ends with a word or has
/// everything in the end.
async fn slow(pds: &Pds, user: &User, limit: Duration, tell: &mut impl FnMut(&str, Value)) -> Result<()> {
    let before = pds.rss_mib();
    let host = pds.base.trim_start_matches("http://").to_owned();
    let socket = TcpSocket::new_v4()?;
    // What a link that is full holds, and not what two machines that are one have room for.
    socket.set_recv_buffer_size(16 << 10)?;
    let mut stream = socket.connect(host.parse()?).await?;
    let upgrade = format!(
        "GET /xrpc/com.atproto.sync.subscribeRepos HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await?;
    let mut reader = Reader::connect(&pds.base, None, Depth::Order).await?;
    let (mut client, begun) = (pds.client(), Instant::now());
    let (mut slow_bytes, mut most_mib, mut latencies, mut wrote) = (0, before, Vec::new(), 0);
    let mut buffer = vec![0; SLOW_BYTES_PER_SECOND / 20];
    while begun.elapsed() < limit * 2 {
        let asked = Instant::now();
        // As many in one commit as give a slow reader no chance.
        user.create_posts(&mut client, 50).await?;
        wrote += 1;
        while reader.commits < wrote {
            tokio::time::timeout(Duration::from_secs(5), reader.next()).await??;
        }
        latencies.push(asked.elapsed().as_micros() as u64);
        slow_bytes += tokio::time::timeout(Duration::from_millis(1), stream.read(&mut buffer)).await.unwrap_or(Ok(0))?;
        most_mib = most_mib.max(pds.rss_mib());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tell("slow subscriber: bytes it took", json!(slow_bytes));
    tell("written meanwhile, bytes", json!(reader.bytes));
    tell(
        "write to event of another subscriber: p50, p99 ms",
        json!([quantile_ms(&latencies, 0.5), quantile_ms(&latencies, 0.99)]),
    );
    tell("MiB that it cost at most", json!(most_mib - before));
    let (said, rest) = drain(&mut stream).await?;
    tell("bytes that it got when it read on", json!(rest));
    tell("the slow one was told ConsumerTooSlow", json!(said));
    ensure(said || rest as u64 + slow_bytes as u64 >= reader.bytes, || "the slow subscriber lost events without a word".into())
}

/// Reads until nothing comes for a while; tells whether there was the word that it is too slow.
async fn drain(stream: &mut TcpStream) -> Result<(bool, usize)> {
    let (mut last, mut count, mut buffer) = (Vec::new(), 0, vec![0; 64 << 10]);
    while let Ok(read) = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer)).await {
        let Ok(read @ 1..) = read else { break };
        count += read;
        last.extend_from_slice(&buffer[..read]);
        last.drain(..last.len().saturating_sub(1000));
    }
    Ok((last.windows(15).any(|part| part == b"ConsumerTooSlow"), count))
}

async fn latencies(pds: &Pds, user: &User, limit: Duration) -> Result<Vec<u64>> {
    let mut client = pds.client();
    let (begun, mut latencies) = (Instant::now(), Vec::new());
    let mut ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(Duration::from_millis(5)));
    while begun.elapsed() < limit && ticks.next().await.is_some() {
        let asked = Instant::now();
        user.create_post(&mut client).await?;
        latencies.push(asked.elapsed().as_micros() as u64);
    }
    Ok(latencies)
}

/// Lets this process have as many files open.
fn room_for(files: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: limit.maximum })
            .map_err(|err| format!("{files} open files: {err}"))?;
    }
    Ok(())
}
