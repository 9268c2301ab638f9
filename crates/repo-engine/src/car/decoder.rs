//! Reads CARs from chunks of bytes, wherever those end.

use bytes::{Buf, Bytes, BytesMut};
use common::Cid;
use common::cbor::{self, Reader};
use common::cid::CidError;

/// A block whose content matches its CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub cid: Cid,
    pub bytes: Bytes,
}

/// How much of a CAR is held in memory at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub header_bytes: usize,
    /// For the content of one block.
    pub block_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_bytes: 16 * 1024, block_bytes: 2_000_000 }
    }
}

/// Why bytes are not a CAR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarError {
    #[error("the header has {0} bytes, more than is allowed")]
    HeaderSize(u64),
    #[error("the header is not DAG-CBOR of the right shape")]
    Header(#[source] cbor::Error),
    #[error("the header has not exactly the fields `roots` and `version`")]
    HeaderFields,
    #[error("this is CAR version {0}; only version 1 is read")]
    Version(i64),
    #[error("a length is longer than it needs to be, or than 64 bits")]
    Length,
    #[error("a block has {0} bytes, which is too many or too few")]
    BlockSize(u64),
    #[error("a block does not begin with a CID")]
    Cid(#[source] CidError),
    #[error("the content of block {0} does not match its CID")]
    Hash(Cid),
    #[error("the CAR ends in the middle of a section")]
    Truncated,
}

/// Reads a CAR as it arrives: [`Decoder::feed`] it a chunk, then take blocks until there are none.
///
/// It holds what was fed and not taken: less than a block and a chunk, when all blocks are taken before the next chunk. A
/// block shares memory with the chunk it came in.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    roots: Option<Vec<Cid>>,
    waiting: BytesMut,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Decoder {
    pub fn new(limits: Limits) -> Self {
        Self { limits, roots: None, waiting: BytesMut::new() }
    }

    /// Takes the next bytes of the CAR.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.waiting.extend_from_slice(chunk);
    }

    /// Returns the roots, once enough was fed to know them.
    pub fn roots(&mut self) -> Result<Option<&[Cid]>, CarError> {
        if self.roots.is_none() {
            let max = self.limits.header_bytes as u64;
            match self.section(|len| if len == 0 || len > max { Err(CarError::HeaderSize(len)) } else { Ok(()) })? {
                Some(header) => self.roots = Some(read_header(&header)?),
                None => return Ok(None),
            }
        }
        Ok(self.roots.as_deref())
    }

    /// Returns the next block, or `None` until more is fed.
    pub fn block(&mut self) -> Result<Option<Block>, CarError> {
        if self.roots()?.is_none() {
            return Ok(None);
        }
        let (least, most) = (Cid::BYTES as u64, (Cid::BYTES + self.limits.block_bytes) as u64);
        let in_bounds = |len| if len < least || len > most { Err(CarError::BlockSize(len)) } else { Ok(()) };
        let Some(mut section) = self.section(in_bounds)? else { return Ok(None) };
        let cid = Cid::from_bytes(&section[..Cid::BYTES]).map_err(CarError::Cid)?;
        section.advance(Cid::BYTES);
        if !cid.matches(&section) {
            return Err(CarError::Hash(cid));
        }
        Ok(Some(Block { cid, bytes: section }))
    }

    /// Checks that the CAR ended where a section did, after all blocks were taken, and returns its roots.
    pub fn finish(mut self) -> Result<Vec<Cid>, CarError> {
        self.roots()?;
        match self.roots {
            Some(roots) if self.waiting.is_empty() => Ok(roots),
            Some(_) | None => Err(CarError::Truncated),
        }
    }

    /// Takes the next section when all of it is here. Its length is checked as soon as that is.
    fn section(&mut self, check: impl Fn(u64) -> Result<(), CarError>) -> Result<Option<Bytes>, CarError> {
        let Some((len, head)) = read_length(&self.waiting)? else { return Ok(None) };
        check(len)?;
        let len = usize::try_from(len).map_err(|_| CarError::BlockSize(len))?;
        if self.waiting.len() - head < len {
            self.waiting.reserve(head + len - self.waiting.len());
            return Ok(None);
        }
        self.waiting.advance(head);
        Ok(Some(self.waiting.split_to(len).freeze()))
    }
}

/// Reads a whole CAR: its roots and blocks.
pub fn read_all(bytes: &[u8]) -> Result<(Vec<Cid>, Vec<Block>), CarError> {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    let mut blocks = Vec::new();
    while let Some(block) = decoder.block()? {
        blocks.push(block);
    }
    Ok((decoder.finish()?, blocks))
}

