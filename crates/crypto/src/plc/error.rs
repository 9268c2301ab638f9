//! Why an operation or a log is refused.

use common::{Cid, Did};

/// Why an operation stands against the rules, by itself or after those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlcError {
    #[error("the log is empty")]
    EmptyLog,
    #[error("the first operation makes {derived}, not this DID")]
    GenesisHash { derived: Did },
    #[error("the first operation must create the DID: no tombstone, and \"prev\" is null")]
    NotGenesis,
    #[error("only a first operation may be of the legacy form or have no \"prev\"")]
    SecondGenesis,
    #[error("\"prev\" names no operation that is in force")]
    Misordered,
    #[error("\"prev\" names a tombstone, which nothing can follow")]
    Tombstoned,
    #[error("the signature is not 64 bytes in base64url without padding")]
    SignatureEncoding,
    #[error("no rotation key that may sign this operation has signed it")]
    Signature,
    #[error("no key above the one that signed the operation to nullify has signed this one")]
    Authority,
    #[error("recovery comes {elapsed_millis} ms after the operation to nullify, which is more than 72 hours")]
    LateRecovery { elapsed_millis: i64 },
    #[error("the log says {stated} where the operation's CID is {computed}")]
    Cid { stated: Cid, computed: Cid },
    #[error("the log is wrong on whether {0} is nullified")]
    Nullified(Cid),
    #[error("the log's times go backwards at {0}")]
    TimeOrder(Cid),
    #[error("the operation is beyond a limit")]
    Limit(#[from] LimitError),
}

/// Which limit of the directory a new operation is beyond.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("the operation has {0} bytes in DAG-CBOR, more than {max}", max = super::limits::MAX_OPERATION_BYTES)]
    Size(usize),
    #[error("new operations of the legacy form \"create\" are not accepted")]
    Legacy,
    #[error("there are {0} rotation keys; 1 to {max} are allowed", max = super::limits::MAX_ROTATION_KEYS)]
    RotationKeyCount(usize),
    #[error("rotation key {0} is there twice")]
    RotationKeyTwice(String),
    #[error("rotation key {0} is not a did:key of secp256k1 or P-256")]
    RotationKey(String),
    #[error("there are {count} {what}, more than {max}")]
    Count { what: &'static str, count: usize, max: usize },
    #[error("verification method {id} is not a did:key")]
    VerificationMethod { id: String },
    #[error("alsoKnownAs has {0} twice")]
    AlsoKnownAsTwice(String),
    #[error("{what} has {length} characters, more than {max}")]
    Length { what: &'static str, length: usize, max: usize },
}

/// Why JSON is not an operation.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    #[error("an operation is a JSON object")]
    NotAnObject,
    #[error("an operation has a text \"sig\"")]
    NoSignature,
    #[error("the operation is of no known type, or lacks fields, or has unknown ones")]
    Fields(#[source] serde_json::Error),
}
