//! How the larger part of a frame is kept: as zstd, with a dictionary of what all frames have in common.
//!
//! Two thirds of a commit's frame are hashes, many of them twice: a block's CID stands before the block and in the node above
//! it. So a frame takes little more than half of its bytes, and two or three of them fit in a page of 4 KiB where there was one.
//!
//! The dictionary is part of the format: a tail that was packed with it opens with nothing else. Another one would need another
//! [`VERSION`].

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// Stands before the zstd frame.
const VERSION: u8 = 1;
/// As fast as it goes, since a write waits for it; higher levels gain a percent or two.
const LEVEL: i32 = -1;
/// Shorter tails are kept as they are.
const MIN_BYTES: usize = 256;
/// No frame is longer: the blocks of a commit are bounded, and so is what stands around them.
const MAX_BYTES: u64 = 8 << 20;

/// The words of frames, commits, nodes and records in their DAG-CBOR, what comes most often last.
const DICTIONARY: &[u8] = b"fembed\xa3e$typewapp.bsky.embed.imagesfimages\x81\xa3calt`eimage\xa4crefdsized$typedblobhmimeTypejimage/jpeg\
kaspectRatio\xa2ewidth\x19fheight\x19ffacets\x81\xa2eindex\xa2gbyteEnd\x18ibyteStart\x18hfeatures\x81\xa2curihttps://e$type\
x\x1capp.bsky.richtext.facet#linkx\x19app.bsky.richtext.facet#tagcdidx did:plc:ereply\xa2droot\xa2ccidx;bafyreicurixFat://did:plc:\
/app.bsky.feed.post/3lfparent\xa2ccidx;bafyreicurixFat://did:plc:/app.bsky.feed.post/3m\xa4e$typevapp.bsky.graph.blockgsubjectx did:plc:\
icreatedAtx\x182026-01-01T00:00:00.000Z\xa3e$typewapp.bsky.graph.followgsubjectx did:plc:icreatedAtx\x182026-01-01T00:00:00.000Z\
\xa3e$typetapp.bsky.feed.repostgsubject\xa2ccidx;bafyreicurixFat://did:plc:/app.bsky.feed.post/3licreatedAtx\x182026-01-01T00:00:00.000Z\
\xa3e$typerapp.bsky.feed.likegsubject\xa2ccidx;bafyreicurixFat://did:plc:/app.bsky.feed.post/3licreatedAtx\x182026-01-01T00:00:00.000Z\
\xa4dtextx\x78the and to of in that is for you it on with this \x65$typerapp.bsky.feed.postelangs\x81benicreatedAtx\x182026-01-01T00:00:00.000Z\
x app.bsky.actor.profile/selfx#app.bsky.graph.follow/3x!app.bsky.graph.block/3x!app.bsky.feed.repost/3x app.bsky.feed.like/3\
\xa2ae\x81\xa4akX app.bsky.feed.like/3lap\x00at\xf6av\xd8*X%\x00\x01q\x12 al\xf6\
\xa4akX app.bsky.feed.post/3map\x00at\xd8*X%\x00\x01q\x12 av\xd8*X%\x00\x01q\x12 \
\xa4akG2222222ap\x18\x19at\xd8*X%\x00\x01q\x12 av\xd8*X%\x00\x01q\x12 \xa4akH22222222ap\x18\x18at\xf6av\xd8*X%\x00\x01q\x12 \
\xa4akI222222222ap\x17at\xf6av\xd8*X%\x00\x01q\x12 al\xd8*X%\x00\x01q\x12 \
drepox did:plc:dtimex\x182026-01-01T00:00:00.000Zeblobs\x80esincem3mfblocksY\x0a:\xa2eroots\x81\xd8*X%\x00\x01q\x12 gversion\x01\xe0\x01\
\x01q\x12 \xa6cdidx did:plc:crevm3mcsigX@ddata\xd8*X%\x00\x01q\x12 dprev\xf6gversion\x03\
fcommit\xd8*X%\x00\x01q\x12 frebase\xf4ftooBig\xf4hprevData\xd8*X%\x00\x01q\x12 ";

thread_local! {
    // Made once for each thread: the dictionary is taken in then.
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Packs the tail of a frame; `None` when it is better kept as it is.
pub(super) fn pack(tail: &[u8]) -> Option<Vec<u8>> {
    if tail.len() < MIN_BYTES {
        return None;
    }
    PACKER.with_borrow_mut(|packer| {
        if packer.is_none() {
            *packer = Compressor::with_dictionary(LEVEL, DICTIONARY).ok();
        }
        let packed = packer.as_mut()?.compress(tail).ok()?;
        let mut out = Vec::with_capacity(1 + packed.len());
        out.push(VERSION);
        out.extend_from_slice(&packed);
        (out.len() < tail.len()).then_some(out)
    })
}

/// Appends the tail that was packed to `frame`; `None`, and nothing is appended, when it is damaged.
pub(super) fn unpack(packed: &[u8], frame: &mut Vec<u8>) -> Option<()> {
    let (&VERSION, packed) = packed.split_first()? else { return None };
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok()??;
    if size > MAX_BYTES {
        return None;
    }
    let head = frame.len();
    let unpacked = UNPACKER.with_borrow_mut(|unpacker| {
        if unpacker.is_none() {
            *unpacker = Decompressor::with_dictionary(DICTIONARY).ok();
        }
        unpacker.as_mut()?.decompress(packed, size as usize).ok()
    })?;
    frame.reserve_exact(unpacked.len());
    frame.extend_from_slice(&unpacked);
    (frame.len() - head == size as usize).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_packed_unpacks_to_the_same_bytes(seed in proptest::collection::vec(any::<u8>(), 1..64), times in 1..200_usize) {
            let tail = seed.repeat(times);
            if let Some(packed) = pack(&tail) {
                prop_assert!(packed.len() < tail.len());
                let mut frame = b"head".to_vec();
                unpack(&packed, &mut frame).expect("it is whole");
                prop_assert_eq!(&frame[4..], &tail[..]);
            }
        }

        #[test]
        fn damage_is_an_answer(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), version in any::<bool>()) {
            if version && let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let mut frame = Vec::new();
            prop_assert!(unpack(&bytes, &mut frame).is_some() || frame.is_empty());
        }
    }

    /// Frames of every release must open: this one was packed with the dictionary as it is.
    #[test]
    fn the_dictionary_stays_as_it_is() {
        let digest = common::Cid::raw(DICTIONARY).to_string();
        assert_eq!(digest, "bafkreie2vno5nblikstueebhetado6juu5hwg5rfvnlg3aw747wlsjadgq");
    }

    #[test]
    fn a_size_that_nothing_has_is_refused() {
        let mut packed = zstd::bulk::compress(&vec![0; 9 << 20], 1).unwrap();
        packed.insert(0, VERSION);
        assert!(unpack(&packed, &mut Vec::new()).is_none());
    }
}
