//! CAR version 1: a header that names roots, then blocks.
//!
//! Spec: <https://ipld.io/specs/transport/car/carv1/> and <https://atproto.com/specs/repository#car-file-serialization>

mod decoder;

pub use decoder::{Block, CarError, Decoder, Limits, read_all};

use common::Cid;
use common::cbor::Writer;

/// Returns the beginning of a CAR with one root.
pub fn header(root: &Cid) -> Vec<u8> {
    header_of(std::slice::from_ref(root))
}

/// Returns the beginning of a CAR with any number of roots.
pub fn header_of(roots: &[Cid]) -> Vec<u8> {
    let mut header = Writer::with_capacity(20 + roots.len() * (Cid::BYTES + 5));
    header.map(2);
    header.text("roots");
    header.array(roots.len());
    for root in roots {
        header.link(root);
    }
    header.text("version");
    header.unsigned(1);
    let header = header.into_vec();
    let mut out = Vec::with_capacity(header.len() + 2);
    write_length(&mut out, header.len());
    out.extend_from_slice(&header);
    out
}

/// Appends a block.
pub fn write_block(out: &mut Vec<u8>, cid: &Cid, content: &[u8]) {
    out.reserve(block_size(content.len()));
    write_length(out, Cid::BYTES + content.len());
    out.extend_from_slice(&cid.to_bytes());
    out.extend_from_slice(content);
}

/// Returns how many bytes of a CAR a block of `content_bytes` takes.
pub const fn block_size(content_bytes: usize) -> usize {
    let len = Cid::BYTES + content_bytes;
    let bits = usize::BITS - len.leading_zeros();
    bits.div_ceil(7) as usize + len
}

fn write_length(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
