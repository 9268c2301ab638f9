//! The nodes that let a consumer undo a commit.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use common::Cid;

use super::live::Sub;
use super::{MAX_LAYERS, NodeBlock, TreeError, fetch};
use crate::{Action, Node, NodeStore, Op};

/// Returns the unchanged nodes of the tree that are on the path to the key of an operation, or to a neighbour of a created key.
///
/// Those that changed are not among them: they are sealed with the tree.
pub(super) fn cover<S: NodeStore>(store: &S, root: &Sub, ops: &[Op]) -> Result<Vec<NodeBlock>, TreeError<S::Error>> {
    let mut cover = Cover { store, nodes: BTreeMap::new() };
    for op in ops {
        cover.path(root, op)?;
    }
    let sealed = cover.nodes.into_iter().map(|(cid, node)| NodeBlock { cid, bytes: node.encode().into(), node });
    Ok(sealed.collect())
}

struct Cover<'a, S> {
    store: &'a S,
    nodes: BTreeMap<Cid, Arc<Node>>,
}

#[derive(Clone, Copy)]
enum Edge {
    First,
    Last,
}

impl<S: NodeStore> Cover<'_, S> {
    fn path(&mut self, root: &Sub, op: &Op) -> Result<(), TreeError<S::Error>> {
        let mut sub = root;
        loop {
            let live = match sub {
                Sub::Empty => return Ok(()),
                Sub::Live(live) if live.origin.is_none() => live,
                // Loaded, but not changed: the store has it.
                Sub::Live(live) => return self.stored_path(live.origin, op),
                Sub::Stored(cid) => return self.stored_path(Some(*cid), op),
            };
            match live.keys.search(&op.key) {
                Ok(index) => {
                    if matches!(op.action, Action::Create { .. }) {
                        self.edge(live.gap(index), Edge::Last)?;
                        self.edge(live.gap(index + 1), Edge::First)?;
                    }
                    return Ok(());
                }
                Err(index) => sub = live.gap(index),
            }
        }
    }

    fn stored_path(&mut self, mut link: Option<Cid>, op: &Op) -> Result<(), TreeError<S::Error>> {
        // A store that keeps its promise has no longer paths.
        for _ in 0..=MAX_LAYERS {
            let Some(cid) = link else { return Ok(()) };
            let node = self.take(cid)?;
            match node.keys.search(&op.key) {
                Ok(index) => {
                    if matches!(op.action, Action::Create { .. }) {
                        self.stored_edge(node.gap(index), Edge::Last)?;
                        self.stored_edge(node.gap(index + 1), Edge::First)?;
                    }
                    return Ok(());
                }
                Err(index) => link = node.gap(index),
            }
        }
        Ok(())
    }

    fn edge(&mut self, mut sub: &Sub, edge: Edge) -> Result<(), TreeError<S::Error>> {
        loop {
            match sub {
                Sub::Empty => return Ok(()),
                Sub::Stored(cid) => return self.stored_edge(Some(*cid), edge),
                Sub::Live(live) if live.origin.is_some() => return self.stored_edge(live.origin, edge),
                Sub::Live(live) => {
                    sub = match edge {
                        Edge::First => live.gap(0),
                        Edge::Last => live.gap(live.slots.len()),
                    };
                }
            }
        }
    }

    fn stored_edge(&mut self, mut link: Option<Cid>, edge: Edge) -> Result<(), TreeError<S::Error>> {
        for _ in 0..=MAX_LAYERS {
            let Some(cid) = link else { return Ok(()) };
            let node = self.take(cid)?;
            link = match edge {
                Edge::First => node.gap(0),
                Edge::Last => node.gap(node.len()),
            };
        }
        Ok(())
    }

    fn take(&mut self, cid: Cid) -> Result<Arc<Node>, TreeError<S::Error>> {
        Ok(Arc::clone(match self.nodes.entry(cid) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(fetch(self.store, cid)?),
        }))
    }
}
