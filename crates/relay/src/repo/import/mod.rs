//! A whole repo, taken from a CAR of another host.
//!
//! # How
//!
//! The body is laid down as it comes ([`staging`]), every block checked against its CID. When all is here: the commit must be
//! the account's and be signed ([`check_signature`]); the tree is walked, and built anew from its records, which must give the
//! same root; every record must be there and be data of the protocol. What is left is written down in the order in which it is
//! stored ([`sorted`]). All this happens beside the server's work, and nothing is stored yet. Then the repo is locked, and a
//! commit of our own is signed over the tree, with a rev above both that of the CAR and that of the repo here. The whole is laid
//! down under a number that no account has ([`lay_down`]), in slices between which others write, and one last transaction gives
//! the account that number with the new head. So readers see the old repo or the new one, a crash at any time leaves one of
//! them, and sending the CAR again is always right: where the repo has that tree already, nothing changes.
//!
//! The number is on the list of those to be swept ([`crate::store::unused_repo`]) before anything is stored under it, and the
//! last transaction puts the old one there in its place. So what a crash or a full disk cuts off is swept like what was replaced:
//! soon, or after the next start.
//!
//! # Whose signature
//!
//! 1. The key that the DID document names now, asked for anew: an old host's, while the DID still leads there.
//! 2. The account's key here: an export of our own comes back.
//! 3. When the document names our key already, any key that the did:plc's log named before: the identity moved first, and the
//!    repo must still be able to follow. A did:web keeps no such log: its owner moves the repo first, or by `move_in`, which
//!    keeps the key.
//!
//! # Tricky bits
//!
//! - Writes to the repo wait for its lock until the import is done, and stand on the new repo: none that was acknowledged after
//!   the import began is replaced by it.
//! - An account may be deleted, and a record taken down, while its repo is laid down: each slice looks whether there is an
//!   account, and the last transaction carries takedowns over.
//! - References to blobs count from when they are laid down, under whatever number: a blob that either repo needs stays.
//! - Blobs are referred to before they are here: `repo.listMissingBlobs` tells which, and they are permanent when they come.
//! - An active account may import too; the network is told by a `#sync`, since no `#commit` could hold the change.

mod lay_down;
mod sorted;
mod staging;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use common::{Cid, Codec, Did, Tid, Value, blob_ref, cbor};
use crypto::VerifyingKey;
use http_body_util::BodyExt as _;
use repo_engine::{Builder, Commit, CommitError, Key, Step, TreeError, Walk};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

pub(crate) use self::lay_down::import;
use self::sorted::{Sorted, SortedWriter};
pub(crate) use self::staging::StagingError;
use self::staging::{Receiver, Staged};
use super::write::WriteError;
use crate::auth::RepoGrant;
use crate::background::{self, Breath, background};
use crate::identity::{PlcClientError, ResolveError};
use crate::secrets::SecretError;
use crate::state::App;
use crate::store::{StoreError, WriteFailed, account, move_in};

/// Imports under way at once; each may fill a file as large as the largest import.
const AT_ONCE: usize = 4;
/// Chunks of the body that wait for the disk.
const CHUNKS_AHEAD: usize = 4;
/// How long a client may send nothing, and how long it may take for all.
const STALL: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(3600);

/// Where imports are laid down.
#[derive(Debug)]
pub(crate) struct Imports {
    folder: PathBuf,
    places: Arc<Semaphore>,
}

