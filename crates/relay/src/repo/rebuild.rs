//! Deriving anew what follows from a repo's records: the nodes of the tree, the signed head, references to blobs, subjects.
//!
//! It all happens in one job of the writer, over the repo's lock, so nothing comes in between. Other repos wait meanwhile: some
//! seconds for a repo of a million records. What is replaced is laid aside first, in a database of its own in the folder
//! `evidence`; it is durable before the job's transaction is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use common::{Cid, Codec, Datetime, Did, Tid, Value, blob_ref, cbor};
use repo_engine::{Builder, Commit, Key, UnsignedCommit};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::prepare::commit_car;
use super::write::{Repos, WriteError};
use crate::firehose::frames;
use crate::secrets::Secrets;
use crate::store::{AccountId, BatchTx, RepoId, StoreError, WriteFailed, account, backlink, blob, record, repo, row};

/// When a repo gets a new head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewHead {
    /// Never: should the records make another tree than the head names, nothing is changed.
    Never,
    /// When the head is damaged or names another tree.
    WhereNeeded,
    /// In any case, so that the network is told with a `#sync` where the repo is.
    Always,
}

/// What was derived anew.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rebuilt {
    pub(crate) records: u64,
    /// Nodes that were missing or damaged.
    pub(crate) nodes_stored: u64,
    /// Nodes that were damaged or belong to no tree.
    pub(crate) nodes_removed: u64,
    /// The new head, if there is one.
    pub(crate) rev: Option<Tid>,
    /// The database with what was replaced, if anything was.
    pub(crate) evidence: Option<PathBuf>,
}

