//! did:plc: operations, their log, and what a DID document shows of it.
//!
//! A DID is the hash of its first operation. Each later operation names the one before it by CID and is signed by one of the
//! rotation keys that this one lists. The list is in descending authority: for 72 hours, a key can replace what a key below it
//! signed (and all that followed), which is then nullified.
//!
//! Two strictnesses: [`Operation::check_limits`] holds new operations to the limits of the directory, while [`verify_log`]
//! takes older ones as they are, since some were accepted under other limits.
//!
//! Spec: <https://web.plc.directory/spec/v0.1/did-plc>

mod data;
mod document;
mod error;
mod limits;
mod log;
mod operation;

pub use data::{DidData, Service};
pub use document::did_document;
pub use error::{LimitError, OperationError, PlcError};
pub use log::{Accepted, LogEntry, RECOVERY_WINDOW_MILLIS, State, assure_valid_next_op, verify_log};
pub use operation::{LegacyCreate, Operation, PlcOperation, Tombstone, UnsignedOperation};
