//! A whole tree out of its records.

use common::Cid;

use crate::keys::Keys;
use crate::node::Links;
use crate::{Key, Node};

/// Builds the one tree that a set of records has, from records in the order of their keys.
///
/// Finished nodes go to `emit`, children first, as their CID, decoded form and block. Memory holds one open node per layer.
/// Whoever stores nodes of strangers' records asks [`Node::is_readable`] first.
#[derive(Debug)]
pub struct Builder<F> {
    emit: F,
    /// One open node per layer, from the leaves up.
    open: Vec<Open>,
    last: Option<Key>,
}

#[derive(Debug, Default)]
struct Open {
    left: Option<Cid>,
    keys: Keys,
    links: Vec<Links>,
}

impl<F, E> Builder<F>
where
    F: FnMut(Cid, Node, Vec<u8>) -> Result<(), E>,
{
    pub const fn new(emit: F) -> Self {
        Self { emit, open: Vec::new(), last: None }
    }

    /// Adds a record. Returns `false`, and adds nothing, when the key does not come after the last one.
    ///
    /// # Errors
    ///
    /// Those of `emit`. The tree cannot be continued then.
    pub fn push(&mut self, key: &Key, value: Cid) -> Result<bool, E> {
        if self.last.as_ref().is_some_and(|last| last >= key) {
            return Ok(false);
        }
        let layer = usize::from(key.height());
        if self.open.len() <= layer {
            self.open.resize_with(layer + 1, Open::default);
        }
        self.close_below(layer)?;
        let open = &mut self.open[layer];
        open.keys.push(key);
        open.links.push(Links { value, right: None });
        self.last = Some(key.clone());
        Ok(true)
    }

    /// Closes the tree and returns its root.
    pub fn finish(mut self) -> Result<Cid, E> {
        let Some(top) = self.open.len().checked_sub(1) else {
            let node = Node::empty();
            let block = node.encode();
            let cid = Cid::dag_cbor(&block);
            (self.emit)(cid, node, block)?;
            return Ok(cid);
        };
        self.close_below(top)?;
        Ok(self.close(top)?.expect("the top layer has a key"))
    }

    /// Closes the nodes below `layer` and links them from there.
    fn close_below(&mut self, layer: usize) -> Result<(), E> {
        for below in 0..layer {
            if let Some(cid) = self.close(below)? {
                let above = &mut self.open[below + 1];
                match above.links.last_mut() {
                    Some(links) => links.right = Some(cid),
                    None => above.left = Some(cid),
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, layer: usize) -> Result<Option<Cid>, E> {
        let open = &mut self.open[layer];
        if open.keys.is_empty() && open.left.is_none() {
            return Ok(None);
        }
        let Open { left, keys, links } = std::mem::take(open);
        let layer = (!keys.is_empty()).then_some(layer as u8);
        let node = Node { left, keys, links, layer };
        let block = node.encode();
        let cid = Cid::dag_cbor(&block);
        (self.emit)(cid, node, block)?;
        Ok(Some(cid))
    }
}
