//! The blocks of a CAR as it came, in a file that has no name.
//!
//! A CAR has its blocks in any order, and a repo is stored in that of its tree. So the blocks are laid down first, and read by
//! CID once all are here. Memory holds where each block is: 40 bytes for each, [`MAX_BLOCKS`] at most.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use common::Cid;
use repo_engine::car::{CarError, Decoder};
use repo_engine::{Node, NodeError, NodeStore};

/// The most blocks of one CAR; a repo of two million records has fewer.
const MAX_BLOCKS: usize = 3_000_000;
/// Bytes that go to the file at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Why blocks could not be laid down or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StagingError {
    #[error("{0}")]
    Car(#[from] CarError),
    #[error("the CAR has more than {MAX_BLOCKS} blocks")]
    TooManyBlocks,
    #[error("expected one root")]
    Roots,
    #[error("a block of the tree is no node: {0}")]
    Node(#[from] NodeError),
    #[error("the file of an import could not be used")]
    File(#[from] std::io::Error),
}

/// Takes a CAR in, chunk by chunk.
pub(super) struct Receiver {
    decoder: Decoder,
    file: BufWriter<File>,
    index: Vec<Place>,
    offset: u64,
}

/// Where the block of a digest is.
#[derive(Clone, Copy)]
struct Place {
    digest: [u8; 32],
    /// In units of bytes; a CAR has less than 2^40 of them.
    offset: [u8; 5],
    /// A block has less than 2^24 bytes.
    length: [u8; 3],
}

impl Place {
    fn new(digest: [u8; 32], offset: u64, length: usize) -> Self {
        let mut place = Self { digest, offset: [0; 5], length: [0; 3] };
        place.offset.copy_from_slice(&offset.to_le_bytes()[..5]);
        place.length.copy_from_slice(&length.to_le_bytes()[..3]);
        place
    }

    fn offset(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..5].copy_from_slice(&self.offset);
        u64::from_le_bytes(bytes)
    }

    fn length(&self) -> usize {
        let mut bytes = [0; 4];
        bytes[..3].copy_from_slice(&self.length);
        u32::from_le_bytes(bytes) as usize
    }
}

/// All blocks of a CAR, by CID.
pub(super) struct Staged {
    file: Mutex<File>,
    index: Vec<Place>,
    root: Cid,
}

impl Receiver {
    /// Makes the file in `folder`.
    pub(super) fn new(folder: &Path) -> Result<Self, StagingError> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(folder)?);
        Ok(Self { decoder: Decoder::default(), file, index: Vec::new(), offset: 0 })
    }

    /// Takes the next bytes, and checks every block that they complete against its CID.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), StagingError> {
        self.decoder.feed(chunk);
        while let Some(block) = self.decoder.block()? {
            if self.index.len() == MAX_BLOCKS {
                return Err(StagingError::TooManyBlocks);
            }
            self.file.write_all(&block.bytes)?;
            self.index.push(Place::new(*block.cid.digest(), self.offset, block.bytes.len()));
            self.offset += block.bytes.len() as u64;
        }
        Ok(())
    }

    /// Ends the CAR, which must be whole and have one root.
    pub(super) fn finish(mut self) -> Result<Staged, StagingError> {
        let roots = self.decoder.finish()?;
        let [root] = roots.as_slice() else { return Err(StagingError::Roots) };
        self.file.flush()?;
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        self.index.sort_unstable_by_key(|place| place.digest);
        self.index.shrink_to_fit();
        Ok(Staged { file: Mutex::new(file), index: self.index, root: *root })
    }
}

impl Staged {
    /// The root that the header names.
    pub(super) fn root(&self) -> Cid {
        self.root
    }

    /// Returns the block of a CID; `None` when the CAR does not hold it.
    pub(super) fn block(&self, cid: &Cid) -> Result<Option<Vec<u8>>, StagingError> {
        let Ok(at) = self.index.binary_search_by(|place| place.digest.cmp(cid.digest())) else { return Ok(None) };
        let place = &self.index[at];
        let mut block = vec![0; place.length()];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(place.offset()))?;
        file.read_exact(&mut block)?;
        Ok(Some(block))
    }
}

impl NodeStore for Staged {
    type Error = StagingError;

    /// Every block was hashed when it came, so what is read here is what the CID names.
    fn node(&self, cid: &Cid) -> Result<Option<Arc<Node>>, StagingError> {
        let Some(block) = self.block(cid)? else { return Ok(None) };
        Ok(Some(Arc::new(Node::decode(&Bytes::from(block))?)))
    }
}
