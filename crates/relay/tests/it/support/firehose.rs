//! A consumer of the firehose that takes nothing on trust.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::{Cid, Value, cbor};
use futures_util::StreamExt as _;
use repo_engine::{Action, Commit, Key, MemoryStore, Op, car, invert};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A frame of the event stream.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// `#commit` and so on; empty for an error.
    pub(crate) kind: String,
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

/// A connection to `subscribeRepos`.
pub(crate) struct Follower {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    checker: Checker,
}

/// What a consumer knows of each repo: the rev and the root of its tree.
#[derive(Default)]
pub(crate) struct Checker {
    repos: HashMap<String, (String, Cid)>,
    last_seq: i64,
}

impl Follower {
    pub(crate) async fn connect(address: SocketAddr, cursor: Option<i64>) -> Self {
        let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let url = format!("ws://{address}/xrpc/com.atproto.sync.subscribeRepos{query}");
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self { socket, checker: Checker::default() }
    }

    /// Returns the next frame after checking it; `None` when the server closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(20), self.socket.next()).await;
            match message.expect("a frame arrives in time")? {
                Ok(Message::Binary(bytes)) => {
                    let frame = Frame::parse(&bytes);
                    self.checker.check(&frame);
                    return Some(frame);
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) => return None,
                Ok(other) => panic!("not a frame: {other:?}"),
                Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::Protocol(_) | tungstenite::Error::Io(_)) => {
                    return None;
                }
                Err(err) => panic!("{err}"),
            }
        }
    }

    /// Returns frames up to and with the one that `is_last` picks.
    pub(crate) async fn until(&mut self, mut is_last: impl FnMut(&Frame) -> bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await.expect("the stream goes on");
            let last = is_last(&frame);
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    /// The socket itself, for tests of how the server treats it.
    pub(crate) fn socket(&mut self) -> &mut WebSocketStream<MaybeTlsStream<TcpStream>> {
        &mut self.socket
    }
}

impl Frame {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        // Two values stand back to back; the header is the shortest prefix that is one.
        let split = (1..=bytes.len()).find(|&at| cbor::decode(&bytes[..at]).is_ok()).expect("a frame has a header");
        let header = cbor::decode(&bytes[..split]).unwrap();
        let body = cbor::decode(&bytes[split..]).expect("a frame has a body of strict DAG-CBOR");
        let kind = header.get("t").and_then(Value::as_str).unwrap_or_default().to_owned();
        assert_eq!(header.get("op").and_then(Value::as_integer), Some(if kind.is_empty() { -1 } else { 1 }));
        Self { kind, body, bytes: bytes.to_vec() }
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn seq(&self) -> i64 {
        self.body.get("seq").and_then(Value::as_integer).expect("the frame has a seq")
    }

    /// The DID that the frame is about.
    pub(crate) fn did(&self) -> &str {
        if self.kind == "#commit" { self.text("repo") } else { self.text("did") }
    }

    /// CID of the commit of a `#commit`; empty for others.
    pub(crate) fn commit(&self) -> String {
        self.body.get("commit").and_then(Value::as_link).map(|cid| cid.to_string()).unwrap_or_default()
    }

    /// What a `#commit` did, as `create app.bsky.feed.post/...`.
    pub(crate) fn ops(&self) -> Vec<String> {
        let ops = self.body.get("ops").and_then(Value::as_array).unwrap_or_default();
        let text = |op: &Value, field: &str| op.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        ops.iter().map(|op| format!("{} {}", text(op, "action"), text(op, "path"))).collect()
    }
}

impl Checker {
    /// Checks what Sync 1.1 promises: order, chain, and that each commit inverts from its own blocks to the one before.
    pub(crate) fn check(&mut self, frame: &Frame) {
        if frame.kind.is_empty() || frame.kind == "#info" {
            return;
        }
        assert!(frame.seq() > self.last_seq, "seq {} after {}", frame.seq(), self.last_seq);
        self.last_seq = frame.seq();
        if frame.kind != "#commit" && frame.kind != "#sync" {
            return;
        }
        let Some(Value::Bytes(blocks)) = frame.body.get("blocks") else { panic!("no blocks") };
        let (roots, archive) = car::read_all(blocks).expect("the CAR is good, down to the hash of each block");
        let root = roots[0];
        let block = |cid: &Cid| archive.iter().find(|block| block.cid == *cid).expect("the block is in the CAR");
        let commit = Commit::decode(&block(&root).bytes).expect("the root is a commit");
        assert_eq!(commit.rev.to_string(), frame.text("rev"));
        assert_eq!(commit.did.as_str(), frame.did());
        if frame.kind == "#commit" {
            assert_eq!(frame.body.get("commit").and_then(Value::as_link), Some(root));
            let ops = frame.body.get("ops").and_then(Value::as_array).unwrap();
            let ops: Vec<Op> = ops.iter().map(parse_op).collect();
            for cid in ops.iter().filter_map(|op| op.action.cid()) {
                block(&cid);
            }
            if let Some(previous) = frame.body.get("prevData").and_then(Value::as_link) {
                let store = MemoryStore::from_blocks(&archive);
                assert_eq!(invert(&ops, &store, commit.data).expect("the commit inverts from its own blocks"), previous);
                if let Some((rev, data)) = self.repos.get(frame.did()) {
                    assert_eq!((frame.text("since"), previous), (rev.as_str(), *data), "the chain is unbroken");
                }
            }
        }
        if let Some((rev, _)) = self.repos.get(frame.did())
            && frame.kind == "#commit"
        {
            assert!(frame.text("rev") > rev.as_str(), "revs grow");
        }
        self.repos.insert(frame.did().to_owned(), (frame.text("rev").to_owned(), commit.data));
    }
}

fn parse_op(op: &Value) -> Op {
    let key: Key = op.get("path").and_then(Value::as_str).unwrap().parse().unwrap();
    let link = |field: &str| op.get(field).and_then(Value::as_link);
    let action = match op.get("action").and_then(Value::as_str).unwrap() {
        "create" => Action::Create { cid: link("cid").unwrap() },
        "update" => Action::Update { cid: link("cid").unwrap(), prev: link("prev").unwrap() },
        "delete" => Action::Delete { prev: link("prev").unwrap() },
        other => panic!("unknown action {other}"),
    };
    Op { key, action }
}
