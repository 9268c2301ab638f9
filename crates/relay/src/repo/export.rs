//! A whole repo as a CAR, streamed from one snapshot while writes go on.
//!
//! The commit comes first, then each node before what it holds, and records in the order of their keys: what a consumer needs
//! to verify the tree as it arrives. Records are read by one sequential scan beside the walk through the tree.

use std::time::Duration;

use bytes::Bytes;
use common::{Cid, Tid};
use repo_engine::{Step, Walk, car};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::prepare::commit_car;
use super::snapshot::{RepoSnapshot, SnapshotError};
use crate::background::{self, Breath};
use crate::store::{AccountId, Db, StoreError, record, repo, row};

/// Bytes that are handed on at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait for a slow reader.
const CHUNKS_AHEAD: usize = 2;
/// How long a reader may take for one chunk. An export has one of few connections to the database, and keeps its log from
/// beginning anew: who asked for one and read nothing could have both for good.
const STALL: Duration = Duration::from_secs(60);
/// Records read at a time.
const RECORDS_AHEAD: usize = 128;

/// An export that is under way. The stream ends early, with an error, when a block could not be read.
pub(crate) type Export = mpsc::Receiver<Result<Bytes, std::io::Error>>;

/// Begins the export of a repo; with `since`, only of what commits after that rev made. `None` when there is no such repo.
pub(crate) async fn export(db: &Db, account: AccountId, since: Option<Tid>) -> Result<Option<Export>, StoreError> {
    let reader = db.long_reader().await?;
    let (out, export) = mpsc::channel(CHUNKS_AHEAD);
    let (begun, begins) = tokio::sync::oneshot::channel();
    let server = Handle::current();
    let working = background::spawn(move || {
        let snapshot = reader.unchecked_transaction().map_err(StoreError::from).and_then(|tx| {
            // The transaction begins with its first read.
            RepoSnapshot::open(&reader, account).map(|snapshot| (tx, snapshot))
        });
        let (tx, snapshot) = match snapshot {
            Ok((tx, Some(snapshot))) => (tx, snapshot),
            Ok((_, None)) => return drop(begun.send(Ok(false))),
            Err(err) => return drop(begun.send(Err(err))),
        };
        if begun.send(Ok(true)).is_err() {
            return;
        }
        let mut chunks =
            Chunks { out, server, chunk: commit_car(&snapshot.head(), snapshot.commit_block()), breath: Breath::default() };
        let result = match since {
            None => whole(&snapshot, &mut chunks),
            Some(since) => changes(&snapshot, since, &mut chunks),
        };
        match result.and_then(|()| chunks.send(STALL)) {
            Ok(()) | Err(Stop::Gone) => {}
            // The word for it waits without this thread and its snapshot; without one, the part would pass for the whole.
            Err(Stop::Stalled) => {
                let Chunks { out, server, .. } = chunks;
                server.spawn(async move {
                    drop(out.send(Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the export was not read"))).await);
                });
            }
            Err(Stop::Failed(err)) => {
                tracing::error!(error = &err as &dyn std::error::Error, account = account.0, "the export of a repo failed");
                drop(chunks.out.blocking_send(Err(std::io::Error::other("the export failed"))));
            }
        }
        drop(tx);
    });
    // Nobody waits for it; what it has to say comes with the chunks.
    drop(working);
    match begins.await {
        Ok(Ok(true)) => Ok(Some(export)),
        Ok(Ok(false)) => Ok(None),
        Ok(Err(err)) => Err(err),
        Err(_) => Err(StoreError::Corrupt { table: "repo", column: "-", reason: "the export ended before it began".into() }),
    }
}

/// Why an export ends early.
enum Stop {
    /// Nobody reads it any more.
    Gone,
    /// Whoever reads it does not.
    Stalled,
    Failed(SnapshotError),
}

impl<E: Into<SnapshotError>> From<E> for Stop {
    fn from(err: E) -> Self {
        Self::Failed(err.into())
    }
}

/// Blocks on their way to the reader.
struct Chunks {
    out: mpsc::Sender<Result<Bytes, std::io::Error>>,
    /// Where time is told.
    server: Handle,
    chunk: Vec<u8>,
    breath: Breath,
}

impl Chunks {
    fn write(&mut self, cid: &Cid, block: &[u8]) -> Result<(), Stop> {
        self.breath.take();
        car::write_block(&mut self.chunk, cid, block);
        if self.chunk.len() >= CHUNK_BYTES { self.send(STALL) } else { Ok(()) }
    }

    fn send(&mut self, stall: Duration) -> Result<(), Stop> {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES + 8192));
        let sent = async { tokio::time::timeout(stall, self.out.send(Ok(chunk.into()))).await };
        match self.server.block_on(sent) {
            Ok(sent) => sent.map_err(|_| Stop::Gone),
            Err(_) => Err(Stop::Stalled),
        }
    }
}

