//! What differs between two trees.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::Cid;

use crate::tree::{check_child, check_root, fetch};
use crate::{Action, Key, Node, NodeStore, Op, TreeError};

/// What leads from one tree to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// In the order of their keys.
    pub ops: Vec<Op>,
    /// Nodes of the new tree that the old one does not have, in the order of their CIDs.
    pub created: Vec<Cid>,
    /// Nodes of the old tree that the new one does not have, in the order of their CIDs.
    pub removed: Vec<Cid>,
}

/// Compares two trees. It loads only nodes that differ, and those that they differ beside.
pub fn diff<S: NodeStore>(store: &S, old: Cid, new: Cid) -> Result<Diff, TreeError<S::Error>> {
    if old == new {
        return Ok(Diff::default());
    }
    let mut ops = Vec::new();
    let (mut old, mut new) = (Side::open(store, old)?, Side::open(store, new)?);
    loop {
        // Both sides stand at the same place in the order of keys: all before it is done.
        match (old.at(), new.at()) {
            (At::End, At::End) => break,
            (At::Link(left, _), At::Link(right, _)) if left == right => {
                old.skip();
                new.skip();
            }
            // The higher link may hold the lower one.
            (At::Link(_, left), At::Link(_, right)) => {
                if left >= right {
                    old.enter()?;
                }
                if right >= left {
                    new.enter()?;
                }
            }
            (At::Link(..), At::Record(..) | At::End) => old.enter()?,
            (At::Record(..) | At::End, At::Link(..)) => new.enter()?,
            (At::Record(key, prev), At::Record(other, cid)) => {
                let order = key.cmp(other);
                let (key, prev, cid) = match order {
                    std::cmp::Ordering::Less => (key, Some(prev), None),
                    std::cmp::Ordering::Equal => (key, Some(prev), Some(cid)),
                    std::cmp::Ordering::Greater => (other, None, Some(cid)),
                };
                ops.extend(op(key, prev, cid));
                if order.is_le() {
                    old.skip();
                }
                if order.is_ge() {
                    new.skip();
                }
            }
            (At::Record(key, prev), At::End) => {
                ops.extend(op(key, Some(prev), None));
                old.skip();
            }
            (At::End, At::Record(key, cid)) => {
                ops.extend(op(key, None, Some(cid)));
                new.skip();
            }
        }
    }
    // A node of both trees was entered on both sides, or on none.
    let created = new.entered.difference(&old.entered).copied().collect();
    let removed = old.entered.difference(&new.entered).copied().collect();
    Ok(Diff { ops, created, removed })
}

fn op(key: &str, prev: Option<Cid>, cid: Option<Cid>) -> Option<Op> {
    let action = Action::between(prev, cid)?;
    Some(Op { key: Key::parse(key).expect("nodes have valid keys"), action })
}

/// One of the two trees, and the place reached in it.
struct Side<'a, S> {
    store: &'a S,
    path: Vec<Frame>,
    entered: BTreeSet<Cid>,
}

struct Frame {
    node: Arc<Node>,
    layer: u8,
    /// What comes next: at `2 * i` the link before key `i`, at `2 * i + 1` the key itself.
    next: usize,
}

enum At<'a> {
    /// A link and the layer that it leads to.
    Link(Cid, u8),
    Record(&'a str, Cid),
    End,
}

impl<'a, S: NodeStore> Side<'a, S> {
    fn open(store: &'a S, root: Cid) -> Result<Self, TreeError<S::Error>> {
        let node = fetch(store, root)?;
        check_root(root, &node)?;
        let layer = node.layer().unwrap_or(0);
        let mut side = Self { store, path: vec![Frame { node, layer, next: 0 }], entered: BTreeSet::from([root]) };
        side.settle();
        Ok(side)
    }

    fn at(&self) -> At<'_> {
        let Some(frame) = self.path.last() else { return At::End };
        let index = frame.next / 2;
        if frame.next % 2 == 1 {
            let entry = frame.node.entry(index);
            return At::Record(entry.key, entry.value);
        }
        // `settle` passes by absent links, and nodes of layer 0 have none.
        let cid = frame.node.gap(index).expect("the place reached holds something");
        At::Link(cid, frame.layer.saturating_sub(1))
    }

    fn skip(&mut self) {
        if let Some(frame) = self.path.last_mut() {
            frame.next += 1;
        }
        self.settle();
    }

    fn enter(&mut self) -> Result<(), TreeError<S::Error>> {
        let At::Link(cid, layer) = self.at() else { return Ok(()) };
        let node = fetch(self.store, cid)?;
        check_child(cid, &node, layer, self.range())?;
        self.entered.insert(cid);
        if let Some(frame) = self.path.last_mut() {
            frame.next += 1;
        }
        self.path.push(Frame { node, layer, next: 0 });
        self.settle();
        Ok(())
    }

    /// Passes by absent links and the ends of nodes.
    fn settle(&mut self) {
        while let Some(frame) = self.path.last_mut() {
            if frame.next > 2 * frame.node.len() {
                self.path.pop();
            } else if frame.next % 2 == 0 && frame.node.gap(frame.next / 2).is_none() {
                frame.next += 1;
            } else {
                return;
            }
        }
    }

    /// Returns the keys next to the link that this side stands at.
    fn range(&self) -> (Option<&str>, Option<&str>) {
        let (mut after, mut before) = (None, None);
        for (depth, frame) in self.path.iter().rev().enumerate() {
            // Frames above have moved past the link that leads here.
            let index = if depth == 0 { frame.next / 2 } else { (frame.next - 1) / 2 };
            if after.is_none() {
                after = index.checked_sub(1).map(|index| frame.node.keys.get(index));
            }
            if before.is_none() && index < frame.node.len() {
                before = Some(frame.node.keys.get(index));
            }
        }
        (after, before)
    }
}
