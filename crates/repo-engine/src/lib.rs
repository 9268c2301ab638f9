//! The repository of an account: its tree of records, its commits, and the CAR files that carry them.
//!
//! - [`Key`] is a record's place, `<collection>/<rkey>`; [`Node`] is one block of the Merkle search tree (MST).
//! - [`Tree`] reads and changes a tree that a [`NodeStore`] holds and loads only the paths that an operation needs. Its
//!   [`Change`] says which nodes came, which went, and which more a consumer needs to undo the operations ([`invert`]).
//! - [`Builder`] makes a whole tree from sorted records; [`Walk`] streams one; [`diff`] compares two.
//! - [`UnsignedCommit`] and [`Commit`] sign a root; [`car`] reads and writes the archive format.
//!
//! Spec: <https://atproto.com/specs/repository>
//!
//! **Invariant:** no I/O, no clock, no randomness: nodes, keys and revisions are arguments. What a stranger sent is decoded
//! strictly and walked within bounds: a node's layer falls by one with each step down.

mod builder;
pub mod car;
mod commit;
mod diff;
mod invert;
mod key;
mod keys;
mod node;
mod op;
mod proof;
mod store;
mod tree;
mod walk;

pub use builder::Builder;
pub use commit::{Commit, CommitError, UnsignedCommit};
pub use diff::{Diff, diff};
pub use invert::{InvertError, invert};
pub use key::{Key, KeyError, height};
pub use node::{Entry, Node, NodeError};
pub use op::{Action, Op};
pub use proof::{PathProof, prove, verify_proof};
pub use store::{MemoryStore, NodeStore};
pub use tree::{Change, NodeBlock, Shape, Tree, TreeError};
pub use walk::{Step, Walk};
