//! Whether an operation is taken, and what that does to the log of its DID.

use common::Did;
use crypto::plc::{LogEntry, Operation, PlcError, assure_valid_next_op};
use rusqlite::Transaction;

use super::store::{self, PlcStore, PlcStoreError};

/// How long a log may grow. All of it is read to judge the next operation.
const MAX_LOG_LENGTH: usize = 1000;

/// Why an operation is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubmitError {
    #[error("it breaks the rules")]
    Refused(#[source] PlcError),
    #[error("the DID has {MAX_LOG_LENGTH} operations, and no more are taken but to recover it")]
    LogFull,
    #[error("the directory's database failed")]
    Store(#[from] PlcStoreError),
}

/// Adds `operation` to the log of `did` if it may follow what is there, and nullifies what it replaces.
pub(super) async fn submit(store: &PlcStore, did: Did, operation: Operation) -> Result<(), SubmitError> {
    let clock = store.clone();
    // The time is read inside, so that it is no earlier than that of operations which came before the lock was free.
    store.write(move |tx| append(tx, &did, operation, clock.now_millis())).await
}

fn append(tx: &Transaction<'_>, did: &Did, operation: Operation, now_millis: i64) -> Result<(), SubmitError> {
    let log: Vec<LogEntry> = store::log(tx, did.as_str())?.into_iter().map(|stored| stored.entry).collect();
    // Times only grow, even where the clock stands still or steps back: verifiers ask for it, and pages of the export go by them.
    let created_at_millis = store::find_last_time(tx)?.map_or(now_millis, |last| now_millis.max(last.saturating_add(1)));
    let accepted = assure_valid_next_op(did, &log, &operation, created_at_millis).map_err(SubmitError::Refused)?;
    if accepted.nullified.is_empty() && log.len() >= MAX_LOG_LENGTH {
        return Err(SubmitError::LogFull);
    }
    for cid in &accepted.nullified {
        store::nullify(tx, did, cid)?;
    }
    let cid = operation.cid();
    store::insert(tx, did, &LogEntry { operation, cid, nullified: false, created_at_millis })?;
    Ok(())
}
