//! An upload: bytes come in as the client sends them, and are a durable blob in the end.

use common::{Cid, Codec};
use sha2::{Digest as _, Sha256};

use super::claims::{Claim, Claims};
use super::local::TempFile;
use super::{Backend, BlobError, BlobStore, media_type};
use crate::background::{Breath, background};
use crate::work::{blocking, detached};

/// What is gathered before it is hashed and written on another thread; most images are done in one step.
const CHUNK: usize = 256 << 10;

/// What is hashed and written before others may run: some tens of microseconds.
const PART: usize = 64 << 10;

/// An upload under way. When it is dropped, what was written is removed.
#[derive(Debug)]
pub(crate) struct Upload {
    limit: u64,
    received: u64,
    buffer: Vec<u8>,
    /// `None` while it is away on another thread, or lost there by an error.
    work: Option<Work>,
    claims: Claims,
}

/// The part of an upload that waits for the disk.
#[derive(Debug)]
struct Work {
    sink: Sink,
    hasher: Sha256,
    head: Head,
    breath: Breath,
}

/// Where an upload's bytes go: to a temporary file, and from there to their place.
#[derive(Debug)]
struct Sink {
    to: Backend,
    file: Option<TempFile>,
}

/// What the first bytes told of the media type.
#[derive(Clone, Copy, Debug)]
enum Head {
    NotSeen,
    Seen(Option<&'static str>),
}

/// Bytes that are durable and have no row yet.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) cid: Cid,
    /// In bytes.
    pub(crate) size: u64,
    /// What the first bytes look like; `None` when they look like nothing in particular.
    pub(crate) media_type: Option<&'static str>,
    /// Keeps the bytes from being collected until they have their row.
    pub(super) claim: Claim,
}

impl Upload {
    pub(super) fn begin(store: &BlobStore, limit: u64, expected: Option<u64>) -> Result<Self, BlobError> {
        if expected.is_some_and(|size| size > limit) {
            return Err(BlobError::TooLarge { limit });
        }
        let sink = Sink { to: store.backend.clone(), file: None };
        let capacity = expected.and_then(|size| usize::try_from(size).ok()).map_or(CHUNK, |size| size.min(CHUNK));
        Ok(Self {
            limit,
            received: 0,
            buffer: Vec::with_capacity(capacity),
            work: Some(Work { sink, hasher: Sha256::new(), head: Head::NotSeen, breath: Breath::default() }),
            claims: store.claims.clone(),
        })
    }

    /// Adds bytes. After an error, or when the future was dropped, the upload can only be dropped.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        self.received += bytes.len() as u64;
        if self.received > self.limit {
            return Err(BlobError::TooLarge { limit: self.limit });
        }
        while !bytes.is_empty() {
            // Full buffers go only when more follows, so that the last of them shares its trip with the sync.
            if self.buffer.len() == CHUNK {
                self.flush().await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), BlobError> {
        let mut work = self.work.take().expect("an upload is not used after an error");
        let mut buffer = std::mem::take(&mut self.buffer);
        let done = background(move || {
            work.take_in(&buffer)?;
            buffer.clear();
            Ok((work, buffer))
        });
        let (work, buffer) = done.await.map_err(BlobError::io("written"))?;
        self.work = Some(work);
        self.buffer = buffer;
        Ok(())
    }

    /// Ends the upload: when this returns, the blob is durable under its CID.
    pub(crate) async fn finish(mut self) -> Result<Stored, BlobError> {
        let mut work = self.work.take().expect("an upload is not used after an error");
        let buffer = std::mem::take(&mut self.buffer);
        let synced = background(move || {
            work.take_in(&buffer)?;
            work.sink.sync()?;
            Ok(work)
        });
        let Work { sink, hasher, head, .. } = synced.await.map_err(BlobError::io("written"))?;
        let digest: [u8; 32] = hasher.finalize().into();
        let claim = self.claims.claim(digest).await;
        let claim = sink.place(digest, claim).await?;
        let media_type = match head {
            Head::NotSeen => None,
            Head::Seen(media_type) => media_type,
        };
        Ok(Stored { cid: Cid::new(Codec::Raw, digest), size: self.received, media_type, claim })
    }
}

impl Work {
    fn take_in(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let Head::NotSeen = self.head {
            self.head = Head::Seen(media_type::sniff(bytes));
        }
        // Nothing is written as well: that makes the file.
        for part in bytes.chunks(PART).chain(bytes.is_empty().then_some(bytes)) {
            self.hasher.update(part);
            self.sink.write(part)?;
            self.breath.pause();
        }
        Ok(())
    }
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let folder = match &self.to {
            Backend::Local(folder) => folder,
            Backend::Bucket(bucket) => bucket.folder(),
        };
        let file = if let Some(file) = &mut self.file { file } else { self.file.insert(folder.create_temp()?) };
        file.write(bytes)?;
        match self.to {
            Backend::Local(_) => file.write_out(),
            Backend::Bucket(_) => Ok(()),
        }
    }

    /// Makes the bytes durable, where they stay on this disk.
    fn sync(&self) -> std::io::Result<()> {
        match (&self.to, &self.file) {
            (Backend::Local(_), Some(file)) => file.sync(),
            (Backend::Local(_) | Backend::Bucket(_), _) => Ok(()),
        }
    }

    /// The claim goes along, so that it outlives the placing even when nobody waits for it any more.
    async fn place(self, digest: [u8; 32], claim: Claim) -> Result<Claim, BlobError> {
        let file = self.file.expect("the last write, though it be empty, makes the file");
        match self.to {
            Backend::Local(folder) => {
                let placed = blocking(move || folder.place(file, &digest).map(|()| claim));
                placed.await.map_err(BlobError::io("put in place"))
            }
            Backend::Bucket(bucket) => detached(async move { bucket.place(file, digest).await.map(|()| claim) }).await,
        }
    }
}
