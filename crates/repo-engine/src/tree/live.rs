//! The part of a tree that is being changed.

use std::sync::Arc;

use bytes::Bytes;
use common::Cid;

use super::{NodeBlock, TreeError, check_child, fetch};
use crate::keys::Keys;
use crate::node::Links;
use crate::{Key, Node, NodeStore};

/// What a link leads to.
#[derive(Debug, Default)]
pub(super) enum Sub {
    #[default]
    Empty,
    /// A node that was not loaded.
    Stored(Cid),
    Live(Box<Live>),
}

/// A node that was loaded to be changed.
#[derive(Debug)]
pub(super) struct Live {
    /// The CID that the node was loaded by, while neither it nor anything below it has changed.
    pub(super) origin: Option<Cid>,
    pub(super) layer: u8,
    pub(super) left: Sub,
    pub(super) keys: Keys,
    pub(super) slots: Vec<Slot>,
}

/// What belongs to one key.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) value: Cid,
    pub(super) right: Sub,
}

/// What nodes are loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Put,
    Delete,
}

/// The keys between which all keys of a node must lie.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range<'a> {
    after: Option<&'a str>,
    before: Option<&'a str>,
}

/// Stands for the promise that the operation's `load` gives to its second half.
const LOADED: &str = "all nodes that an operation changes were loaded before";

impl Sub {
    /// Loads the node that is linked here, if it is not yet.
    fn load<S: NodeStore>(&mut self, store: &S, layer: u8, range: Range<'_>) -> Result<(), TreeError<S::Error>> {
        if let Self::Stored(cid) = *self {
            let node = fetch(store, cid)?;
            check_child(cid, &node, layer, (range.after, range.before))?;
            *self = Self::Live(Box::new(Live::from_node(cid, layer, &node)));
        }
        Ok(())
    }

    /// Returns the record at `key`, whose path was loaded.
    pub(super) fn find(&self, key: &str) -> Option<Cid> {
        let mut sub = self;
        while let Self::Live(live) = sub {
            match live.keys.search(key) {
                Ok(index) => return Some(live.slots[index].value),
                Err(index) => sub = live.gap(index),
            }
        }
        None
    }

    /// Puts a record, in place or as a new key; for the root of a tree.
    pub(super) fn insert(&mut self, key: &Key, value: Cid, touched: &mut Vec<Cid>) {
        match self {
            Self::Live(root) if root.layer >= key.height() => root.insert(key, value, touched),
            Self::Live(root) => {
                let top = root.layer;
                let (left, right) = std::mem::take(self).split(key, touched);
                let layer = key.height();
                let mut above = Live::single(key, value);
                above.left = left.raise(top, layer - 1);
                above.slots[0].right = right.raise(top, layer - 1);
                *self = Self::Live(Box::new(above));
            }
            Self::Empty => *self = Self::Live(Box::new(Live::single(key, value))),
            Self::Stored(_) => unreachable!("{LOADED}"),
        }
    }

    /// Takes out a record that is there.
    pub(super) fn remove(&mut self, key: &str, touched: &mut Vec<Cid>) {
        let Self::Live(live) = self else { unreachable!("{LOADED}") };
        live.change(touched);
        match live.keys.search(key) {
            Ok(index) => {
                let left = std::mem::take(live.gap_mut(index));
                let right = live.slots.remove(index).right;
                live.keys.remove(index);
                *live.gap_mut(index) = left.merge(right, touched);
            }
            Err(index) => live.gap_mut(index).remove(key, touched),
        }
        if live.is_void() {
            *self = Self::Empty;
        }
    }

    /// Parts the nodes at `key`, which none of them has.
    fn split(self, key: &str, touched: &mut Vec<Cid>) -> (Self, Self) {
        let mut live = match self {
            Self::Empty => return (Self::Empty, Self::Empty),
            Self::Live(live) => live,
            Self::Stored(_) => unreachable!("{LOADED}"),
        };
        live.change(touched);
        let (Ok(index) | Err(index)) = live.keys.search(key);
        let (left, right) = std::mem::take(live.gap_mut(index)).split(key, touched);
        let after = Live {
            origin: None,
            layer: live.layer,
            left: right,
            keys: live.keys.split_off(index),
            slots: live.slots.split_off(index),
        };
        *live.gap_mut(index) = left;
        (Self::unless_void(live), Self::unless_void(Box::new(after)))
    }

