//! A tree from its first node to its last record.

use std::sync::Arc;

use common::Cid;

use crate::tree::{check_child, check_root, fetch};
use crate::{Node, NodeStore, TreeError};

/// Goes through a tree in order: each node before what it holds, records in the order of their keys.
///
/// It keeps one path of nodes in memory. It lends its steps, so it is not an `Iterator`: `while let Some(step) = walk.step()?`.
#[derive(Debug)]
pub struct Walk<S> {
    store: S,
    /// The root, until it is loaded.
    root: Option<Cid>,
    /// Where the walk begins, until it is there.
    from: Option<Box<str>>,
    path: Vec<Frame>,
}

/// What a walk comes by.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    Node { cid: Cid, node: &'a Arc<Node> },
    Record { key: &'a str, cid: Cid },
}

#[derive(Debug)]
struct Frame {
    node: Arc<Node>,
    layer: u8,
    /// What comes next: at `2 * i` the link before key `i`, at `2 * i + 1` the key itself.
    next: usize,
}

impl<S: NodeStore> Walk<S> {
    /// Begins at the first record. Nothing is loaded yet.
    pub const fn new(store: S, root: Cid) -> Self {
        Self { store, root: Some(root), from: None, path: Vec::new() }
    }

    /// Begins at `key`, or at the first record after it. Of the nodes before, only the path to there is visited.
    pub fn from_key(store: S, root: Cid, key: &str) -> Self {
        Self { store, root: Some(root), from: Some(key.into()), path: Vec::new() }
    }

    /// Goes on to the next node or record; `None` at the end. After an error, the walk is at its end.
    pub fn step(&mut self) -> Result<Option<Step<'_>>, TreeError<S::Error>> {
        match self.advance() {
            Ok(moved) => Ok(moved.map(|moved| {
                let frame = self.path.last().expect("a walk that moved is somewhere");
                match moved {
                    Moved::Into(cid) => Step::Node { cid, node: &frame.node },
                    Moved::To(index) => {
                        let entry = frame.node.entry(index);
                        Step::Record { key: entry.key, cid: entry.value }
                    }
                }
            })),
            Err(err) => {
                self.path.clear();
                Err(err)
            }
        }
    }

    /// Goes on to the next record, past nodes.
    pub fn record(&mut self) -> Result<Option<(&str, Cid)>, TreeError<S::Error>> {
        loop {
            match self.advance() {
                Ok(Some(Moved::Into(_))) => {}
                Ok(Some(Moved::To(index))) => {
                    let frame = self.path.last().expect("a walk that moved is somewhere");
                    let entry = frame.node.entry(index);
                    return Ok(Some((entry.key, entry.value)));
                }
                Ok(None) => return Ok(None),
                Err(err) => {
                    self.path.clear();
                    return Err(err);
                }
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Moved>, TreeError<S::Error>> {
        if let Some(root) = self.root.take() {
            let node = fetch(&self.store, root)?;
            check_root(root, &node)?;
            let layer = node.layer().unwrap_or(0);
            self.enter(node, layer);
            return Ok(Some(Moved::Into(root)));
        }
        while let Some(frame) = self.path.last_mut() {
            let at = frame.next;
            if at > 2 * frame.node.len() {
                self.path.pop();
                continue;
            }
            frame.next += 1;
            if at % 2 == 1 {
                return Ok(Some(Moved::To(at / 2)));
            }
            let (Some(cid), Some(below)) = (frame.node.gap(at / 2), frame.layer.checked_sub(1)) else { continue };
            let node = fetch(&self.store, cid)?;
            check_child(cid, &node, below, self.range())?;
            self.enter(node, below);
            return Ok(Some(Moved::Into(cid)));
        }
        Ok(None)
    }

    fn enter(&mut self, node: Arc<Node>, layer: u8) {
        let next = match &self.from {
            None => 0,
            Some(from) => match node.keys.search(from) {
                Ok(index) => {
                    self.from = None;
                    2 * index + 1
                }
                // No more links lead towards the beginning once there is none.
                Err(index) => {
                    if node.gap(index).is_none() {
                        self.from = None;
                    }
                    2 * index
                }
            },
        };
        self.path.push(Frame { node, layer, next });
    }

    /// Returns the keys next to the link that the walk is about to follow.
    fn range(&self) -> (Option<&str>, Option<&str>) {
        let (mut after, mut before) = (None, None);
        for frame in self.path.iter().rev() {
            // `next` has moved past the gap; both neighbours are found from its index.
            let index = (frame.next - 1) / 2;
            if after.is_none() {
                after = index.checked_sub(1).map(|index| frame.node.keys.get(index));
            }
            if before.is_none() && index < frame.node.len() {
                before = Some(frame.node.keys.get(index));
            }
            if after.is_some() && before.is_some() {
                break;
            }
        }
        (after, before)
    }
}

enum Moved {
    Into(Cid),
    To(usize),
}
