//! A bucket of an S3-compatible store.
//!
//! ```text
//! 00/ .. ff/<rest of the digest in hex>     the blobs, by the first byte of their digest
//! trash/<digest in hex>                     blobs that no row named when the sweep came by
//! ```
//!
//! An upload goes to a temporary file of this machine first, since its name is known only at its end; then it is sent, and an
//! object is there as a whole or not at all. A blob that is a file here (of the time before there was a bucket, or of a
//! restore) is read from there until it was moved.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use common::{Cid, Codec};
use data_encoding::HEXLOWER;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _};

use super::BlobError;
use super::local::{LocalFolder, TempFile};
use crate::config::S3Place;
use crate::identity::http::ObjectStoreClient;
use crate::s3;
use crate::work::blocking;

/// Bytes that are sent at once; a larger blob is sent in so many parts.
const PART: u64 = 8 << 20;
const TRASH: &str = "trash";

/// A place in a bucket that this server has to itself; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Bucket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: AmazonS3,
    prefix: Path,
    /// For uploads on their way, and blobs that were not moved yet.
    folder: LocalFolder,
}

/// A part of a blob on its way.
pub(crate) struct Incoming {
    /// Of the whole blob, in bytes.
    pub(super) size: u64,
    pub(super) bytes: BoxStream<'static, io::Result<Bytes>>,
}

impl Bucket {
    pub(super) fn open(s3: &S3Place, client: ObjectStoreClient, folder: LocalFolder) -> object_store::Result<Self> {
        let (store, prefix) = s3::open(s3, client, s3::Waits::Client)?;
        Ok(Self(Arc::new(Inner { store, prefix, folder })))
    }

    pub(super) fn folder(&self) -> &LocalFolder {
        &self.0.folder
    }

    fn path(&self, name: &str) -> Path {
        s3::path(&self.0.prefix, name)
    }

    fn object(&self, digest: &[u8; 32]) -> Path {
        let hex = HEXLOWER.encode(digest);
        let (first, rest) = hex.split_at(2);
        self.path(&format!("{first}/{rest}"))
    }

    /// Sends a file under the name of its content.
    pub(super) async fn place(&self, temp: TempFile, digest: [u8; 32]) -> Result<(), BlobError> {
        let file = temp.reader().map_err(BlobError::io("read"))?;
        self.send(file, digest).await
    }

    async fn send(&self, file: File, digest: [u8; 32]) -> Result<(), BlobError> {
        let failed = BlobError::store("sent");
        let size = file.metadata().map_err(BlobError::io("read"))?.len();
        let (store, object) = (&self.0.store, self.object(&digest));
        let (mut file, first) = read_part(file).await?;
        if size <= PART {
            return store.put(&object, first.into()).await.map(drop).map_err(failed);
        }
        let mut upload = store.put_multipart(&object).await.map_err(&failed)?;
        let mut next = Some(first);
        let sent = async {
            while let Some(part) = next.take() {
                upload.put_part(part.into()).await.map_err(&failed)?;
                let (rest, part) = read_part(file).await?;
                file = rest;
                next = Some(part).filter(|part| !part.is_empty());
            }
            Ok::<_, BlobError>(())
        };
        let sent = match sent.await {
            Ok(()) => upload.complete().await.map(drop).map_err(&failed),
            Err(err) => Err(err),
        };
        if sent.is_err()
            && let Err(err) = upload.abort().await
        {
            tracing::debug!(error = &err as &dyn std::error::Error, "parts of an upload were left in the store");
        }
        sent
    }

