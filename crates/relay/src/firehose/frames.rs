//! Frames of the event stream: a DAG-CBOR header and a DAG-CBOR body, back to back.
//!
//! Map keys are written in DAG-CBOR order (by length, then by bytes). Everything but the value of `seq` is encoded here, when
//! the event is prepared; see [`FrameParts`].
//!
//! Spec: <https://atproto.com/specs/event-stream> and <https://atproto.com/specs/sync>

use common::cbor::Writer;
use common::{Cid, Did, Handle, Tid};
use repo_engine::{Action, Op};

use crate::store::account::Status;
use crate::store::event::FrameParts;

/// The contents of a `#commit`.
#[derive(Debug)]
pub(crate) struct CommitEvent<'a> {
    pub(crate) repo: &'a Did,
    pub(crate) commit: &'a Cid,
    pub(crate) rev: Tid,
    /// The rev before; `None` for the first commit of a repo.
    pub(crate) since: Option<Tid>,
    /// The tree's root before; `None` for the first commit of a repo.
    pub(crate) prev_data: Option<&'a Cid>,
    pub(crate) ops: &'a [Op],
    /// CAR, whose root is the commit.
    pub(crate) blocks: &'a [u8],
    pub(crate) time: &'a str,
}

/// Encodes a `#commit`.
pub(crate) fn commit(event: &CommitEvent<'_>) -> FrameParts {
    let mut head = begin("#commit", 64 + event.ops.len() * 160);
    head.map(if event.prev_data.is_some() { 12 } else { 11 });
    head.text("ops");
    head.array(event.ops.len());
    for op in event.ops {
        write_op(&mut head, op);
    }
    head.text("rev");
    tid(&mut head, event.rev);
    head.text("seq");

    let mut tail = Writer::with_capacity(256 + event.blocks.len());
    tail.text("repo");
    tail.text(event.repo.as_str());
    tail.text("time");
    tail.text(event.time);
    tail.text("blobs");
    tail.array(0);
    tail.text("since");
    match event.since {
        Some(since) => tid(&mut tail, since),
        None => tail.null(),
    }
    tail.text("blocks");
    tail.bytes(event.blocks);
    tail.text("commit");
    tail.link(event.commit);
    tail.text("rebase");
    tail.bool(false);
    tail.text("tooBig");
    tail.bool(false);
    if let Some(prev_data) = event.prev_data {
        tail.text("prevData");
        tail.link(prev_data);
    }
    FrameParts::new(head.into_vec(), tail.into_vec())
}

fn write_op(out: &mut Writer, op: &Op) {
    let (cid, prev) = (op.action.cid(), op.action.prev());
    out.map(if prev.is_some() { 4 } else { 3 });
    out.text("cid");
    out.optional_link(cid.as_ref());
    out.text("path");
    out.text(&op.key);
    if let Some(prev) = prev {
        out.text("prev");
        out.link(&prev);
    }
    out.text("action");
    out.text(match op.action {
        Action::Create { .. } => "create",
        Action::Update { .. } => "update",
        Action::Delete { .. } => "delete",
    });
}

/// Encodes a `#sync`: the repo's state is this commit, whatever was seen before. `blocks` is a CAR with the commit alone.
pub(crate) fn sync(did: &Did, rev: Tid, blocks: &[u8], time: &str) -> FrameParts {
    let mut head = begin("#sync", 128);
    head.map(5);
    head.text("did");
    head.text(did.as_str());
    head.text("rev");
    tid(&mut head, rev);
    head.text("seq");
    let mut tail = Writer::with_capacity(64 + blocks.len());
    tail.text("time");
    tail.text(time);
    tail.text("blocks");
    tail.bytes(blocks);
    FrameParts::new(head.into_vec(), tail.into_vec())
}

/// Encodes an `#identity`: consumers shall look the identity up again.
pub(crate) fn identity(did: &Did, handle: Option<&Handle>, time: &str) -> FrameParts {
    let mut head = begin("#identity", 128);
    head.map(if handle.is_some() { 4 } else { 3 });
    head.text("did");
    head.text(did.as_str());
    head.text("seq");
    let mut tail = Writer::with_capacity(128);
    tail.text("time");
    tail.text(time);
    if let Some(handle) = handle {
        tail.text("handle");
        tail.text(handle.as_str());
    }
    FrameParts::new(head.into_vec(), tail.into_vec())
}

/// Encodes an `#account`: the account's status on this host.
pub(crate) fn account(did: &Did, status: Status, time: &str) -> FrameParts {
    account_in(did, status.as_str(), time)
}

/// Encodes the `#account` of an account that is no more.
pub(crate) fn account_deleted(did: &Did, time: &str) -> FrameParts {
    account_in(did, Some("deleted"), time)
}

/// Encodes an `#account`, of an active account when there is no status.
fn account_in(did: &Did, status: Option<&str>, time: &str) -> FrameParts {
    let mut head = begin("#account", 128);
    head.map(if status.is_none() { 4 } else { 5 });
    head.text("did");
    head.text(did.as_str());
    head.text("seq");
    let mut tail = Writer::with_capacity(64);
    tail.text("time");
    tail.text(time);
    tail.text("active");
    tail.bool(status.is_none());
    if let Some(status) = status {
        tail.text("status");
        tail.text(status);
    }
    FrameParts::new(head.into_vec(), tail.into_vec())
}

/// Encodes an `#info` that tells a consumer that its cursor is older than what is kept. It has no `seq`.
pub(crate) fn outdated_cursor() -> Vec<u8> {
    let mut frame = begin("#info", 128);
    frame.map(2);
    frame.text("name");
    frame.text("OutdatedCursor");
    frame.text("message");
    frame.text("Requested cursor exceeded limit. Possibly missing events");
    frame.into_vec()
}

/// Encodes an error, after which the stream is closed.
pub(crate) fn error(name: &str, message: &str) -> Vec<u8> {
    let mut frame = Writer::with_capacity(128);
    frame.map(1);
    frame.text("op");
    frame.integer(-1);
    frame.map(2);
    frame.text("error");
    frame.text(name);
    frame.text("message");
    frame.text(message);
    frame.into_vec()
}

/// Writes the header of a message of type `t`.
fn begin(t: &str, capacity: usize) -> Writer {
    let mut frame = Writer::with_capacity(capacity);
    frame.map(2);
    frame.text("t");
    frame.text(t);
    frame.text("op");
    frame.integer(1);
    frame
}

fn tid(out: &mut Writer, tid: Tid) {
    let text = tid.as_text();
    out.text(std::str::from_utf8(&text).expect("a TID is ASCII"));
}
