//! The blocks of a CAR as it came, in a file that has no name.
//!
//! A CAR has its blocks in any order, and a repo is stored in that of its tree. So the blocks are laid down first, and read by
//! CID once all are here. Memory holds where each block is: 40 bytes for each, [`MAX_BLOCKS`] at most.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
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
/// Bytes that are read at a time while blocks are asked for in the order of the file.
const READ_AHEAD: usize = 64 << 10;

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
    file: File,
    index: Vec<Place>,
    root: Cid,
    ahead: Mutex<Ahead>,
}

/// A part of the file that was read at once. Most CARs have their blocks in the order in which they are asked for, or nearly.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    offset: u64,
    /// Where the last block that was asked for ends.
    end: u64,
}

impl Ahead {
    /// Returns the bytes at a place, if they are here.
    fn get(&self, place: &Place) -> Option<&[u8]> {
        let from = usize::try_from(place.offset().checked_sub(self.offset)?).ok()?;
        self.bytes.get(from..from.checked_add(place.length())?)
    }

    fn read(&mut self, file: &File, offset: u64) -> std::io::Result<()> {
        self.bytes.resize(READ_AHEAD, 0);
        let read = file.read_at(&mut self.bytes, offset);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        self.offset = offset;
        read.map(|_| ())
    }
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
        Ok(Staged { file, index: self.index, root: *root, ahead: Mutex::default() })
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
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        // What is asked for in another order would have all of it read for each block.
        let goes_on = place.offset().wrapping_sub(ahead.end) < READ_AHEAD as u64 && place.length() <= READ_AHEAD;
        ahead.end = place.offset() + place.length() as u64;
        if goes_on && ahead.get(place).is_none() {
            ahead.read(&self.file, place.offset())?;
        }
        if let Some(block) = ahead.get(place) {
            return Ok(Some(block.to_vec()));
        }
        let mut block = vec![0; place.length()];
        self.file.read_exact_at(&mut block, place.offset())?;
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

#[cfg(test)]
mod tests {
    use repo_engine::car;

    use super::*;

    /// Blocks that are read ahead are those that were asked for, in whatever order, also where one is larger than what is read.
    #[test]
    fn blocks_are_found_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let blocks: Vec<Vec<u8>> = (0..600_u32).map(|n| n.to_le_bytes().repeat(1 + (n as usize * 37) % 300)).collect();
        let large = vec![7; READ_AHEAD + 1];
        let cids: Vec<Cid> = blocks.iter().chain([&large]).map(|block| Cid::raw(block)).collect();
        let mut archive = car::header(&cids[0]);
        for (cid, block) in cids.iter().zip(blocks.iter().chain([&large])) {
            car::write_block(&mut archive, cid, block);
        }
        let mut receiver = Receiver::new(folder.path()).unwrap();
        receiver.feed(&archive).unwrap();
        let staged = receiver.finish().unwrap();
        let all: Vec<_> = cids.iter().zip(blocks.iter().chain([&large])).collect();
        for (cid, block) in all.iter().chain(all.iter().rev()).chain(all.iter().step_by(7)).chain(all.iter().skip(300)) {
            assert_eq!(staged.block(cid).unwrap().as_ref(), Some(*block));
        }
        assert_eq!(staged.block(&Cid::raw(b"another")).unwrap(), None);
    }
}
