//! From a tree back to the one before it.

use common::Cid;

use crate::{Action, Key, NodeStore, Op, Tree, TreeError};

/// Why operations cannot be undone.
#[derive(Debug, thiserror::Error)]
pub enum InvertError<E: std::error::Error + 'static> {
    #[error("the tree cannot be read")]
    Tree(#[source] TreeError<E>),
    #[error("the operations name {0} twice")]
    Twice(Key),
    #[error("after the operations, {key} holds {found:?} and not {expected:?}")]
    Contradiction { key: Key, expected: Option<Cid>, found: Option<Cid> },
}

/// Undoes `ops` in the tree under `root` and returns the root before them, out of the nodes of a `#commit` alone.
///
/// Deleted records come back first and created ones go last, the lowest first: so a node is only needed where the trees differ.
///
/// Spec: <https://atproto.com/specs/sync#commit-validation>
pub fn invert<S: NodeStore>(ops: &[Op], store: &S, root: Cid) -> Result<Cid, InvertError<S::Error>> {
    let mut order: Vec<&Op> = ops.iter().collect();
    order.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    if let Some(pair) = order.windows(2).find(|pair| pair[0].key == pair[1].key) {
        return Err(InvertError::Twice(pair[0].key.clone()));
    }
    order.sort_by_key(|op| match op.action {
        Action::Delete { .. } => (0, 0),
        Action::Update { .. } => (1, 0),
        Action::Create { .. } => (2, op.key.height()),
    });
    let mut tree = Tree::open(store, root);
    for op in order {
        let found = match op.action.prev() {
            Some(prev) => tree.put(&op.key, prev),
            None => tree.delete(&op.key),
        };
        let (found, expected) = (found.map_err(InvertError::Tree)?, op.action.cid());
        if found != expected {
            return Err(InvertError::Contradiction { key: op.key.clone(), expected, found });
        }
    }
    Ok(tree.finish().map_err(InvertError::Tree)?.root)
}
