//! What a commit does to records.

use common::Cid;

use crate::Key;

/// What became of one record, as the firehose tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    pub key: Key,
    pub action: Action,
}

/// What happened to a record, with its CIDs before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create { cid: Cid },
    Update { cid: Cid, prev: Cid },
    Delete { prev: Cid },
}

impl Action {
    /// Tells what leads from `prev` to `cid`; `None` when there is nothing to do.
    pub fn between(prev: Option<Cid>, cid: Option<Cid>) -> Option<Self> {
        match (prev, cid) {
            (None, Some(cid)) => Some(Self::Create { cid }),
            (Some(prev), Some(cid)) if prev != cid => Some(Self::Update { cid, prev }),
            (Some(prev), None) => Some(Self::Delete { prev }),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    /// Returns the record after the operation.
    pub const fn cid(&self) -> Option<Cid> {
        match *self {
            Self::Create { cid } | Self::Update { cid, .. } => Some(cid),
            Self::Delete { .. } => None,
        }
    }

    /// Returns the record before the operation.
    pub const fn prev(&self) -> Option<Cid> {
        match *self {
            Self::Update { prev, .. } | Self::Delete { prev } => Some(prev),
            Self::Create { .. } => None,
        }
    }
}
