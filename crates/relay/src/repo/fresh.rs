//! The tree nodes that the last commits of a repo made, kept in the row of the repo's head.
//!
//! Most nodes that a commit makes are replaced by one of the next: the path to the newest record of a collection changes with
//! every record. So they are kept beside the head, in a row that every commit writes anyway, and go to the table of nodes only
//! when they have stayed while others came ([`Fresh::advance`]).
//!
//! Stored form: for each node, oldest first, the digest of its CID (32 bytes), the rev that made it (8, big endian), the length
//! of its block (4, big endian) and the block.

use std::sync::Arc;

use bytes::Bytes;
use common::{Cid, Codec, Tid};
use repo_engine::{Change, Node};

use crate::store::StoreError;
use crate::store::row::{corrupt, rev_value, tid};

/// Most bytes that nodes take in the row of a head: with the rest of the row they fill a page of the database.
const MAX_BYTES: usize = 7000;
const HEAD_BYTES: usize = 32 + 8 + 4;

/// A node with what is needed to store it.
#[derive(Clone, Debug)]
pub(crate) struct FreshNode {
    pub(crate) cid: Cid,
    pub(crate) rev: Tid,
    pub(crate) node: Arc<Node>,
    pub(crate) bytes: Bytes,
}

/// The fresh nodes of a repo, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fresh {
    nodes: Vec<FreshNode>,
}

/// What a commit changes in the table of nodes.
#[derive(Debug, Default)]
pub(crate) struct NodeChanges {
    pub(crate) insert: Vec<FreshNode>,
    pub(crate) delete: Vec<Cid>,
}

impl Fresh {
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn get(&self, cid: &Cid) -> Option<&FreshNode> {
        self.nodes.iter().find(|fresh| fresh.cid == *cid)
    }

    /// Returns the nodes that commits after `rev` made.
    pub(crate) fn since(&self, rev: Tid) -> impl Iterator<Item = &FreshNode> {
        self.nodes.iter().filter(move |fresh| fresh.rev > rev)
    }

    /// Takes the nodes of a commit in and those that it replaced out, and returns what the table of nodes must be told.
    pub(crate) fn advance(&mut self, change: &Change, rev: Tid) -> NodeChanges {
        let mut table = NodeChanges::default();
        for removed in &change.removed {
            match self.nodes.iter().position(|fresh| fresh.cid == *removed) {
                Some(at) => {
                    self.nodes.remove(at);
                }
                None => table.delete.push(*removed),
            }
        }
        // The root is replaced by every commit, so it is the last to go.
        self.nodes.extend(change.created.iter().rev().map(|block| FreshNode {
            cid: block.cid,
            rev,
            node: Arc::clone(&block.node),
            bytes: block.bytes.clone(),
        }));
        let mut bytes: usize = self.nodes.iter().map(FreshNode::stored_bytes).sum();
        let mut spill = 0;
        while bytes > MAX_BYTES {
            bytes -= self.nodes[spill].stored_bytes();
            spill += 1;
        }
        table.insert = self.nodes.drain(..spill).collect();
        table
    }

    /// Returns the stored form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.nodes.iter().map(FreshNode::stored_bytes).sum());
        for fresh in &self.nodes {
            out.extend_from_slice(fresh.cid.digest());
            out.extend_from_slice(&rev_value(fresh.rev).to_be_bytes());
            out.extend_from_slice(&(fresh.bytes.len() as u32).to_be_bytes());
            out.extend_from_slice(&fresh.bytes);
        }
        out
    }

    /// Reads the stored form. Blocks are hashed, so a damaged page is noticed here.
    pub(crate) fn decode(stored: &[u8]) -> Result<Self, StoreError> {
        let damaged = |reason: &dyn std::fmt::Display| corrupt("repo", "fresh_nodes", reason);
        let mut nodes = Vec::new();
        let mut rest = stored;
        while !rest.is_empty() {
            let (head, after) = rest.split_first_chunk::<HEAD_BYTES>().ok_or_else(|| damaged(&"a head is cut off"))?;
            let (digest, numbers) = head.split_first_chunk::<32>().expect("a head begins with a digest");
            let (rev, len) = numbers.split_first_chunk::<8>().expect("a rev follows");
            let len = u32::from_be_bytes(len.try_into().expect("the rest of a head is a length"));
            let (block, after) = after.split_at_checked(len as usize).ok_or_else(|| damaged(&"a block is cut off"))?;
            let cid = Cid::new(Codec::DagCbor, *digest);
            if !cid.matches(block) {
                return Err(damaged(&format_args!("the block of node {cid} is damaged")));
            }
            let node = Node::decode_known(block).map_err(|err| damaged(&err))?;
            let rev = tid(i64::from_be_bytes(*rev)).ok_or_else(|| damaged(&"a rev is not a TID"))?;
            nodes.push(FreshNode { cid, rev, node: Arc::new(node), bytes: Bytes::copy_from_slice(block) });
            rest = after;
        }
        Ok(Self { nodes })
    }
}

impl FreshNode {
    fn stored_bytes(&self) -> usize {
        HEAD_BYTES + self.bytes.len()
    }
}
