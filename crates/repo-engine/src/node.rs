//! One block of the tree.
//!
//! A node holds the keys of one layer that no key of a higher layer separates. Between two of its keys, and at both ends, a
//! link may lead to a node of the layer below. On the wire, a key leaves out what it shares with the key before.
//!
//! Spec: <https://atproto.com/specs/repository#mst-structure>

use common::Cid;
use common::Codec;
use common::cbor::{self, MapReader, Reader, Writer};

use crate::key::{self, KeyError, height};
use crate::keys::{Keys, common_prefix};

/// A decoded node. Whatever made it, it obeys the rules that one node alone can obey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub(crate) left: Option<Cid>,
    pub(crate) keys: Keys,
    pub(crate) links: Vec<Links>,
    pub(crate) layer: Option<u8>,
}

/// What belongs to one key of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) value: Cid,
    pub(crate) right: Option<Cid>,
}

/// One key of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: &'a str,
    /// The record.
    pub value: Cid,
    /// The node with the keys between this one and the next.
    pub right: Option<Cid>,
}

/// Why a block is not a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("a node has at most {max} bytes, this has {0}", max = Node::MAX_BYTES)]
    TooLarge(usize),
    #[error("the keys of a node have at most {max} characters when they are written out", max = Node::MAX_KEY_CHARS)]
    TooManyKeys,
    #[error("the block is not DAG-CBOR of the right shape")]
    Cbor(#[from] cbor::Error),
    #[error("the block has not exactly the fields of a node")]
    Fields,
    #[error("a key is not valid")]
    Key(#[source] KeyError),
    #[error("a key does not leave out all that it shares with the key before")]
    Prefix,
    #[error("the keys do not ascend")]
    Order,
    #[error("the keys are not all on one layer")]
    Layers,
    #[error("a node of the lowest layer has a link to a node")]
    BelowLeaves,
    #[error("a link to a node has the codec of a blob")]
    LinkCodec,
}

impl Node {
    /// The most bytes that a node is read from: what an event of the firehose may have.
    pub const MAX_BYTES: usize = 2_000_000;

    /// The most characters that the keys of a node have together, so that a small block cannot become much memory.
    pub const MAX_KEY_CHARS: usize = 4_000_000;

    /// Returns the one node of an empty tree.
    pub const fn empty() -> Self {
        Self { left: None, keys: Keys::new(), links: Vec::new(), layer: None }
    }

    /// Decodes a block. What this accepts, [`Node::encode`] gives back byte by byte.
    pub fn decode(block: &[u8]) -> Result<Self, NodeError> {
        Self::read(block, true)
    }

    /// Decodes a block that was a node when it was stored. That all its keys have one height, each a hash to find, is not looked
    /// at again.
    pub fn decode_known(block: &[u8]) -> Result<Self, NodeError> {
        Self::read(block, false)
    }

    fn read(block: &[u8], check_heights: bool) -> Result<Self, NodeError> {
        if block.len() > Self::MAX_BYTES {
            return Err(NodeError::TooLarge(block.len()));
        }
        let mut reader = Reader::new(block);
        let mut fields = reader.map()?;
        field(&mut fields, &mut reader, "e")?;
        let len = reader.array()?;
        let mut keys = Keys::with_capacity(len.min(64), block.len().min(4096));
        let mut links = Vec::with_capacity(len.min(64));
        let mut layer = None;
        for _ in 0..len {
            let mut entry = reader.map()?;
            field(&mut entry, &mut reader, "k")?;
            let suffix = reader.bytes()?;
            field(&mut entry, &mut reader, "p")?;
            let prefix = usize::try_from(reader.integer()?).map_err(|_| NodeError::Prefix)?;
            field(&mut entry, &mut reader, "t")?;
            let right = child(&mut reader)?;
            field(&mut entry, &mut reader, "v")?;
            let value = reader.link()?;
            no_more(&entry)?;

            push_key(&mut keys, prefix, suffix)?;
            if keys.chars() > Self::MAX_KEY_CHARS {
                return Err(NodeError::TooManyKeys);
            }
            if check_heights || layer.is_none() {
                let on = height(keys.last().unwrap_or_default().as_bytes());
                if *layer.get_or_insert(on) != on {
                    return Err(NodeError::Layers);
                }
            }
            links.push(Links { value, right });
        }
        field(&mut fields, &mut reader, "l")?;
        let left = child(&mut reader)?;
        no_more(&fields)?;
        reader.finish()?;
        if layer == Some(0) && (left.is_some() || links.iter().any(|links| links.right.is_some())) {
            return Err(NodeError::BelowLeaves);
        }
        keys.shrink();
        links.shrink_to_fit();
        Ok(Self { left, keys, links, layer })
    }

    /// Encodes the block.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(48 + self.keys.chars() + self.len() * 104);
        writer.map(2);
        writer.raw(b"\x61e");
        writer.array(self.len());
        let mut before = "";
        for (index, links) in self.links.iter().enumerate() {
            let key = self.keys.get(index);
            let prefix = common_prefix(before, key);
            writer.map(4);
            writer.raw(b"\x61k");
            writer.bytes(&key.as_bytes()[prefix..]);
            writer.raw(b"\x61p");
            writer.unsigned(prefix as u64);
            writer.raw(b"\x61t");
            writer.optional_link(links.right.as_ref());
            writer.raw(b"\x61v");
            writer.link(&links.value);
            before = key;
        }
        writer.raw(b"\x61l");
        writer.optional_link(self.left.as_ref());
        writer.into_vec()
    }

    /// Tells whether [`Node::decode`] would read the node back from `block`, its encoded form.
    pub fn is_readable(&self, block: &[u8]) -> bool {
        block.len() <= Self::MAX_BYTES && self.keys.chars() <= Self::MAX_KEY_CHARS
    }

    /// Returns the memory that the node takes, in bytes: its weight in a cache.
    pub const fn size_bytes(&self) -> usize {
        // Beside the node itself: the two counters of its `Arc`.
        size_of::<Self>() + 16 + self.keys.capacity_bytes() + self.links.capacity() * size_of::<Links>()
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Tells whether the node has no keys. It may still have a link to the left.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Returns the link to the node with the keys before the first one.
    pub const fn left(&self) -> Option<Cid> {
        self.left
    }

    /// Returns the layer that the keys are on; a node without keys does not tell.
    pub const fn layer(&self) -> Option<u8> {
        self.layer
    }

    /// Returns the keys in order, with what belongs to each.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + DoubleEndedIterator {
        (0..self.len()).map(|index| self.entry(index))
    }

    pub(crate) fn entry(&self, index: usize) -> Entry<'_> {
        let Links { value, right } = self.links[index];
        Entry { key: self.keys.get(index), value, right }
    }

    /// Returns the link before the key at `index`, or after the last one.
    pub(crate) fn gap(&self, index: usize) -> Option<Cid> {
        index.checked_sub(1).map_or(self.left, |before| self.links[before].right)
    }
}

