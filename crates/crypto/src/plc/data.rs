//! What the last operation in force says about a DID.

use std::collections::BTreeMap;

use common::{Cid, Did};
use serde::{Deserialize, Serialize};

use super::PlcOperation;

/// A service that a DID names, in `services` under its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub r#type: String,
    pub endpoint: String,
}

/// The state of a DID; its JSON form is that of `/:did/data` at the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DidData {
    pub did: Did,
    /// The did:keys that may sign the next operation, in descending authority.
    pub rotation_keys: Vec<String>,
    /// did:keys by id, without `#`.
    pub verification_methods: BTreeMap<String, String>,
    pub also_known_as: Vec<String>,
    /// Services by id, without `#`.
    pub services: BTreeMap<String, Service>,
}

impl DidData {
    /// Returns the operation that would follow `prev` and change nothing: to be changed, signed and submitted.
    pub fn next_operation(&self, prev: Cid) -> PlcOperation {
        PlcOperation {
            rotation_keys: self.rotation_keys.clone(),
            verification_methods: self.verification_methods.clone(),
            also_known_as: self.also_known_as.clone(),
            services: self.services.clone(),
            prev: Some(prev),
        }
    }
}
