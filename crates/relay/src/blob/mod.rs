//! The bytes of blobs.
//!
//! A blob is named by the hash of its content and lies in one place, whichever accounts have it; `store::blob` has a row for
//! each account that does. A row is made only when the bytes are durable, so whoever sees a row finds the bytes.
//!
//! # Collecting against uploading
//!
//! The bytes are removed when no row names them, and that check and the removal are two steps: an upload of the same content
//! could put its bytes in place before the check, and its row after the removal. [`Claims`](claims) keep the two apart. An
//! upload holds a claim on its digest from before its bytes are put in place until its row is durable or has failed. A removal
//! does not begin while there is a claim, checks the rows only after it has begun, and holds off new claims until it is done.
//! So of an upload and a removal of one digest,
//!
//! - either the claim ended before the removal began: then the check sees the row, since the row was committed before the
//!   claim ended, and the bytes stay;
//! - or the claim begins after the removal ended: then the upload puts its bytes in place anew.
//!
//! Claims live in memory, which is enough: one process has the data folder. When the process dies between the bytes and the
//! row, the bytes have no row, and the sweep finds them.

mod body;
mod claims;
mod collect;
mod conditional;
mod error;
mod files;
mod local;
mod media_type;
mod range;
mod register;
#[cfg(test)]
mod tests;
mod upload;

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::SystemTime;

use common::Cid;

pub(crate) use body::BlobBody;
pub(crate) use collect::collect;
pub(crate) use conditional::{Precondition, precondition};
pub(crate) use error::{BlobError, CollectError, RegisterError};
pub(crate) use files::BlobFiles;
pub(crate) use media_type::is_media_type;
pub(crate) use range::{Part, requested_part};
pub(crate) use register::{Registered, register};
pub(crate) use upload::Upload;

use claims::Claims;
use local::LocalFolder;

/// Where the bytes of blobs are kept; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BlobStore {
    backend: Backend,
    claims: Claims,
}

/// The kinds of places that keep blobs.
#[derive(Clone, Debug)]
enum Backend {
    Local(LocalFolder),
}

impl BlobStore {
    /// Opens a folder, which is made if need be, and clears it of uploads that an earlier process did not finish.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        Ok(Self { backend: Backend::Local(LocalFolder::open(dir)?), claims: Claims::default() })
    }

    /// Begins an upload of at most `limit` bytes; `expected` is the size that the client announced, if it did.
    pub(crate) fn begin(&self, limit: u64, expected: Option<u64>) -> Result<Upload, BlobError> {
        Upload::begin(self, limit, expected)
    }

    /// Opens a part of a blob of `size` bytes, and reads the beginning of that part.
    ///
    /// # Errors
    ///
    /// [`BlobError::Missing`] when the blob is not there, or has another size.
    pub(crate) async fn read(&self, cid: &Cid, size: u64, part: Range<u64>) -> Result<BlobBody, BlobError> {
        match &self.backend {
            Backend::Local(folder) => {
                let (folder, cid) = (folder.clone(), *cid);
                blocking(move || BlobBody::open(&folder, &cid, size, part)).await
            }
        }
    }

    /// Returns the size of a blob in bytes; `None` when it is not there.
    #[cfg(test)]
    pub(crate) async fn size(&self, cid: &Cid) -> Result<Option<u64>, BlobError> {
        match &self.backend {
            Backend::Local(folder) => {
                let (folder, digest) = (folder.clone(), *cid.digest());
                blocking(move || folder.size(&digest)).await.map_err(BlobError::io("looked for"))
            }
        }
    }

    /// Removes a blob, unless an upload of it is under way or `is_referenced` says that it is in use. Returns whether it was
    /// there and is gone.
    ///
    /// `is_referenced` is asked when no upload can change its answer any more; see the module's notes.
    pub(crate) async fn remove_unless<F, E>(&self, cid: &Cid, is_referenced: F) -> Result<bool, E>
    where
        F: Future<Output = Result<bool, E>>,
        E: From<BlobError>,
    {
        self.take_unless(cid, is_referenced, "removed", LocalFolder::remove).await
    }

    /// As [`Self::remove_unless`], for bytes that never had a row as far as is known: they must have lain there since before
    /// `before`, and go to the trash, from where an operator can bring them back.
    async fn discard_unless<F, E>(&self, cid: &Cid, before: SystemTime, is_referenced: F) -> Result<bool, E>
    where
        F: Future<Output = Result<bool, E>>,
        E: From<BlobError>,
    {
        let discard = move |folder: &LocalFolder, digest: &[u8; 32]| folder.discard(digest, before);
        self.take_unless(cid, is_referenced, "moved to the trash", discard).await
    }

    async fn take_unless<F, E>(
        &self,
        cid: &Cid,
        is_referenced: F,
        what: &'static str,
        take: impl FnOnce(&LocalFolder, &[u8; 32]) -> io::Result<bool> + Send + 'static,
    ) -> Result<bool, E>
    where
        F: Future<Output = Result<bool, E>>,
        E: From<BlobError>,
    {
        let Some(removal) = self.claims.begin_removal(cid.digest()) else { return Ok(false) };
        if is_referenced.await? {
            return Ok(false);
        }
        match &self.backend {
            Backend::Local(folder) => {
                let (folder, digest) = (folder.clone(), *cid.digest());
                // The removal ends on the thread that removes: were it to end with this future, a caller that goes away would
                // let an upload in before the file is gone.
                let taken = blocking(move || {
                    let taken = take(&folder, &digest);
                    drop(removal);
                    taken
                });
                taken.await.map_err(|err| E::from(BlobError::io(what)(err)))
            }
        }
    }

    /// Moves the file of a blob, which is damaged, to the folder `aside`; does nothing when there is none.
    pub(crate) async fn set_aside(&self, cid: &Cid, aside: PathBuf, clock: &dyn common::Clock) -> Result<(), BlobError> {
        let (digest, now_millis) = (*cid.digest(), clock.millis());
        match &self.backend {
            Backend::Local(folder) => {
                let folder = folder.clone();
                let moved = blocking(move || folder.set_aside(&digest, &aside, now_millis));
                moved.await.map_err(BlobError::io("laid aside"))
            }
        }
    }

    /// Lists the blobs whose digest begins with the byte `shard`.
    async fn list_shard(&self, shard: u8) -> Result<Vec<Cid>, BlobError> {
        match &self.backend {
            Backend::Local(folder) => {
                let folder = folder.clone();
                blocking(move || folder.list(shard)).await.map_err(BlobError::io("listed"))
            }
        }
    }

    /// Deletes what came into the trash before `before`, and leftovers of uploads that are over. Returns how many files.
    async fn clear(&self, before: SystemTime) -> Result<usize, BlobError> {
        match &self.backend {
            Backend::Local(folder) => {
                let folder = folder.clone();
                blocking(move || folder.clear(before)).await.map_err(BlobError::io("cleared away"))
            }
        }
    }
}

/// Returns the file of a blob in the folder of blobs `dir`, for a restore.
pub(crate) fn path_in(dir: &std::path::Path, cid: &Cid) -> PathBuf {
    local::path_in(dir, cid.digest())
}

/// Runs what waits for the disk on a thread where it blocks nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(err) => std::panic::resume_unwind(err.into_panic()),
    }
}
