//! The log of a DID: which operations may follow, and what a whole log comes to.

use common::{Cid, Did};

use super::{DidData, Operation, PlcError, PlcOperation};

/// How long an operation can be nullified after it was made.
pub const RECOVERY_WINDOW_MILLIS: i64 = 72 * 60 * 60 * 1000;

/// An operation as the audit log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub operation: Operation,
    pub cid: Cid,
    pub nullified: bool,
    /// When the directory took the operation, in milliseconds since 1970.
    pub created_at_millis: i64,
}

/// What a log comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Active(DidData),
    Tombstoned,
}

/// What accepting an operation means for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The operations that are nullified by it, in the order of the log.
    pub nullified: Vec<Cid>,
    /// The operation that it follows; `None` when it creates the DID.
    pub prev: Option<Cid>,
}

/// Verifies a whole audit log: that its first operation makes `did`, that each one followed from those before it when it was
/// made, and that its CIDs and marks of nullification are right.
///
/// The work grows with the size of the log, so callers bound that.
pub fn verify_log(did: &Did, entries: &[LogEntry]) -> Result<State, PlcError> {
    // Positions in `entries` of what is in force.
    let mut in_force: Vec<usize> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let computed = entry.operation.cid();
        if computed != entry.cid {
            return Err(PlcError::Cid { stated: entry.cid, computed });
        }
        if at > 0 && entry.created_at_millis < entries[at - 1].created_at_millis {
            return Err(PlcError::TimeOrder(entry.cid));
        }
        let history: Vec<&LogEntry> = in_force.iter().map(|&at| &entries[at]).collect();
        let kept = place(did, &history, &entry.operation, entry.created_at_millis)?;
        in_force.truncate(kept);
        in_force.push(at);
    }
    let mut next_in_force = in_force.iter().copied().peekable();
    for (at, entry) in entries.iter().enumerate() {
        if next_in_force.next_if_eq(&at).is_some() == entry.nullified {
            return Err(PlcError::Nullified(entry.cid));
        }
    }
    let last = in_force.last().ok_or(PlcError::EmptyLog)?;
    Ok(entries[*last].operation.data(did).map_or(State::Tombstoned, State::Active))
}

/// Decides, as a directory does, whether `proposed` may follow what `log` has; a new DID's log is empty.
///
/// `log` is trusted, being the caller's own; of `proposed` everything is checked, its limits too.
pub fn assure_valid_next_op(did: &Did, log: &[LogEntry], proposed: &Operation, now_millis: i64) -> Result<Accepted, PlcError> {
    proposed.check_limits()?;
    let in_force: Vec<&LogEntry> = log.iter().filter(|entry| !entry.nullified).collect();
    let kept = place(did, &in_force, proposed, now_millis)?;
    Ok(Accepted { nullified: in_force[kept..].iter().map(|entry| entry.cid).collect(), prev: proposed.unsigned.prev() })
}

/// Checks that `operation` may be made now, and returns how many of the operations in force stay so.
fn place(did: &Did, in_force: &[&LogEntry], operation: &Operation, now_millis: i64) -> Result<usize, PlcError> {
    if in_force.is_empty() {
        check_genesis(did, operation)?;
        return Ok(0);
    }
    let prev = operation.unsigned.prev().ok_or(PlcError::SecondGenesis)?;
    let at = in_force.iter().position(|entry| entry.cid == prev).ok_or(PlcError::Misordered)?;
    let rotation_keys = in_force[at].operation.unsigned.normalized().ok_or(PlcError::Tombstoned)?.rotation_keys;
    let kept = at + 1;
    let Some(disputed) = in_force.get(kept) else {
        operation.signed_by(&rotation_keys)?;
        return Ok(kept);
    };
    let disputed_signer = disputed.operation.signed_by(&rotation_keys)?;
    operation.signed_by(&rotation_keys[..disputed_signer]).map_err(|err| match err {
        PlcError::Signature => PlcError::Authority,
        other => other,
    })?;
    let elapsed_millis = now_millis.saturating_sub(disputed.created_at_millis);
    if elapsed_millis > RECOVERY_WINDOW_MILLIS {
        return Err(PlcError::LateRecovery { elapsed_millis });
    }
    Ok(kept)
}

fn check_genesis(did: &Did, operation: &Operation) -> Result<(), PlcError> {
    let Some(PlcOperation { rotation_keys, prev: None, .. }) = operation.unsigned.normalized() else {
        return Err(PlcError::NotGenesis);
    };
    let derived = operation.derived_did();
    if derived != *did {
        return Err(PlcError::GenesisHash { derived });
    }
    operation.signed_by(&rotation_keys)?;
    Ok(())
}
