//! A repo of the old server: read and checked as a stranger's would be, and handed on in the order of its tree.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use common::{Cid, Codec, Did, Tid};
use crypto::VerifyingKey;
use repo_engine::{Builder, Commit, CommitError, Key, Node, NodeStore, Step, TreeError, Walk};
use rusqlite::{Connection, OptionalExtension as _};

use crate::repo::blobs_of;
use crate::store::{AccountId, BatchTx, RepoId, StoreError, blob, record, repo};

/// What is wrong with a repo.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("it has no head")]
    NoHead,
    #[error("its head is not a commit: {0}")]
    Commit(#[from] CommitError),
    #[error("its commit is that of {0}")]
    OtherDid(Did),
    #[error("its commit is not signed with the account's key")]
    Signature,
    #[error("the block {0} is missing")]
    Missing(Cid),
    #[error("the block {0} is damaged")]
    Damaged(Cid),
    #[error("its tree cannot be read: {0}")]
    Tree(String),
    #[error("its tree is not the one that its records have")]
    NotCanonical,
    #[error("the tree has {path} as {in_tree}, the list of records does not")]
    RecordDiffers { path: String, in_tree: Cid },
    #[error("the list of records has {listed} records, the tree has {in_tree}")]
    RecordCount { listed: u64, in_tree: u64 },
    #[error("the record at {path} is not a record: {reason}")]
    BadRecord { path: String, reason: String },
    #[error("its database cannot be read: {0}")]
    Database(rusqlite::Error),
}

/// Why a repo was not handed on: it is broken, or there is no place for it.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepoError {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error(transparent)]
    Sink(#[from] StoreError),
}

/// Where a repo goes.
pub(super) trait Sink {
    fn node(&mut self, cid: &Cid, rev: Tid, block: &[u8]) -> Result<(), StoreError>;
    fn record(&mut self, record: &Record<'_>) -> Result<(), StoreError>;
}

/// A record that was checked.
pub(super) struct Record<'a> {
    pub(super) path: &'a str,
    pub(super) cid: Cid,
    pub(super) rev: Tid,
    pub(super) takedown_ref: Option<&'a str>,
    pub(super) blobs: &'a [Cid],
    pub(super) block: &'a [u8],
}

/// What was read.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) commit: Commit,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// The blocks in an account's own database.
struct Blocks<'a>(&'a Connection);

/// Why a node was not had; made into [`Broken`] where the walk ends.
#[derive(Debug, thiserror::Error)]
enum NodeError {
    #[error(transparent)]
    Broken(Broken),
    #[error("it is not a node: {0}")]
    Form(#[from] repo_engine::NodeError),
}

impl Blocks<'_> {
    fn get(&self, cid: &Cid) -> Result<(Vec<u8>, Option<Tid>), Broken> {
        let sql = "SELECT content, repoRev FROM repo_block WHERE cid = ?1";
        let found = self.0.prepare_cached(sql).and_then(|mut statement| {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?));
            statement.query_row([cid.to_string()], row).optional()
        });
        let (block, rev) = found.map_err(Broken::Database)?.ok_or(Broken::Missing(*cid))?;
        if !cid.matches(&block) {
            return Err(Broken::Damaged(*cid));
        }
        Ok((block, rev.parse().ok()))
    }

    fn rev(&self, cid: &Cid) -> Result<Option<Tid>, Broken> {
        let sql = "SELECT repoRev FROM repo_block WHERE cid = ?1";
        let found = self
            .0
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([cid.to_string()], |row| row.get::<_, String>(0)).optional());
        Ok(found.map_err(Broken::Database)?.and_then(|rev| rev.parse().ok()))
    }
}

impl NodeStore for Blocks<'_> {
    type Error = NodeError;

    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, NodeError> {
        let (block, _) = self.get(cid).map_err(NodeError::Broken)?;
        Ok(Some(Arc::new(Node::decode(&Bytes::from(block))?)))
    }
}

