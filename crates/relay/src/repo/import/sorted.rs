//! A checked repo in the order in which it is stored, in a file that has no name.
//!
//! Form: for each record its path and CID, the blobs that it names and its block; for each node of the tree its CID and block.
//! Lengths are four bytes, little endian; a byte before tells which of the two comes.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek as _, Write};
use std::path::Path;

use common::{Cid, Codec};

const BUFFER_BYTES: usize = 1 << 20;
const RECORD: u8 = 1;
const NODE: u8 = 2;

/// Writes a repo down.
pub(super) struct SortedWriter {
    file: BufWriter<File>,
}

/// A repo that was written down.
pub(super) struct Sorted {
    file: File,
}

/// Reads it back, once.
pub(super) struct SortedReader<'a> {
    file: BufReader<&'a File>,
    path: Vec<u8>,
    block: Vec<u8>,
}

/// A record or a node, in the order of the tree.
pub(super) enum Item<'a> {
    Record { path: &'a str, cid: Cid, blobs: Vec<Cid>, block: &'a [u8] },
    Node { cid: Cid, block: &'a [u8] },
}

impl SortedWriter {
    pub(super) fn new(folder: &Path) -> std::io::Result<Self> {
        Ok(Self { file: BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(folder)?) })
    }

    pub(super) fn record(&mut self, path: &str, cid: &Cid, blobs: &[Cid], block: &[u8]) -> std::io::Result<()> {
        self.file.write_all(&[RECORD])?;
        self.sized(path.as_bytes())?;
        self.file.write_all(cid.digest())?;
        self.length(blobs.len())?;
        for blob in blobs {
            self.file.write_all(blob.digest())?;
        }
        self.sized(block)
    }

    pub(super) fn node(&mut self, cid: &Cid, block: &[u8]) -> std::io::Result<()> {
        self.file.write_all(&[NODE])?;
        self.file.write_all(cid.digest())?;
        self.sized(block)
    }

    pub(super) fn finish(mut self) -> std::io::Result<Sorted> {
        self.file.flush()?;
        Ok(Sorted { file: self.file.into_inner().map_err(std::io::IntoInnerError::into_error)? })
    }

    fn length(&mut self, length: usize) -> std::io::Result<()> {
        let length = u32::try_from(length).map_err(std::io::Error::other)?;
        self.file.write_all(&length.to_le_bytes())
    }

    fn sized(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.length(bytes.len())?;
        self.file.write_all(bytes)
    }
}

impl Sorted {
    /// Begins at the first item.
    pub(super) fn read(&self) -> std::io::Result<SortedReader<'_>> {
        let mut file = &self.file;
        file.rewind()?;
        Ok(SortedReader { file: BufReader::with_capacity(BUFFER_BYTES, file), path: Vec::new(), block: Vec::new() })
    }
}

impl SortedReader<'_> {
    /// Returns the next item; `None` at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Item<'_>>> {
        let mut kind = [0];
        if self.file.read(&mut kind)? == 0 {
            return Ok(None);
        }
        if kind[0] == NODE {
            let digest = array(&mut self.file)?;
            sized(&mut self.file, &mut self.block)?;
            return Ok(Some(Item::Node { cid: Cid::new(Codec::DagCbor, digest), block: &self.block }));
        }
        sized(&mut self.file, &mut self.path)?;
        let cid = Cid::new(Codec::DagCbor, array(&mut self.file)?);
        let mut blobs = Vec::new();
        for _ in 0..u32::from_le_bytes(array(&mut self.file)?) {
            blobs.push(Cid::new(Codec::Raw, array(&mut self.file)?));
        }
        sized(&mut self.file, &mut self.block)?;
        let path = std::str::from_utf8(&self.path).map_err(std::io::Error::other)?;
        Ok(Some(Item::Record { path, cid, blobs, block: &self.block }))
    }
}

fn array<const N: usize>(file: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn sized(file: &mut impl Read, into: &mut Vec<u8>) -> std::io::Result<()> {
    let length = u32::from_le_bytes(array(file)?) as usize;
    into.resize(length, 0);
    file.read_exact(into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SortedWriter::new(folder.path()).unwrap();
        let (record, node, blob) = (Cid::dag_cbor(b"record"), Cid::dag_cbor(b"node"), Cid::raw(b"blob"));
        writer.node(&node, b"node").unwrap();
        writer.record("a.b.c/d", &record, &[blob], b"record").unwrap();
        let sorted = writer.finish().unwrap();
        for _ in 0..2 {
            let mut reader = sorted.read().unwrap();
            assert!(matches!(reader.next().unwrap(), Some(Item::Node { cid, block: b"node" }) if cid == node));
            let Some(Item::Record { path, cid, blobs, block }) = reader.next().unwrap() else { panic!("a record") };
            assert_eq!((path, cid, blobs, block), ("a.b.c/d", record, vec![blob], &b"record"[..]));
            assert!(reader.next().unwrap().is_none());
        }
    }
}
