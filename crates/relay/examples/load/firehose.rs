//! A reader of the firehose that checks what it gets.

use std::collections::HashMap;
use std::time::Instant;

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
    /// That frames come; for the speed of the server.
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
    pub(crate) bytes: u64,
    /// When each record's event came, by `did/path`, and its CID.
    pub(crate) seen: HashMap<String, (Instant, String)>,
}

impl Reader {
    pub(crate) async fn connect(base: &str, cursor: Option<i64>, depth: Depth) -> Result<Self> {
        let cursor = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let url = format!("{}/xrpc/com.atproto.sync.subscribeRepos{cursor}", base.replace("http://", "ws://"));
        let (socket, _) = tokio_tungstenite::connect_async(url).await?;
        Ok(Self { socket, depth, last_seq: 0, repos: HashMap::new(), events: 0, bytes: 0, seen: HashMap::new() })
    }

    /// Takes the next frame, and returns its bytes.
    pub(crate) async fn next(&mut self) -> Result<bytes::Bytes> {
        loop {
            let message = self.socket.next().await.ok_or("the firehose ended")??;
            let Message::Binary(frame) = message else { continue };
            self.events += 1;
            self.bytes += frame.len() as u64;
            if self.depth != Depth::Count {
                self.check(&frame)?;
            }
            return Ok(frame);
        }
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
        let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
        let repo = text("repo");
        let ops = body.get("ops").and_then(Value::as_array).ok_or("a #commit without ops")?;
        let ops: Vec<Op> = ops.iter().map(op).collect::<Result<_>>()?;
        for op in &ops {
            let cid = op.action.cid().map(|cid| cid.to_string()).unwrap_or_default();
            self.seen.insert(format!("{repo}/{}", op.key.as_str()), (Instant::now(), cid));
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