fn whole(snapshot: &RepoSnapshot<'_>, chunks: &mut Chunks) -> Result<(), Stop> {
    let mut records = Records { snapshot, page: Vec::new().into_iter(), after: String::new() };
    let mut walk = Walk::new(snapshot, snapshot.data());
    while let Some(step) = walk.step()? {
        match step {
            Step::Node { cid, node } => chunks.write(&cid, &node.encode())?,
            Step::Record { key, cid } => {
                let block = records.take(key, &cid)?;
                chunks.write(&cid, &block)?;
            }
        }
    }
    Ok(())
}

fn changes(snapshot: &RepoSnapshot<'_>, since: Tid, chunks: &mut Chunks) -> Result<(), Stop> {
    let mut stop = None;
    for fresh in snapshot.fresh().since(since) {
        chunks.write(&fresh.cid, &fresh.bytes)?;
    }
    let mut write = |cid: Cid, block: &[u8]| {
        stop = chunks.write(&cid, block).err();
        Ok(stop.is_none())
    };
    repo::scan_nodes_since(snapshot.conn(), snapshot.account(), since, &mut write)?;
    record::scan(snapshot.conn(), snapshot.account(), Some(since), |_, cid, block| write(cid, block))?;
    stop.map_or(Ok(()), Err)
}

/// The records of a repo in the order of its tree, a page at a time.
struct Records<'s, 'c> {
    snapshot: &'s RepoSnapshot<'c>,
    page: std::vec::IntoIter<(String, Cid, Vec<u8>)>,
    after: String,
}

impl Records<'_, '_> {
    /// Returns the block of the next record, which the tree says is at `key`.
    fn take(&mut self, key: &str, cid: &Cid) -> Result<Vec<u8>, StoreError> {
        if self.page.len() == 0 {
            let page = record::page_after(self.snapshot.conn(), self.snapshot.account(), &self.after, RECORDS_AHEAD)?;
            if let Some((last, ..)) = page.last() {
                self.after.clone_from(last);
            }
            self.page = page.into_iter();
        }
        match self.page.next() {
            Some((path, stored, block)) if path == key && stored == *cid => Ok(block),
            Some((path, ..)) => Err(row::corrupt("record", "path", &format_args!("the tree has {key}, the table has {path}"))),
            None => Err(row::corrupt("record", "path", &format_args!("the tree has {key}, the table has no more"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight who asked for a repo and read nothing kept everyone else from exports, and the log of the database from ending.
    #[tokio::test]
    async fn who_does_not_read_does_not_hold_the_snapshot() {
        let (out, mut export) = mpsc::channel(1);
        let mut chunks = Chunks { out, server: Handle::current(), chunk: vec![1], breath: Breath::default() };
        let stopped = background::background(move || {
            assert!(chunks.send(STALL).is_ok(), "there is room for the first");
            chunks.send(Duration::from_millis(1))
        });
        assert!(matches!(stopped.await, Err(Stop::Stalled)));
        assert!(matches!(export.recv().await, Some(Ok(chunk)) if *chunk == [1]));
    }
}
