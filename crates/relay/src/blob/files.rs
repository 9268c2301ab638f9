//! The files of blobs, looked at by someone who does not have the folder to itself.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use common::Cid;

use super::local::LocalFolder;

/// A folder of blobs that is only read. It blocks.
#[derive(Clone, Debug)]
pub(crate) struct BlobFiles(pub(super) LocalFolder);

impl BlobFiles {
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self(LocalFolder::look_at(dir))
    }

    /// Opens the file of a blob; `None` when there is none.
    pub(crate) fn open(&self, cid: &Cid) -> io::Result<Option<File>> {
        self.0.open_file(cid.digest())
    }

    /// Lists the blobs whose digest begins with the byte `shard`.
    pub(crate) fn list(&self, shard: u8) -> io::Result<Vec<Cid>> {
        self.0.list(shard)
    }
}