    /// Joins two nodes of one layer between which nothing is left.
    fn merge(self, other: Self, touched: &mut Vec<Cid>) -> Self {
        match (self, other) {
            (Self::Empty, sub) | (sub, Self::Empty) => sub,
            (Self::Live(mut left), Self::Live(mut right)) => {
                left.change(touched);
                right.change(touched);
                let seam = left.slots.len();
                let middle = std::mem::take(left.gap_mut(seam)).merge(std::mem::take(&mut right.left), touched);
                *left.gap_mut(seam) = middle;
                left.keys.append(&right.keys);
                left.slots.append(&mut right.slots);
                Self::Live(left)
            }
            (Self::Stored(_), _) | (_, Self::Stored(_)) => unreachable!("{LOADED}"),
        }
    }

    /// Puts nodes without keys above a node of layer `from`, up to layer `to`.
    fn raise(mut self, from: u8, to: u8) -> Self {
        if matches!(self, Self::Empty) {
            return self;
        }
        for layer in from + 1..=to {
            self = Self::Live(Box::new(Live { origin: None, layer, left: self, keys: Keys::new(), slots: Vec::new() }));
        }
        self
    }

    fn unless_void(live: Box<Live>) -> Self {
        if live.is_void() { Self::Empty } else { Self::Live(live) }
    }

    /// Encodes and hashes what changed, from the leaves up, and returns the CID.
    pub(super) fn seal(self, sealed: &mut Vec<NodeBlock>) -> Option<Cid> {
        match self {
            Self::Empty => None,
            Self::Stored(cid) => Some(cid),
            Self::Live(live) => Some(match live.origin {
                Some(cid) => cid,
                None => live.seal(sealed),
            }),
        }
    }
}

impl Live {
    pub(super) fn from_node(cid: Cid, layer: u8, node: &Node) -> Self {
        let sub = |link: Option<Cid>| link.map_or(Sub::Empty, Sub::Stored);
        let mut slots = Vec::with_capacity(node.len() + 1);
        slots.extend(node.links.iter().map(|links| Slot { value: links.value, right: sub(links.right) }));
        Self { origin: Some(cid), layer, left: sub(node.left), keys: node.keys.clone(), slots }
    }

    fn single(key: &Key, value: Cid) -> Self {
        let mut keys = Keys::new();
        keys.push(key);
        Self { origin: None, layer: key.height(), left: Sub::Empty, keys, slots: vec![Slot { value, right: Sub::Empty }] }
    }

    /// Returns what is before the key at `index`, or after the last one.
    pub(super) fn gap(&self, index: usize) -> &Sub {
        index.checked_sub(1).map_or(&self.left, |before| &self.slots[before].right)
    }

    fn gap_mut(&mut self, index: usize) -> &mut Sub {
        match index.checked_sub(1) {
            None => &mut self.left,
            Some(before) => &mut self.slots[before].right,
        }
    }

    /// Marks the node as one that the new tree may not have.
    pub(super) fn change(&mut self, touched: &mut Vec<Cid>) {
        touched.extend(self.origin.take());
    }

    fn is_void(&self) -> bool {
        self.keys.is_empty() && matches!(self.left, Sub::Empty)
    }