fn field<'a>(fields: &mut MapReader<'a>, reader: &mut Reader<'a>, name: &str) -> Result<(), NodeError> {
    if fields.key(reader)? == Some(name) { Ok(()) } else { Err(NodeError::Fields) }
}

fn no_more(fields: &MapReader<'_>) -> Result<(), NodeError> {
    if fields.left() == 0 { Ok(()) } else { Err(NodeError::Fields) }
}

fn child(reader: &mut Reader<'_>) -> Result<Option<Cid>, NodeError> {
    match reader.optional_link()? {
        Some(cid) if cid.codec() != Codec::DagCbor => Err(NodeError::LinkCodec),
        link => Ok(link),
    }
}

fn push_key(keys: &mut Keys, prefix: usize, suffix: &[u8]) -> Result<(), NodeError> {
    let (before, first) = (keys.last().unwrap_or_default(), keys.is_empty());
    let shared = before.as_bytes().get(..prefix).ok_or(NodeError::Prefix)?;
    if shared.len() + suffix.len() > key::Key::MAX_CHARS {
        return Err(NodeError::Key(KeyError::TooLong(shared.len() + suffix.len())));
    }
    match (before.as_bytes().get(prefix), suffix.first()) {
        (Some(before), Some(next)) if before == next => return Err(NodeError::Prefix),
        (Some(before), Some(next)) if before > next => return Err(NodeError::Order),
        (_, None) if !first => return Err(NodeError::Order),
        _ => {}
    }
    // Valid keys are ASCII, so text is what they are kept as.
    let suffix = std::str::from_utf8(suffix).map_err(|_| NodeError::Key(KeyError::Character))?;
    keys.push_compressed(prefix, suffix);
    key::check(keys.last().unwrap_or_default().as_bytes()).map_err(NodeError::Key)
}
