//! The bytes of blobs, looked at by someone who does not have their place to itself. It blocks.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use common::Cid;
use futures_util::StreamExt as _;
use tokio::runtime::Handle;

use super::BlobError;
use super::bucket::{Bucket, Incoming};
use super::local::LocalFolder;
use crate::config::Config;
use crate::error::with_causes;
use crate::identity::http::ObjectStoreClient;

/// Blobs that are only read.
#[derive(Clone, Debug)]
pub(crate) struct BlobFiles {
    folder: LocalFolder,
    bucket: Option<(Bucket, Handle)>,
}

/// The bytes of a blob.
pub(crate) enum Bytes {
    File(File),
    Fetched { handle: Handle, incoming: Incoming, piece: bytes::Bytes },
}

impl BlobFiles {
    /// A folder of blobs.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self { folder: LocalFolder::look_at(dir), bucket: None }
    }

    /// The blobs that a server with this configuration has. For threads of a runtime where one may block.
    pub(crate) fn of(config: &Config) -> io::Result<Self> {
        let mut files = Self::at(config.data.dir.join("blobs"));
        if let Some(s3) = &config.blobs.store {
            let client = ObjectStoreClient::new(config.network.roots()).map_err(io::Error::other)?;
            let bucket = Bucket::open(s3, client, files.folder.clone()).map_err(io::Error::other)?;
            files.bucket = Some((bucket, Handle::current()));
        }
        Ok(files)
    }

    /// Returns the size of a blob in bytes; `None` when it is not there.
    pub(crate) fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        if let Some((bucket, handle)) = &self.bucket
            && let Some((size, _)) = handle.block_on(bucket.head(cid.digest())).map_err(as_io)?
        {
            return Ok(Some(size));
        }
        self.folder.open_file(cid.digest())?.map(|file| Ok(file.metadata()?.len())).transpose()
    }

    /// Opens a blob, and returns its size as well; `None` when it is not there.
    pub(crate) fn open(&self, cid: &Cid) -> io::Result<Option<(u64, Bytes)>> {
        if let Some((bucket, handle)) = &self.bucket
            && let Some(incoming) = handle.block_on(bucket.get(cid.digest(), None)).map_err(as_io)?
        {
            let (size, handle) = (incoming.size, handle.clone());
            return Ok(Some((size, Bytes::Fetched { handle, incoming, piece: bytes::Bytes::new() })));
        }
        self.folder.open_file(cid.digest())?.map(|file| Ok((file.metadata()?.len(), Bytes::File(file)))).transpose()
    }

    /// Lists the blobs whose digest begins with the byte `shard`.
    pub(crate) fn list(&self, shard: u8) -> io::Result<Vec<Cid>> {
        let mut listed = match &self.bucket {
            Some((bucket, handle)) => handle.block_on(bucket.list(shard)).map_err(as_io)?,
            None => Vec::new(),
        };
        match self.folder.list(shard) {
            Ok(here) => listed.extend(here),
            // A server that never had a folder.
            Err(err) if err.kind() == io::ErrorKind::NotFound && self.bucket.is_some() => {}
            Err(err) => return Err(err),
        }
        Ok(listed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "is given to map_err")]
fn as_io(err: BlobError) -> io::Error {
    io::Error::other(with_causes(&err))
}

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            Self::Fetched { handle, incoming, piece } => {
                while piece.is_empty() {
                    match handle.block_on(incoming.bytes.next()) {
                        Some(next) => *piece = next?,
                        None => return Ok(0),
                    }
                }
                let length = piece.len().min(into.len());
                into[..length].copy_from_slice(&piece.split_to(length));
                Ok(length)
            }
        }
    }
}
