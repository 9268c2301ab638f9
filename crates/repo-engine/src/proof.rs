//! Proof that a record is in a tree, or is not.

use std::sync::Arc;

use common::Cid;

use crate::tree::{check_child, check_root, fetch};
use crate::{Key, Node, NodeBlock, NodeStore, TreeError};

/// The nodes that show what a tree holds at one key.
#[derive(Clone, Debug)]
pub struct PathProof {
    /// The record, or `None` when the nodes show that there is none.
    pub value: Option<Cid>,
    /// The nodes from the root down.
    pub nodes: Vec<NodeBlock>,
}

/// Collects the nodes on the path to `key`, for `com.atproto.sync.getRecord`.
pub fn prove<S: NodeStore>(store: &S, root: Cid, key: &str) -> Result<PathProof, TreeError<S::Error>> {
    let mut nodes = Vec::new();
    let value = descend(store, (root, None), key, 0, |cid, node| {
        nodes.push(NodeBlock { cid, bytes: node.encode().into(), node: Arc::clone(node) });
    })?;
    Ok(PathProof { value, nodes })
}

/// Returns what the tree under `root` holds at `key`, out of the nodes of a proof alone.
///
/// A key is on the layer that its hash says, so a proof of absence may end there; ours go on until there is no further link.
///
/// # Errors
///
/// [`TreeError::MissingNode`] when the nodes do not reach far enough to tell, so the proof is none.
pub fn verify_proof<S: NodeStore>(store: &S, root: Cid, key: &Key) -> Result<Option<Cid>, TreeError<S::Error>> {
    descend(store, (root, None), key, key.height(), |_, _| {})
}

/// Looks a key up under a link to `layer`, or under a root when the layer is not known.
pub(crate) fn find<S: NodeStore>(
    store: &S,
    top: Cid,
    layer: Option<u8>,
    key: &str,
) -> Result<Option<Cid>, TreeError<S::Error>> {
    descend(store, (top, layer), key, 0, |_, _| {})
}

/// Follows the path to `key`, down to the layer `lowest`.
fn descend<S: NodeStore>(
    store: &S,
    (top, layer): (Cid, Option<u8>),
    key: &str,
    lowest: u8,
    mut visit: impl FnMut(Cid, &Arc<Node>),
) -> Result<Option<Cid>, TreeError<S::Error>> {
    let mut node = fetch(store, top)?;
    match layer {
        Some(layer) => check_child(top, &node, layer, (None, None))?,
        None => check_root(top, &node)?,
    }
    visit(top, &node);
    let mut layer = layer.or(node.layer()).unwrap_or(0);
    // Where the keys next to the path are: what is below must lie between them.
    let (mut after, mut before) = (None::<(Arc<Node>, usize)>, None::<(Arc<Node>, usize)>);
    loop {
        let index = match node.keys.search(key) {
            Ok(index) => return Ok(Some(node.entry(index).value)),
            Err(index) => index,
        };
        let (Some(cid), true) = (node.gap(index), layer > lowest) else { return Ok(None) };
        let below = layer - 1;
        if let Some(index) = index.checked_sub(1) {
            after = Some((Arc::clone(&node), index));
        }
        if index < node.len() {
            before = Some((Arc::clone(&node), index));
        }
        node = fetch(store, cid)?;
        check_child(cid, &node, below, (bound(after.as_ref()), bound(before.as_ref())))?;
        visit(cid, &node);
        layer = below;
    }
}

fn bound(at: Option<&(Arc<Node>, usize)>) -> Option<&str> {
    at.map(|(node, index)| node.keys.get(*index))
}