/// Reads a length in LEB128, and tells how many bytes it takes.
fn read_length(bytes: &[u8]) -> Result<Option<(u64, usize)>, CarError> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate() {
        let low = u64::from(byte & 0x7f);
        // Nine bytes hold 63 bits; more would be no length of anything.
        if index == 9 || (index > 0 && byte == 0) {
            return Err(CarError::Length);
        }
        value |= low << (7 * index);
        if byte < 0x80 {
            return Ok(Some((value, index + 1)));
        }
    }
    Ok(None)
}

fn read_header(header: &[u8]) -> Result<Vec<Cid>, CarError> {
    let mut reader = Reader::new(header);
    let mut fields = reader.map().map_err(CarError::Header)?;
    let mut roots = None;
    let mut version = None;
    while let Some(name) = fields.key(&mut reader).map_err(CarError::Header)? {
        match name {
            "roots" => roots = Some(read_roots(&mut reader).map_err(CarError::Header)?),
            "version" => version = Some(reader.integer().map_err(CarError::Header)?),
            _ => return Err(CarError::HeaderFields),
        }
    }
    reader.finish().map_err(CarError::Header)?;
    // The header of version 2 has no roots, so the version is looked at first.
    match (version, roots) {
        (Some(1), Some(roots)) => Ok(roots),
        (Some(other), _) if other != 1 => Err(CarError::Version(other)),
        _ => Err(CarError::HeaderFields),
    }
}

fn read_roots(reader: &mut Reader<'_>) -> Result<Vec<Cid>, cbor::Error> {
    let len = reader.array()?;
    let mut roots = Vec::with_capacity(len.min(16));
    for _ in 0..len {
        roots.push(reader.link()?);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::car::{block_size, header, header_of, write_block};

    fn car(sizes: &[usize]) -> (Vec<u8>, Vec<Block>) {
        let blocks: Vec<_> = sizes
            .iter()
            .map(|&size| {
                let bytes = Bytes::from(vec![size as u8; size]);
                Block { cid: Cid::dag_cbor(&bytes), bytes }
            })
            .collect();
        let mut out = header(&Cid::dag_cbor(b"root"));
        for block in &blocks {
            let before = out.len();
            write_block(&mut out, &block.cid, &block.bytes);
            assert_eq!(out.len() - before, block_size(block.bytes.len()));
        }
        (out, blocks)
    }

    #[test]
    fn what_is_written_is_read_whatever_the_chunks() {
        let (bytes, blocks) = car(&[0, 1, 91, 92, 300, 20_000]);
        assert_eq!(read_all(&bytes).unwrap(), (vec![Cid::dag_cbor(b"root")], blocks.clone()));
        for size in [1, 2, 7, 64, 1000] {
            let mut decoder = Decoder::default();
            let mut read = Vec::new();
            for chunk in bytes.chunks(size) {
                decoder.feed(chunk);
                while let Some(block) = decoder.block().unwrap() {
                    read.push(block);
                }
            }
            assert_eq!(decoder.finish().unwrap().len(), 1);
            assert_eq!(read, blocks);
        }
    }

    #[test]
    fn a_car_that_ends_early_or_late_is_refused() {
        let (bytes, blocks) = car(&[5, 200]);
        let mut ends = vec![header(&Cid::dag_cbor(b"root")).len()];
        for block in &blocks {
            ends.push(ends.last().unwrap() + block_size(block.bytes.len()));
        }
        for len in 0..bytes.len() {
            assert_eq!(read_all(&bytes[..len]).is_ok(), ends.contains(&len), "{len}");
        }
        for tail in [0_u8, 1, 0x7f, 0x80] {
            let mut longer = bytes.clone();
            longer.push(tail);
            read_all(&longer).unwrap_err();
        }
    }

    #[test]
    fn wrong_content_and_sizes_are_refused() {
        let (mut bytes, blocks) = car(&[5]);
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(read_all(&bytes).unwrap_err(), CarError::Hash(blocks[0].cid));

        let mut decoder = Decoder::new(Limits { header_bytes: 100, block_bytes: 10 });
        decoder.feed(&car(&[11]).0);
        assert_eq!(decoder.block().unwrap_err(), CarError::BlockSize(47));

        let mut decoder = Decoder::default();
        decoder.feed(&[0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(decoder.roots().unwrap_err(), CarError::HeaderSize(0x0fff_ffff));
        assert_eq!(read_all(&[0x80, 0]).unwrap_err(), CarError::Length);
    }

    #[test]
    fn headers_have_any_number_of_roots_but_version_1() {
        let roots = [Cid::dag_cbor(b"a"), Cid::raw(b"b")];
        for len in 0..=2 {
            assert_eq!(read_all(&header_of(&roots[..len])).unwrap(), (roots[..len].to_vec(), Vec::new()));
        }
        let mut version_2 = vec![0x0a, 0xa1, 0x67];
        version_2.extend_from_slice(b"version\x02");
        version_2.extend_from_slice(&[0; 40]);
        assert_eq!(read_all(&version_2).unwrap_err(), CarError::Version(2));
    }
}