/// Why a repo could not be rebuilt. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebuildError {
    #[error("a record has the path {0:?}, which no tree can hold")]
    Path(String),
    #[error("the records make another tree than the head names: a record is missing, or one too many")]
    OtherTree,
    #[error("what is replaced could not be laid aside in {path}")]
    Evidence {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the folder {path} could not be made")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the account is gone")]
    Gone,
    #[error(transparent)]
    Key(Box<WriteError>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<rusqlite::Error> for RebuildError {
    fn from(err: rusqlite::Error) -> Self {
        Self::Store(err.into())
    }
}

/// What a rebuild goes by.
struct Rebuild {
    account: AccountId,
    did: Did,
    key: crypto::SigningKey,
    head: NewHead,
    folder: PathBuf,
    now_micros: u64,
    clock_id: u16,
}

impl Repos {
    /// Derives anew what follows from the records of a repo.
    pub(crate) async fn rebuild(&self, account: AccountId, did: &Did, head: NewHead) -> Result<Rebuilt, RebuildError> {
        let handle = self.handles.get(account, did);
        let mut slot = handle.state.lock().await;
        // Read anew by the next write, which waits for the lock until all is done.
        *slot = None;
        let key = self.db.read(|conn| signing_key(conn, &self.secrets, account, did)).await?;
        let rebuild = Rebuild {
            account,
            did: did.clone(),
            key,
            head,
            folder: self.evidence.clone(),
            now_micros: self.clock.micros(),
            clock_id: self.clock_id,
        };
        self.nodes.clear();
        self.db.reserve_write()?.of_repo(account, usize::MAX).submit(move |tx| rebuild.run(tx), |_| ()).await
    }
}

fn signing_key(
    conn: &Connection,
    secrets: &Secrets,
    account: AccountId,
    did: &Did,
) -> Result<crypto::SigningKey, RebuildError> {
    let sealed = account::sealed_signing_key(conn, account)?;
    secrets.open_signing_key(did, &sealed).map_err(|err| RebuildError::Key(Box::new(WriteError::Key(err))))
}

impl Rebuild {
    fn run(&self, tx: &mut BatchTx<'_>) -> Result<Rebuilt, RebuildError> {
        let account = account::find(tx, self.account)?.ok_or(RebuildError::Gone)?;
        let repo = repo::number(tx, self.account)?.ok_or(RebuildError::Gone)?;
        let mut evidence = Evidence::new(&self.folder, self.account, tx.now_millis());
        let mut rebuilt = Rebuilt::default();
        let before = repo::find(tx, self.account)?;
        let root = self.nodes(tx, repo, &mut evidence, &mut rebuilt)?;
        self.references(tx, repo)?;
        let sound = before.as_ref().is_some_and(|row| self.is_sound(row));
        let same_tree = before.as_ref().is_some_and(|row| row.data == root);
        let needs_head = match self.head {
            NewHead::Never if !(sound && same_tree) => return Err(RebuildError::OtherTree),
            NewHead::Never => false,
            NewHead::WhereNeeded => !(sound && same_tree),
            NewHead::Always => true,
        };
        if let Some(row) = &before {
            evidence.keep_head(row)?;
        }
        let row = if needs_head {
            let rev = Tid::next_after(before.as_ref().map(|row| row.rev), self.now_micros, self.clock_id);
            let commit = UnsignedCommit { did: self.did.clone(), rev, data: root }.sign(&self.key);
            rebuilt.rev = Some(rev);
            if account.status.is_active() {
                let time = Datetime::from_millis(tx.now_millis());
                let blocks = commit_car(&commit.cid, &commit.block);
                tx.emit(self.account, &frames::sync(&self.did, rev, &blocks, time.as_str()))?;
            }
            repo::RepoRow { head: commit.cid, rev, data: root, commit_block: commit.block.to_vec(), fresh_nodes: Vec::new() }
        } else {
            // The nodes beside the head are in the table now.
            let before = before.ok_or(RebuildError::OtherTree)?;
            repo::RepoRow { fresh_nodes: Vec::new(), ..before }
        };
        repo::put(tx, self.account, &row)?;
        rebuilt.evidence = evidence.finish()?;
        Ok(rebuilt)
    }

    fn is_sound(&self, row: &repo::RepoRow) -> bool {
        row.head.matches(&row.commit_block)
            && Commit::decode(&row.commit_block).is_ok_and(|commit| {
                (&commit.did, commit.rev, commit.data) == (&self.did, row.rev, row.data)
                    && commit.verify(self.key.verifying_key()).is_ok()
            })
    }

    /// Makes the table hold the nodes of the records' tree and no others, and returns the root.
    fn nodes(
        &self,
        tx: &BatchTx<'_>,
        repo: RepoId,
        evidence: &mut Evidence,
        rebuilt: &mut Rebuilt,
    ) -> Result<Cid, RebuildError> {
        let mut wanted = HashSet::new();
        let mut stored = 0;
        let evidence = std::cell::RefCell::new(evidence);
        let rev = Tid::next_after(None, self.now_micros, self.clock_id);
        let mut builder = Builder::new(|cid: Cid, _, block: Vec<u8>| -> Result<(), RebuildError> {
            wanted.insert(*cid.digest());
            match repo::find_node(tx, self.account, &cid)? {
                Some(found) if found == block => return Ok(()),
                Some(damaged) => evidence.borrow_mut().keep_node(&cid, &damaged)?,
                None => {}
            }
            stored += 1;
            Ok(repo::insert_node(tx, repo, &cid, rev, &block)?)
        });
        let mut after = String::new();
        loop {
            let page = record::paths_after(tx, self.account, &after, 1024)?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            for (path, cid) in page {
                let key = Key::parse(&path).map_err(|_| RebuildError::Path(path))?;
                rebuilt.records += 1;
                builder.push(&key, cid)?;
            }
        }
        let root = builder.finish()?;
        rebuilt.nodes_stored = stored;
        let evidence = evidence.into_inner();
        for cid in repo::list_nodes(tx, repo)? {
            if !wanted.contains(cid.digest()) {
                if let Some(block) = repo::find_node(tx, self.account, &cid)? {
                    evidence.keep_node(&cid, &block)?;
                }
                repo::delete_node(tx, repo, &cid)?;
                rebuilt.nodes_removed += 1;
            }
        }
        Ok(root)
    }

    /// Notes anew which blobs the records refer to, and of what follows, likes and their like are.
    fn references(&self, tx: &BatchTx<'_>, repo: RepoId) -> Result<(), RebuildError> {
        backlink::delete_all(tx, repo)?;
        let mut after = String::new();
        loop {
            let page = record::page_after(tx, self.account, &after, 512)?;
            let Some((last, ..)) = page.last() else { break };
            after.clone_from(last);
            for (path, cid, block) in &page {
                // What a damaged record referred to stays noted, so that its blobs stay.
                let Some(record) = cid.matches(block).then(|| cbor::decode(block).ok()).flatten() else { continue };
                backlink::note(tx, repo, path, block)?;
                self.blobs(tx, repo, path, &record)?;
            }
        }
        Ok(blob::settle(tx, self.account, repo)?)
    }

    fn blobs(&self, tx: &BatchTx<'_>, repo: RepoId, path: &str, record: &Value) -> Result<(), StoreError> {
        let named: HashSet<Cid> = blob_ref::named_blobs(record).into_iter().filter(|cid| cid.codec() == Codec::Raw).collect();
        let noted = blob::references_of(tx, repo, path)?;
        for cid in noted.iter().filter(|cid| !named.contains(cid)) {
            blob::drop_reference(tx, repo, path, cid)?;
        }
        for reference in blob_ref::blob_refs(record) {
            if reference.cid.codec() == Codec::Raw && !noted.contains(&reference.cid) {
                let rev = Tid::next_after(None, self.now_micros, self.clock_id);
                blob::refer_ahead(tx, self.account, repo, path, &reference.cid, rev)?;
            }
        }
        Ok(())
    }
}

/// Where what is replaced goes: a database of its own, made when there is something.
struct Evidence {
    folder: PathBuf,
    path: PathBuf,
    conn: Option<Connection>,
}

impl Evidence {
    fn new(folder: &Path, account: AccountId, now_millis: i64) -> Self {
        let path = folder.join(format!("repo-{}-{now_millis}.sqlite", account.0));
        Self { folder: folder.to_owned(), path, conn: None }
    }

    fn opened(&mut self) -> Result<&Connection, RebuildError> {
        let failed = |source| RebuildError::Evidence { path: self.path.clone(), source };
        if self.conn.is_none() {
            crate::data_dir::make_private_dir(&self.folder)
                .map_err(|source| RebuildError::Folder { path: self.folder.clone(), source })?;
            let conn = Connection::open(&self.path).map_err(failed)?;
            conn.execute_batch(
                "PRAGMA synchronous = FULL; BEGIN;
                 CREATE TABLE IF NOT EXISTS node (cid BLOB, block BLOB);
                 CREATE TABLE IF NOT EXISTS head (head BLOB, rev INTEGER, data BLOB, commit_block BLOB, fresh_nodes BLOB);",
            )
            .map_err(failed)?;
            self.conn = Some(conn);
        }
        self.conn.as_ref().ok_or(RebuildError::Gone)
    }

    fn keep_node(&mut self, cid: &Cid, block: &[u8]) -> Result<(), RebuildError> {
        let path = self.path.clone();
        let sql = "INSERT INTO node (cid, block) VALUES (?1, ?2)";
        let kept = self.opened()?.prepare_cached(sql).and_then(|mut insert| insert.execute(params![cid.digest(), block]));
        kept.map(|_| ()).map_err(|source| RebuildError::Evidence { path, source })
    }

    /// Lays the head aside, with the nodes that lay beside it.
    fn keep_head(&mut self, row: &repo::RepoRow) -> Result<(), RebuildError> {
        let path = self.path.clone();
        let sql = "INSERT INTO head (head, rev, data, commit_block, fresh_nodes) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![row.head.digest(), row::rev_value(row.rev), row.data.digest(), row.commit_block, row.fresh_nodes];
        let kept = self.opened()?.execute(sql, values);
        kept.map(|_| ()).map_err(|source| RebuildError::Evidence { path, source })
    }

    /// Makes it durable.
    fn finish(self) -> Result<Option<PathBuf>, RebuildError> {
        let Some(conn) = self.conn else { return Ok(None) };
        match conn.execute_batch("COMMIT") {
            Ok(()) => Ok(Some(self.path)),
            Err(source) => Err(RebuildError::Evidence { path: self.path, source }),
        }
    }
}
