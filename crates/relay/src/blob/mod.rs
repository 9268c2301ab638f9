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
mod bucket;
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

use tokio_util::sync::CancellationToken;

use bucket::Bucket;
use claims::Claims;
use local::LocalFolder;

use crate::config::S3Place;
use crate::identity::http::ObjectStoreClient;
use crate::work::{blocking, detached};

/// Where the bytes of blobs are kept; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BlobStore {
    backend: Backend,
    claims: Claims,
}

/// How bytes go.
#[derive(Clone, Copy, Debug)]
enum Take {
    Remove,
    /// Unless they came after `before`.
    ToTrash {
        before: SystemTime,
    },
}

/// The kinds of places that keep blobs.
#[derive(Clone, Debug)]
enum Backend {
    Local(LocalFolder),
    Bucket(Bucket),
}

impl BlobStore {
    /// Opens a folder, which is made if need be, and clears it of uploads that an earlier process did not finish.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        Ok(Self { backend: Backend::Local(LocalFolder::open(dir)?), claims: Claims::default() })
    }

    /// Opens a bucket. `dir` is for uploads on their way; blobs that are files there are read until they were moved.
    pub(crate) fn open_bucket(dir: PathBuf, s3: &S3Place, client: ObjectStoreClient) -> io::Result<Self> {
        let bucket = Bucket::open(s3, client, LocalFolder::open(dir)?).map_err(io::Error::other)?;
        Ok(Self { backend: Backend::Bucket(bucket), claims: Claims::default() })
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
            Backend::Bucket(bucket) => BlobBody::fetch(bucket, cid, size, part).await,
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
            Backend::Bucket(bucket) => Ok(bucket.head(cid.digest()).await?.map(|(size, _)| size)),
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
        self.take_unless(cid, is_referenced, Take::Remove).await
    }

    /// As [`Self::remove_unless`], for bytes that never had a row as far as is known: they must have lain there since before
    /// `before`, and go to the trash, from where an operator can bring them back.
    async fn discard_unless<F, E>(&self, cid: &Cid, before: SystemTime, is_referenced: F) -> Result<bool, E>
    where
        F: Future<Output = Result<bool, E>>,
        E: From<BlobError>,
    {
        self.take_unless(cid, is_referenced, Take::ToTrash { before }).await
    }

    async fn take_unless<F, E>(&self, cid: &Cid, is_referenced: F, take: Take) -> Result<bool, E>
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
                    let taken = match take {
                        Take::Remove => folder.remove(&digest).map_err(BlobError::io("removed")),
                        Take::ToTrash { before } => {
                            folder.discard(&digest, before).map_err(BlobError::io("moved to the trash"))
                        }
                    };
                    drop(removal);
                    taken
                });
                taken.await.map_err(E::from)
            }
            Backend::Bucket(bucket) => {
                let (bucket, digest) = (bucket.clone(), *cid.digest());
                let taken = detached(async move {
                    let taken = match take {
                        Take::Remove => bucket.remove(digest).await,
                        Take::ToTrash { before } => bucket.discard(digest, before).await,
                    };
                    drop(removal);
                    taken
                });
                taken.await.map_err(E::from)
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
            Backend::Bucket(bucket) => bucket.set_aside(digest, aside, now_millis).await,
        }
    }

    /// Lists the blobs whose digest begins with the byte `shard`.
    async fn list_shard(&self, shard: u8) -> Result<Vec<Cid>, BlobError> {
        match &self.backend {
            Backend::Local(folder) => {
                let folder = folder.clone();
                blocking(move || folder.list(shard)).await.map_err(BlobError::io("listed"))
            }
            Backend::Bucket(bucket) => bucket.list(shard).await,
        }
    }

    /// Deletes what came into the trash before `before`, and leftovers of uploads that are over. Returns how many files.
    async fn clear(&self, before: SystemTime) -> Result<usize, BlobError> {
        match &self.backend {
            Backend::Local(folder) => {
                let folder = folder.clone();
                blocking(move || folder.clear(before)).await.map_err(BlobError::io("cleared away"))
            }
            Backend::Bucket(bucket) => bucket.clear(before).await,
        }
    }

    /// Returns which of the 256 parts of the blobs the sweep looks at in its turn at `hour`. Looking into a folder costs nothing;
    /// a store takes money for each look, so there each part has its turn once a day.
    fn shards_at(&self, hour: u64) -> Vec<u8> {
        let has_turn = |shard: &u8| match &self.backend {
            Backend::Local(_) => true,
            Backend::Bucket(_) => u64::from(*shard) % 24 == hour % 24,
        };
        (0..=u8::MAX).filter(has_turn).collect()
    }

    /// Moves blobs that are files here to the bucket, if there is one; returns how many.
    pub(crate) async fn move_in(&self, stop: &CancellationToken) -> Result<usize, BlobError> {
        let Backend::Bucket(bucket) = &self.backend else { return Ok(0) };
        let mut moved = 0;
        for shard in 0..=u8::MAX {
            let folder = bucket.folder().clone();
            let here = blocking(move || folder.list(shard)).await.map_err(BlobError::io("listed"))?;
            for cid in here {
                if stop.is_cancelled() {
                    return Ok(moved);
                }
                // As an upload has one: it is not removed meanwhile.
                let claim = self.claims.claim(*cid.digest()).await;
                let (bucket, digest) = (bucket.clone(), *cid.digest());
                let done = detached(async move {
                    let done = bucket.move_in(digest).await;
                    drop(claim);
                    done
                });
                if done.await? {
                    moved += 1;
                } else {
                    tracing::error!(%cid, "the file of a blob is damaged and was not moved to the store; see `relay verify`");
                }
            }
        }
        Ok(moved)
    }

    /// Says whether blobs can be written, where that is not a folder's matter.
    pub(crate) async fn probe_bucket(&self) -> Option<Result<(), BlobError>> {
        match &self.backend {
            Backend::Local(_) => None,
            Backend::Bucket(bucket) => Some(bucket.probe().await),
        }
    }
}

/// Returns the file of a blob in the folder of blobs `dir`, for a restore.
pub(crate) fn path_in(dir: &std::path::Path, cid: &Cid) -> PathBuf {
    local::path_in(dir, cid.digest())
}
