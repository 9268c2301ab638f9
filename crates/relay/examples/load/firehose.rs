//! A reader of the firehose that checks what it gets.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::{Cid, Value, cbor};
use futures_util::StreamExt as _;
use repo_engine::{Action, Commit, MemoryStore, Op, car, invert};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::{Result, ensure};

/// How much of what it gets a reader looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// That frames come.
    Nothing,
    /// That `seq` grows, found without decoding; for the speed of the server.
    Count,
    /// `seq` and the operations.
    Order,
    /// Also every hash, and that each commit inverts to the one before it.
    Whole,
}

/// A connection to `subscribeRepos`.
pub(crate) struct Reader {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    depth: Depth,
    last_seq: i64,
    /// Root of the tree and rev of each repo.
    repos: HashMap<String, (Cid, String)>,
    pub(crate) events: u64,
    /// How many of them are commits, and a number that tells one order of commits from another.
    pub(crate) commits: u64,
    pub(crate) order: u64,
    pub(crate) bytes: u64,
    /// When each record's event came, by `did/path`, and its CID.
    pub(crate) seen: HashMap<String, (Instant, String)>,
}

impl Reader {
    pub(crate) async fn connect(base: &str, cursor: Option<i64>, depth: Depth) -> Result<Self> {
        let cursor = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let url = format!("{}/xrpc/com.atproto.sync.subscribeRepos{cursor}", base.replace("http://", "ws://"));
        let (socket, _) = tokio_tungstenite::connect_async(url).await?;
        Ok(Self {
            socket,
            depth,
            last_seq: 0,
            repos: HashMap::new(),
            events: 0,
            commits: 0,
            order: 0,
            bytes: 0,
            seen: HashMap::new(),
        })
    }

    /// Takes the next frame, and returns its bytes.
    pub(crate) async fn next(&mut self) -> Result<bytes::Bytes> {
        loop {
            let message = self.socket.next().await.ok_or("the firehose ended")??;
            let Message::Binary(frame) = message else { continue };
            self.events += 1;
            self.bytes += frame.len() as u64;
            match self.depth {
                Depth::Nothing => {}
                Depth::Count => self.glance(&frame)?,
                Depth::Order | Depth::Whole => self.check(&frame)?,
            }
            return Ok(frame);
        }
    }

    /// Takes frames until the commit that made the record `rkey`, that one included.
    pub(crate) async fn until(&mut self, rkey: &str) -> Result<()> {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(20), self.next()).await??;
            if names(&frame, rkey) {
                return Ok(());
            }
        }
    }

    /// Forgets what was counted, but not where it is.
    pub(crate) fn count_anew(&mut self) {
        (self.events, self.commits, self.order, self.bytes) = (0, 0, 0, 0);
        self.seen.clear();
    }

    fn glance(&mut self, frame: &[u8]) -> Result<()> {
        let Some(seq) = seq_at_a_glance(frame) else { return Ok(()) };
        ensure(seq > self.last_seq, || format!("seq {seq} after {}", self.last_seq))?;
        self.last_seq = seq;
        if find(&frame[..frame.len().min(24)], b"#commit").is_some() {
            self.count_commit(seq);
        }
        Ok(())
    }

    fn count_commit(&mut self, seq: i64) {
        self.commits += 1;
        self.order = self.order.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seq.cast_unsigned());
    }

    fn check(&mut self, frame: &[u8]) -> Result<()> {
        // Two values stand back to back; headers are short.
        let split =
            (1..=frame.len().min(64)).find(|&at| cbor::decode(&frame[..at]).is_ok()).ok_or("a frame without a header")?;
        let header = cbor::decode(&frame[..split])?;
        let kind = header.get("t").and_then(Value::as_str).unwrap_or("an error");
        let body = cbor::decode(&frame[split..])?;
        let Some(seq) = body.get("seq").and_then(Value::as_integer) else {
            return ensure(kind == "#info", || format!("{kind} without seq"));
        };
        ensure(seq > self.last_seq, || format!("seq {seq} after {}", self.last_seq))?;
        self.last_seq = seq;
        if kind != "#commit" {
            return Ok(());
        }
        self.count_commit(seq);
        let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
        let repo = text("repo");
        let ops = body.get("ops").and_then(Value::as_array).ok_or("a #commit without ops")?;
        let ops: Vec<Op> = ops.iter().map(op).collect::<Result<_>>()?;
        for op in &ops {
            let cid = op.action.cid().map(|cid| cid.to_string()).unwrap_or_default();
            let path = format!("{repo}/{}", op.key.as_str());
            ensure(
                self.depth != Depth::Whole || !self.seen.contains_key(&path) || !matches!(op.action, Action::Create { .. }),
                || format!("{path} was created twice"),
            )?;
            self.seen.insert(path, (Instant::now(), cid));
        }
        if self.depth == Depth::Order {
            return Ok(());
        }
        let Some(Value::Bytes(blocks)) = body.get("blocks") else { return Err("a #commit without blocks".into()) };
        let (roots, blocks) = car::read_all(blocks)?;
        let find = |cid: &Cid| blocks.iter().find(|block| block.cid == *cid).ok_or("a block is missing");
        let commit = Commit::decode(&find(roots.first().ok_or("no root")?)?.bytes)?;
        ensure(commit.rev.to_string() == text("rev") && commit.did.as_str() == repo, || "the commit is another one".into())?;
        for cid in ops.iter().filter_map(|op| op.action.cid()) {
            find(&cid)?;
        }
        if let Some(previous) = body.get("prevData").and_then(Value::as_link) {
            let inverted = invert(&ops, &MemoryStore::from_blocks(&blocks), commit.data)?;
            ensure(inverted == previous, || format!("the commit {seq} inverts to another tree"))?;
            if let Some((data, rev)) = self.repos.get(repo) {
                ensure(*data == previous && rev == text("since"), || format!("the chain of {repo} is broken at {seq}"))?;
            }
        }
        self.repos.insert(repo.to_owned(), (commit.data, text("rev").to_owned()));
        Ok(())
    }
}

/// Whether a commit of few operations is about the record `rkey`. The operations stand before the rest.
pub(crate) fn names(frame: &[u8], rkey: &str) -> bool {
    frame.len() < 20_000 && find(&frame[..frame.len().min(250)], rkey.as_bytes()).is_some()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Finds the `seq` of a frame where its encoding puts it: near the front, for keys sort by length, but behind `ops`.
fn seq_at_a_glance(frame: &[u8]) -> Option<i64> {
    let rest = &frame[find(frame, b"\x63seq")? + 4..];
    let wide = |bytes: &[u8]| bytes.iter().fold(0_i64, |sum, &byte| sum << 8 | i64::from(byte));
    match rest.split_first()? {
        (&small @ 0..=23, _) => Some(i64::from(small)),
        (&head @ 0x18..=0x1b, rest) => rest.get(..1 << (head - 0x18)).map(wide),
        _ => None,
    }
}

fn op(op: &Value) -> Result<Op> {
    let key = op.get("path").and_then(Value::as_str).ok_or("an op without path")?.parse()?;
    let link = |field: &str| op.get(field).and_then(Value::as_link).ok_or("an op lacks a link");
    let action = match op.get("action").and_then(Value::as_str) {
        Some("create") => Action::Create { cid: link("cid")? },
        Some("update") => Action::Update { cid: link("cid")?, prev: link("prev")? },
        Some("delete") => Action::Delete { prev: link("prev")? },
        other => return Err(format!("an unknown action {other:?}").into()),
    };
    Ok(Op { key, action })
}
