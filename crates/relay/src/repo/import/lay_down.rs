//! A checked repo, laid down slice by slice under a number that no account has, and then put in the place of the old one.

use std::iter::Peekable;
use std::sync::Arc;

use common::{Cid, Datetime, Did, Tid};
use repo_engine::{Commit, UnsignedCommit};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::sorted::{Item, Sorted};
use super::{Checked, ImportError};
use crate::auth::RepoGrant;
use crate::background::{self, Breath};
use crate::firehose::frames;
use crate::repo::handle::{RepoHandle, RepoState};
use crate::repo::prepare::commit_car;
use crate::repo::slices::place;
use crate::repo::sweep::Importing;
use crate::repo::write::{CommitMeta, Repos, WriteError};
use crate::state::AppState;
use crate::store::backlink::Backlink;
use crate::store::{AccountId, BatchTx, Db, RepoId, StoreError, account, blob, record, repo, unused_repo};

/// Records of the repo here that are read at a time.
const PAGE: usize = 1024;
/// What is stored between two looks at the clock.
const PORTION_ROWS: usize = 64;
const PORTION_BYTES: usize = 64 << 10;
/// Portions that wait for the writer, and those that go to it at a time, which is more than it stores in a slice.
const PORTIONS_AHEAD: usize = 16;
const PORTIONS_AT_ONCE: usize = 16;

/// Puts a checked repo in the place of the one that `grant` is for, whether or not anyone waits for it, and returns when that is
/// durable; `None` when that has the same records already.
pub(crate) async fn import(app: &AppState, grant: RepoGrant, checked: Checked) -> Result<Option<CommitMeta>, ImportError> {
    let task = app.clone();
    let import = async move {
        let result = task.repos.import(&grant, checked).await;
        // The repo that was replaced, or the part of one that came to nothing.
        let sweeper = task.clone();
        task.work.spawn(async move {
            if let Err(err) = sweeper.repos.sweep(&sweeper.stop).await {
                let error = &err as &dyn std::error::Error;
                tracing::warn!(error, "what an import left could not be deleted; it will be tried again");
            }
        });
        result
    };
    app.to_end(import).await
}

impl Repos {
    /// See [`import`]. Over the repo's lock, so that a write which comes meanwhile waits, and stands on the new repo.
    async fn import(&self, grant: &RepoGrant, checked: Checked) -> Result<Option<CommitMeta>, ImportError> {
        let handle = self.handles.get(grant.account(), grant.did());
        let account = handle.account;
        let mut slot = handle.state.lock().await;
        let state = self.db.read(|conn| Ok::<_, WriteError>(self.newest(conn, &handle, &mut slot)?.tree())).await?;
        if state.0 == checked.data && state.1 > checked.rev {
            return Ok(None);
        }
        let under_way = self.importing.clone();
        let draw = move |tx: &mut BatchTx<'_>| Ok::<_, ImportError>(under_way.begin(unused_repo::draw_for(tx, account)?));
        let importing = self.db.reserve_write()?.of_repo(account, 1).submit(draw, |_| ()).await?;
        // What was on its way before is durable now, or failed.
        let (previous, commit) = self.db.read(|conn| self.commit_over(conn, &handle, &mut slot, &checked)).await?;
        let meta = CommitMeta { cid: commit.cid, rev: commit.rev };
        self.lay_down(account, &importing, commit.rev, checked.sorted).await?;
        // Whatever comes of it, the head in memory is read anew by the next write.
        *slot = None;
        let did = handle.did.clone();
        let number = importing.number;
        let last = move |tx: &mut BatchTx<'_>| take_place(tx, account, &did, number, &previous, &commit);
        place(&self.db).await?.of_repo(account, 1).submit(last, |_| ()).await?;
        Ok(Some(meta))
    }

    /// Signs a commit over the new tree, with a rev above that of the repo here and that of the CAR. Returns the head that it is
    /// to follow, too.
    fn commit_over(
        &self,
        conn: &rusqlite::Connection,
        handle: &RepoHandle,
        slot: &mut Option<RepoState>,
        checked: &Checked,
    ) -> Result<(Cid, Commit), WriteError> {
        let state = self.newest(conn, handle, slot)?;
        let rev = Tid::next_after(Some(state.rev.max(checked.rev)), self.clock.micros(), self.clock_id);
        let unsigned = UnsignedCommit { did: handle.did.clone(), rev, data: checked.data };
        Ok((state.head, unsigned.sign(&state.key)))
    }

    /// Stores the records, nodes and references of a repo under a number that no account has.
    async fn lay_down(&self, account: AccountId, importing: &Importing, rev: Tid, sorted: Sorted) -> Result<(), ImportError> {
        let number = importing.number;
        let (ready, mut waiting) = mpsc::channel(PORTIONS_AHEAD);
        let old = OldRecords::new(Arc::clone(&self.db), account);
        let laid_out = background::spawn(move || lay_out(&sorted, old, rev, &ready));
        let mut portions: Vec<Portion> = Vec::with_capacity(PORTIONS_AT_ONCE);
        loop {
            if portions.is_empty() && waiting.recv_many(&mut portions, PORTIONS_AT_ONCE).await == 0 {
                break;
            }
            while portions.len() < PORTIONS_AT_ONCE
                && let Ok(portion) = waiting.try_recv()
            {
                portions.push(portion);
            }
            let slice = std::mem::take(&mut portions);
            let stored = self.slices.next(&self.db, move |tx, budget| {
                // Should the account have been deleted meanwhile, nobody would have what is stored here.
                if !unused_repo::is_of(tx, number, account)? || repo::number(tx, account)?.is_none() {
                    return Err(ImportError::Repo(WriteError::RepoNotFound));
                }
                let mut rest = slice.into_iter();
                for portion in rest.by_ref() {
                    portion.store(tx, account, number)?;
                    if !budget.is_left() {
                        break;
                    }
                }
                Ok(rest.collect())
            });
            portions = stored.await?.value;
        }
        laid_out.await
    }
}