/// Why a repo was not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("Too many imports are under way; try again in a minute")]
    Busy,
    #[error("The upload stalled; try again")]
    Stalled,
    #[error("The request body could not be read")]
    Body(#[source] axum::Error),
    #[error("The repo has more than {limit} bytes, which is the most that this server takes")]
    TooLarge { limit: u64 },
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error("the root of the CAR is not among its blocks")]
    NoCommit,
    #[error("the root of the CAR is not a commit: {0}")]
    Commit(#[from] CommitError),
    #[error("the repo is that of {found}, not of {expected}")]
    OtherDid { found: Did, expected: Did },
    #[error("the commit is not signed by a key of {0}")]
    Signature(Did),
    #[error("the tree of the repo cannot be read: {0}")]
    Tree(#[source] Box<TreeError<StagingError>>),
    #[error("the tree of the repo is not the one that its records have")]
    NotCanonical,
    #[error("the record at {path} is missing")]
    MissingRecord { path: String },
    #[error("the record at {path} is not a record: {reason}")]
    BadRecord { path: String, reason: String },
    #[error("Could not resolve DID")]
    Resolve(#[source] ResolveError),
    #[error("Could not read the DID's log from the PLC directory")]
    Directory(#[source] PlcClientError),
    #[error("the signing key could not be opened")]
    Key(#[source] SecretError),
    #[error(transparent)]
    Repo(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<std::io::Error> for ImportError {
    fn from(err: std::io::Error) -> Self {
        Self::Staging(err.into())
    }
}

impl From<rusqlite::Error> for ImportError {
    fn from(err: rusqlite::Error) -> Self {
        Self::Store(err.into())
    }
}

impl Imports {
    /// `folder` holds imports while they are under way; their files have no names, so nothing is left after a crash.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Takes a CAR of at most `limit` bytes in.
    pub(crate) async fn receive(&self, body: Body, limit: u64) -> Result<Received, ImportError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ImportError::Busy)?;
        let mut receiver = Receiver::new(&self.folder)?;
        let (chunks, mut waiting) = mpsc::channel::<Bytes>(CHUNKS_AHEAD);
        let laid_down = background::spawn(move || -> Result<Receiver, StagingError> {
            while let Some(chunk) = waiting.blocking_recv() {
                receiver.feed(&chunk)?;
            }
            Ok(receiver)
        });
        let sent = tokio::time::timeout(WHOLE, send(body, chunks, limit)).await.map_err(|_| ImportError::Stalled);
        let receiver = laid_down.await?;
        sent??;
        let staged = background(move || receiver.finish()).await?;
        Ok(Received { staged: Arc::new(staged), place })
    }
}

/// Sends the body to the thread that lays it down. That it is not wanted any more is told by that thread.
async fn send(mut body: Body, chunks: mpsc::Sender<Bytes>, limit: u64) -> Result<(), ImportError> {
    let mut received = 0;
    loop {
        let frame = tokio::time::timeout(STALL, body.frame()).await.map_err(|_| ImportError::Stalled)?;
        let Some(frame) = frame else { return Ok(()) };
        let Ok(bytes) = frame.map_err(ImportError::Body)?.into_data() else { continue };
        received += bytes.len() as u64;
        if received > limit {
            return Err(ImportError::TooLarge { limit });
        }
        if chunks.send(bytes).await.is_err() {
            return Ok(());
        }
    }
}

/// A CAR that is here, and not yet looked into.
pub(crate) struct Received {
    staged: Arc<Staged>,
    place: OwnedSemaphorePermit,
}

/// A repo that was checked and waits to be stored.
pub(crate) struct Checked {
    rev: Tid,
    data: Cid,
    sorted: Sorted,
    _place: OwnedSemaphorePermit,
}

impl Received {
    /// Checks that the CAR is a whole repo of the account that `grant` is for, signed by a key of its DID.
    pub(crate) async fn check(self, app: &App, grant: &RepoGrant) -> Result<Checked, ImportError> {
        let block = self.staged.block(&self.staged.root())?.ok_or(ImportError::NoCommit)?;
        let commit = Commit::decode(&block)?;
        if commit.did != *grant.did() {
            return Err(ImportError::OtherDid { found: commit.did, expected: grant.did().clone() });
        }
        check_signature(app, grant, &commit).await?;
        let (staged, folder, data) = (self.staged, app.imports.folder.clone(), commit.data);
        let sorted = background(move || check_tree(&staged, data, &folder)).await?;
        Ok(Checked { rev: commit.rev, data: commit.data, sorted, _place: self.place })
    }
}

/// Checks that a commit was signed by a key that the account's DID has, or had while it led elsewhere: for a did:web, that is what
/// was kept of it when its move here began.
async fn check_signature(app: &App, grant: &RepoGrant, commit: &Commit) -> Result<(), ImportError> {
    let did = grant.did();
    let document = app.identity.refresh_did(did).await.map_err(ImportError::Resolve)?;
    let now = document.signing_key();
    if now.is_some_and(|key| commit.verify(key).is_ok()) {
        return Ok(());
    }
    let id = grant.account();
    let (sealed, old_key) =
        app.db.read(|conn| Ok::<_, StoreError>((account::sealed_signing_key(conn, id)?, move_in::old_key(conn, id)?))).await?;
    let old_key = old_key.and_then(|key| VerifyingKey::from_did_key(&key).ok());
    if old_key.is_some_and(|key| commit.verify(&key).is_ok()) {
        return Ok(());
    }
    let own = app.secrets.open_signing_key(did, &sealed).map_err(ImportError::Key)?;
    if commit.verify(own.verifying_key()).is_ok() {
        return Ok(());
    }
    if did.is_plc() && now == Some(own.verifying_key()) {
        let log = app.identity.plc().log(did).await.map_err(ImportError::Directory)?;
        let keys = log.iter().filter_map(|operation| operation.data(did)?.verification_methods.get("atproto").cloned());
        let signed = keys.filter_map(|key| VerifyingKey::from_did_key(&key).ok()).any(|key| commit.verify(&key).is_ok());
        if signed {
            return Ok(());
        }
    }
    Err(ImportError::Signature(did.clone()))
}

/// Walks the tree under `data`, checks it and its records, and writes both down in order.
fn check_tree(staged: &Staged, data: Cid, folder: &std::path::Path) -> Result<Sorted, ImportError> {
    let sorted = std::cell::RefCell::new(SortedWriter::new(folder)?);
    let mut builder = Builder::new(|cid, _, block| sorted.borrow_mut().node(&cid, &block));
    let mut walk = Walk::new(staged, data);
    let mut breath = Breath::default();
    loop {
        breath.take();
        let step = walk.step().map_err(|err| ImportError::Tree(Box::new(err)))?;
        let (key, cid) = match step {
            Some(Step::Record { key, cid }) => (key, cid),
            Some(Step::Node { .. }) => continue,
            None => break,
        };
        let block = match staged.block(&cid)? {
            Some(block) if cid.codec() == Codec::DagCbor => block,
            Some(_) => return Err(bad_record(key, &"its CID is not of DAG-CBOR")),
            None => return Err(ImportError::MissingRecord { path: key.to_owned() }),
        };
        let blobs = blobs_of(&block).map_err(|reason| bad_record(key, &reason))?;
        // The walk has the keys in order, and nodes have valid ones only.
        let key = Key::parse(key).map_err(|err| bad_record(key, &err))?;
        if !builder.push(&key, cid)? {
            return Err(ImportError::NotCanonical);
        }
        sorted.borrow_mut().record(&key, &cid, &blobs, &block)?;
    }
    if builder.finish()? != data {
        return Err(ImportError::NotCanonical);
    }
    Ok(sorted.into_inner().finish()?)
}

fn bad_record(path: &str, reason: &dyn std::fmt::Display) -> ImportError {
    ImportError::BadRecord { path: path.to_owned(), reason: reason.to_string() }
}

/// Reads a record's block, and returns the blobs that it names.
pub(crate) fn blobs_of(block: &[u8]) -> Result<Vec<Cid>, String> {
    match cbor::decode(block) {
        Ok(record @ Value::Map(_)) => {
            let mut blobs = blob_ref::named_blobs(&record);
            // What is not raw bytes is no blob, and could not be uploaded.
            blobs.retain(|cid| cid.codec() == Codec::Raw);
            Ok(blobs)
        }
        Ok(_) => Err("it is not a map".to_owned()),
        Err(err) => Err(err.to_string()),
    }
}