    /// Begins to read a part of a blob; `None` when it is not there.
    pub(super) async fn get(&self, digest: &[u8; 32], part: Option<Range<u64>>) -> Result<Option<Incoming>, BlobError> {
        let options = GetOptions { range: part.map(GetRange::Bounded), ..GetOptions::default() };
        match self.0.store.get_opts(&self.object(digest), options).await {
            Ok(found) => {
                let size = found.meta.size;
                Ok(Some(Incoming { size, bytes: found.into_stream().map_err(io::Error::other).boxed() }))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(err) => Err(BlobError::store("read")(err)),
        }
    }

    /// Returns the size of a blob in bytes, and when it came; `None` when it is not there.
    pub(super) async fn head(&self, digest: &[u8; 32]) -> Result<Option<(u64, SystemTime)>, BlobError> {
        match self.0.store.head(&self.object(digest)).await {
            Ok(meta) => Ok(Some((meta.size, meta.last_modified.into()))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(err) => Err(BlobError::store("looked for")(err)),
        }
    }

    /// Removes a blob; returns whether it was there.
    pub(super) async fn remove(&self, digest: [u8; 32]) -> Result<bool, BlobError> {
        let folder = self.0.folder.clone();
        let was_file = blocking(move || folder.remove(&digest)).await.map_err(BlobError::io("removed"))?;
        if self.head(&digest).await?.is_none() {
            return Ok(was_file);
        }
        self.delete(&self.object(&digest)).await?;
        Ok(true)
    }

    async fn delete(&self, object: &Path) -> Result<(), BlobError> {
        match self.0.store.delete(object).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(err) => Err(BlobError::store("removed")(err)),
        }
    }

    /// Moves a blob that came before `before` to the trash; returns whether it did.
    pub(super) async fn discard(&self, digest: [u8; 32], before: SystemTime) -> Result<bool, BlobError> {
        match self.head(&digest).await? {
            Some((_, came)) if came < before => {}
            Some(_) | None => return Ok(false),
        }
        let object = self.object(&digest);
        let to = self.path(&format!("{TRASH}/{}", HEXLOWER.encode(&digest)));
        self.0.store.copy(&object, &to).await.map_err(BlobError::store("moved to the trash"))?;
        self.delete(&object).await?;
        Ok(true)
    }

    /// Moves a blob to a folder of this machine, under a name of its own.
    pub(super) async fn set_aside(&self, digest: [u8; 32], aside: PathBuf, now_millis: i64) -> Result<(), BlobError> {
        let (folder, to) = (self.0.folder.clone(), aside.clone());
        blocking(move || folder.set_aside(&digest, &to, now_millis)).await.map_err(BlobError::io("laid aside"))?;
        let Some(mut incoming) = self.get(&digest, None).await? else { return Ok(()) };
        let failed = BlobError::io("laid aside");
        crate::data_dir::make_private_dir(&aside).map_err(&failed)?;
        let path = aside.join(format!("blob-{}-{now_millis}", HEXLOWER.encode(&digest)));
        let mut file = File::create_new(path).map_err(&failed)?;
        while let Some(bytes) = incoming.bytes.next().await {
            let bytes = bytes.map_err(&failed)?;
            file = blocking(move || file.write_all(&bytes).map(|()| file)).await.map_err(&failed)?;
        }
        blocking(move || file.sync_all()).await.map_err(&failed)?;
        self.delete(&self.object(&digest)).await
    }

    /// Lists the blobs whose digest begins with `first`. Objects with other names are not ours, and left alone.
    pub(super) async fn list(&self, first: u8) -> Result<Vec<Cid>, BlobError> {
        let prefix = HEXLOWER.encode(&[first]);
        let folder = self.path(&prefix);
        let listed: Vec<_> = self.0.store.list(Some(&folder)).try_collect().await.map_err(BlobError::store("listed"))?;
        let cid = |path: &Path| {
            let rest = path.filename()?;
            let digest = HEXLOWER.decode(format!("{prefix}{rest}").as_bytes()).ok()?;
            Some(Cid::new(Codec::Raw, digest.try_into().ok()?))
        };
        Ok(listed.iter().filter_map(|meta| cid(&meta.location)).collect())
    }

    /// Deletes what came into the trash before `before`, and leftovers of uploads that are over.
    pub(super) async fn clear(&self, before: SystemTime) -> Result<usize, BlobError> {
        let folder = self.0.folder.clone();
        let mut cleared = blocking(move || folder.clear(before)).await.map_err(BlobError::io("cleared away"))?;
        let trash = self.path(TRASH);
        let listed: Vec<_> = self.0.store.list(Some(&trash)).try_collect().await.map_err(BlobError::store("listed"))?;
        for meta in listed {
            if SystemTime::from(meta.last_modified) < before {
                self.delete(&meta.location).await?;
                cleared += 1;
            }
        }
        Ok(cleared)
    }

    /// Sends a blob that is a file here, and removes the file. `false` when its content is not what its name says: such a file
    /// stays where it is, for `relay verify` to tell of.
    pub(super) async fn move_in(&self, digest: [u8; 32]) -> Result<bool, BlobError> {
        let folder = self.0.folder.clone();
        let hashed = move || -> io::Result<_> {
            let Some(mut file) = folder.open_file(&digest)? else { return Ok(None) };
            let found = crate::digest::sha256(&file)?;
            io::Seek::rewind(&mut file)?;
            Ok(Some((file, found == digest)))
        };
        let Some((file, is_whole)) = blocking(hashed).await.map_err(BlobError::io("read"))? else { return Ok(true) };
        if !is_whole {
            return Ok(false);
        }
        let size = file.metadata().map_err(BlobError::io("read"))?.len();
        // After a restore the store may have it still.
        if self.head(&digest).await?.is_none_or(|(there, _)| there != size) {
            self.send(file, digest).await?;
        }
        let folder = self.0.folder.clone();
        blocking(move || folder.remove(&digest)).await.map_err(BlobError::io("removed"))?;
        Ok(true)
    }

    /// Writes a small object, to see whether that works.
    pub(super) async fn probe(&self) -> Result<(), BlobError> {
        let put = self.0.store.put(&self.path("health"), Bytes::from_static(b"well").into()).await;
        put.map(drop).map_err(BlobError::store("written"))
    }
}

/// Reads up to a part.
async fn read_part(file: File) -> Result<(File, Bytes), BlobError> {
    let read = blocking(move || {
        let mut bytes = Vec::new();
        (&file).take(PART).read_to_end(&mut bytes)?;
        Ok((file, Bytes::from(bytes)))
    });
    read.await.map_err(BlobError::io("read"))
}