/// Makes the repo under `number` that of the account: from here on readers see it, and the one before is to be swept.
fn take_place(
    tx: &mut BatchTx<'_>,
    account: AccountId,
    did: &Did,
    number: RepoId,
    previous: &Cid,
    commit: &Commit,
) -> Result<(), ImportError> {
    let row = repo::RepoRow {
        head: commit.cid,
        rev: commit.rev,
        data: commit.data,
        commit_block: commit.block.to_vec(),
        fresh_nodes: Vec::new(),
    };
    if !unused_repo::is_of(tx, number, account)? || !repo::replace(tx, account, previous, &row)? {
        return Err(WriteError::Superseded.into());
    }
    let old = repo::number(tx, account)?.ok_or(WriteError::RepoNotFound)?;
    // Only now, for a moderator may decide at any time.
    record::carry_takedowns(tx, old, number)?;
    account::set_repo(tx, account, number)?;
    unused_repo::delete(tx, number)?;
    unused_repo::insert(tx, old, account)?;
    let is_active = account::find(tx, account)?.is_some_and(|account| account.status.is_active());
    if is_active {
        let time = Datetime::from_millis(tx.now_millis());
        let blocks = commit_car(&commit.cid, &commit.block);
        tx.emit(account, &frames::sync(did, commit.rev, &blocks, time.as_str()))?;
    }
    Ok(())
}

/// Some rows, ready to be stored.
struct Portion {
    rows: Vec<Row>,
    bytes: usize,
}

enum Row {
    Node { cid: Cid, rev: Tid, block: Vec<u8> },
    Record { path: String, cid: Cid, rev: Tid, block: Vec<u8>, link: Option<Backlink>, blobs: Vec<Cid> },
}

impl Portion {
    fn new() -> Self {
        Self { rows: Vec::with_capacity(PORTION_ROWS), bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= PORTION_ROWS || self.bytes >= PORTION_BYTES
    }

    fn store(&self, tx: &BatchTx<'_>, account: AccountId, number: RepoId) -> Result<(), StoreError> {
        for row in &self.rows {
            match row {
                Row::Node { cid, rev, block } => repo::insert_node(tx, number, cid, *rev, block)?,
                Row::Record { path, cid, rev, block, link, blobs } => {
                    record::insert_linked(tx, number, path, cid, *rev, block, link.as_ref())?;
                    for blob in blobs {
                        blob::refer_ahead(tx, account, number, path, blob, *rev)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reads a checked repo and hands it on in portions, until nobody takes them.
///
/// A record that is the same in the repo here keeps its rev, so that who asks for what came since a rev is not sent it again.
fn lay_out(sorted: &Sorted, mut old: OldRecords, rev: Tid, ready: &mpsc::Sender<Portion>) -> Result<(), ImportError> {
    let mut portion = Portion::new();
    let mut items = sorted.read()?;
    let mut breath = Breath::default();
    while let Some(item) = items.next()? {
        breath.take();
        let row = match item {
            Item::Node { cid, block } => Row::Node { cid, rev, block: block.to_vec() },
            Item::Record { path, cid, blobs, block } => Row::Record {
                rev: old.find(path)?.filter(|(before, _)| *before == cid).map_or(rev, |(_, since)| since),
                link: Backlink::of_record(path, block),
                path: path.to_owned(),
                block: block.to_vec(),
                cid,
                blobs,
            },
        };
        let (Row::Node { block, .. } | Row::Record { block, .. }) = &row;
        portion.bytes += block.len();
        portion.rows.push(row);
        if portion.is_full() && ready.blocking_send(std::mem::replace(&mut portion, Portion::new())).is_err() {
            return Ok(());
        }
    }
    // Whoever does not take it has failed already.
    drop(ready.blocking_send(portion));
    Ok(())
}

/// The records that a repo has, in order, a page at a time. Nobody changes them, over the lock.
struct OldRecords {
    db: Arc<Db>,
    server: Handle,
    account: AccountId,
    page: Peekable<std::vec::IntoIter<(String, Cid, Tid)>>,
    after: String,
    ended: bool,
}

impl OldRecords {
    fn new(db: Arc<Db>, account: AccountId) -> Self {
        let page = Vec::new().into_iter().peekable();
        Self { db, server: Handle::current(), account, page, after: String::new(), ended: false }
    }

    /// Returns CID and rev of the record at `path`, and passes over those before it: paths are to be asked for in their order.
    fn find(&mut self, path: &str) -> Result<Option<(Cid, Tid)>, StoreError> {
        loop {
            while let Some((found, cid, rev)) = self.page.next_if(|(found, ..)| found.as_str() <= path) {
                if found == path {
                    return Ok(Some((cid, rev)));
                }
            }
            if self.ended || self.page.peek().is_some() {
                return Ok(None);
            }
            let read = self.db.read(|conn| record::versions_after(conn, self.account, &self.after, PAGE));
            let page = self.server.block_on(read)?;
            self.ended = page.len() < PAGE;
            if let Some((last, ..)) = page.last() {
                self.after.clone_from(last);
            }
            self.page = page.into_iter().peekable();
        }
    }
}