    /// Loads the path to `key` and on to where it would be split; to delete a key that is here, what will be merged.
    pub(super) fn load<S: NodeStore>(
        &mut self,
        store: &S,
        key: &str,
        purpose: Purpose,
        range: Range<'_>,
    ) -> Result<(), TreeError<S::Error>> {
        let Some(below) = self.layer.checked_sub(1) else { return Ok(()) };
        match self.keys.search(key) {
            Err(index) => {
                let (gap, range) = self.gap_in(index, range);
                gap.load(store, below, range)?;
                match gap {
                    Sub::Live(live) => live.load(store, key, purpose, range),
                    Sub::Empty | Sub::Stored(_) => Ok(()),
                }
            }
            Ok(index) if purpose == Purpose::Delete => {
                let Self { left, keys, slots, .. } = self;
                let after = index.checked_sub(1).map(|before| keys.get(before)).or(range.after);
                let before = if index + 1 < keys.len() { Some(keys.get(index + 1)) } else { range.before };
                let (earlier, later) = slots.split_at_mut(index);
                let left = earlier.last_mut().map_or(left, |slot| &mut slot.right);
                load_seam(store, left, &mut later[0].right, below, keys.get(index), Range { after, before })
            }
            Ok(_) => Ok(()),
        }
    }

    /// Returns what is before the key at `index`, and the range of its keys.
    fn gap_in<'a>(&'a mut self, index: usize, range: Range<'a>) -> (&'a mut Sub, Range<'a>) {
        let Self { left, keys, slots, .. } = self;
        let before = if index < keys.len() { Some(keys.get(index)) } else { range.before };
        match index.checked_sub(1) {
            None => (left, Range { before, ..range }),
            Some(at) => (&mut slots[at].right, Range { after: Some(keys.get(at)), before }),
        }
    }

    fn insert(&mut self, key: &Key, value: Cid, touched: &mut Vec<Cid>) {
        self.change(touched);
        match self.keys.search(key) {
            Ok(index) => self.slots[index].value = value,
            Err(index) if self.layer == key.height() => {
                let (left, right) = std::mem::take(self.gap_mut(index)).split(key, touched);
                *self.gap_mut(index) = left;
                self.keys.insert(index, key);
                self.slots.insert(index, Slot { value, right });
            }
            Err(index) => {
                let below = self.layer - 1;
                let gap = self.gap_mut(index);
                match gap {
                    Sub::Live(live) => live.insert(key, value, touched),
                    Sub::Empty => *gap = Sub::Live(Box::new(Self::single(key, value))).raise(key.height(), below),
                    Sub::Stored(_) => unreachable!("{LOADED}"),
                }
            }
        }
    }

    fn seal(self, sealed: &mut Vec<NodeBlock>) -> Cid {
        let left = self.left.seal(sealed);
        let mut links = Vec::with_capacity(self.slots.len());
        links.extend(self.slots.into_iter().map(|slot| Links { value: slot.value, right: slot.right.seal(sealed) }));
        let layer = (!self.keys.is_empty()).then_some(self.layer);
        let mut keys = self.keys;
        keys.shrink();
        seal_node(Node { left, keys, links, layer }, sealed)
    }
}

/// Loads the two edges that meet when `key` between them goes.
fn load_seam<S: NodeStore>(
    store: &S,
    left: &mut Sub,
    right: &mut Sub,
    layer: u8,
    key: &str,
    range: Range<'_>,
) -> Result<(), TreeError<S::Error>> {
    if matches!(left, Sub::Empty) || matches!(right, Sub::Empty) {
        return Ok(());
    }
    left.load(store, layer, Range { before: Some(key), ..range })?;
    right.load(store, layer, Range { after: Some(key), ..range })?;
    let (Sub::Live(left), Sub::Live(right), Some(below)) = (left, right, layer.checked_sub(1)) else { return Ok(()) };
    let after = left.keys.last().or(range.after);
    let before = right.keys.first().or(range.before);
    let left = left.slots.last_mut().map_or(&mut left.left, |slot| &mut slot.right);
    load_seam(store, left, &mut right.left, below, key, Range { after, before })
}

/// Encodes and hashes a node.
pub(super) fn seal_node(node: Node, sealed: &mut Vec<NodeBlock>) -> Cid {
    let bytes = Bytes::from(node.encode());
    let cid = Cid::dag_cbor(&bytes);
    sealed.push(NodeBlock { cid, node: Arc::new(node), bytes });
    cid
}