/// Reads the repo of `did`, whose commit has to be signed with `key`, checks all of it, and hands it to `sink`.
pub(super) fn read(conn: &Connection, did: &Did, key: &VerifyingKey, sink: impl Sink) -> Result<Summary, RepoError> {
    let blocks = Blocks(conn);
    let head = conn.query_row("SELECT cid FROM repo_root WHERE did = ?1", [did.as_str()], |row| row.get::<_, String>(0));
    let head = head.optional().map_err(Broken::Database)?.and_then(|head| head.parse::<Cid>().ok()).ok_or(Broken::NoHead)?;
    let commit = Commit::decode(&blocks.get(&head)?.0).map_err(Broken::Commit)?;
    if commit.did != *did {
        return Err(Broken::OtherDid(commit.did).into());
    }
    commit.verify(key).map_err(|_| Broken::Signature)?;

    let sink = RefCell::new(sink);
    let bytes = RefCell::new(commit.block.len() as u64);
    let mut builder = Builder::new(|cid: Cid, _, block: Vec<u8>| -> Result<(), RepoError> {
        *bytes.borrow_mut() += block.len() as u64;
        let rev = blocks.rev(&cid)?.unwrap_or(commit.rev);
        Ok(sink.borrow_mut().node(&cid, rev, &block)?)
    });
    let mut records = 0;
    let mut walk = Walk::new(&blocks, commit.data);
    loop {
        let (path, cid) = match walk.step().map_err(tree)? {
            Some(Step::Record { key, cid }) => (key, cid),
            Some(Step::Node { .. }) => continue,
            None => break,
        };
        let bad = |reason: String| Broken::BadRecord { path: path.to_owned(), reason };
        let key = Key::parse(path).map_err(|err| bad(err.to_string()))?;
        if !builder.push(&key, cid)? {
            return Err(Broken::NotCanonical.into());
        }
        if cid.codec() != Codec::DagCbor {
            return Err(bad("its CID is not of DAG-CBOR".to_owned()).into());
        }
        let (block, made) = blocks.get(&cid)?;
        let named = blobs_of(&block).map_err(bad)?;
        let listed = listed(conn, did, path).map_err(Broken::Database)?;
        let listed = listed.filter(|listed| listed.cid == cid.to_string());
        let listed = listed.ok_or_else(|| Broken::RecordDiffers { path: path.to_owned(), in_tree: cid })?;
        let rev = listed.rev.parse().ok().or(made).unwrap_or(commit.rev);
        let takedown_ref = listed.takedown_ref.as_deref();
        let record = Record { path, cid, rev, takedown_ref, blobs: &named, block: &block };
        sink.borrow_mut().record(&record)?;
        records += 1;
        *bytes.borrow_mut() += block.len() as u64;
    }
    if builder.finish()? != commit.data {
        return Err(Broken::NotCanonical.into());
    }
    let count = conn.query_row("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0)).map_err(Broken::Database)?;
    if count as u64 != records {
        return Err(Broken::RecordCount { listed: count as u64, in_tree: records }.into());
    }
    Ok(Summary { commit, records, bytes: bytes.into_inner() })
}

fn tree(err: TreeError<NodeError>) -> Broken {
    match err {
        TreeError::Store(NodeError::Broken(broken)) => broken,
        other => Broken::Tree(other.to_string()),
    }
}

/// A row of the list of records, which the old server keeps beside the tree.
struct Listed {
    cid: String,
    rev: String,
    takedown_ref: Option<String>,
}

fn listed(conn: &Connection, did: &Did, path: &str) -> rusqlite::Result<Option<Listed>> {
    let mut statement = conn.prepare_cached("SELECT cid, repoRev, takedownRef FROM record WHERE uri = ?1")?;
    let row = |row: &rusqlite::Row<'_>| Ok(Listed { cid: row.get(0)?, rev: row.get(1)?, takedown_ref: row.get(2)? });
    statement.query_row([format!("at://{did}/{path}")], row).optional()
}

/// Looks at a repo without keeping it.
pub(super) struct Discard;

impl Sink for Discard {
    fn node(&mut self, _: &Cid, _: Tid, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn record(&mut self, _: &Record<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Stores a repo, but for its head.
pub(super) struct Store<'a, 'c> {
    pub(super) tx: &'a BatchTx<'c>,
    pub(super) account: AccountId,
    pub(super) repo: RepoId,
}

impl Sink for Store<'_, '_> {
    fn node(&mut self, cid: &Cid, rev: Tid, block: &[u8]) -> Result<(), StoreError> {
        repo::insert_node(self.tx, self.repo, cid, rev, block)
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        let Record { path, cid, rev, takedown_ref, blobs, block } = record;
        record::insert(self.tx, self.repo, path, cid, *rev, block)?;
        if takedown_ref.is_some() {
            record::set_takedown(self.tx, self.account, path, *takedown_ref)?;
        }
        for blob in *blobs {
            blob::refer_ahead(self.tx, self.account, self.repo, path, blob, *rev)?;
        }
        Ok(())
    }
}
