//! The limits that the public directory sets for new operations.
//!
//! Size and number of rotation keys are the specification's; the directory's own program has been seen with 4000 bytes and ten
//! keys. The other limits are the program's. Lengths are in UTF-16 units, as it is written in JavaScript.

use std::collections::BTreeSet;

use super::{LimitError, Operation, PlcOperation, UnsignedOperation};
use crate::keys::{VerifyingKey, is_did_key_syntax};

pub(super) const MAX_OPERATION_BYTES: usize = 7500;
pub(super) const MAX_ROTATION_KEYS: usize = 5;
const MAX_VERIFICATION_METHODS: usize = 10;
const MAX_ALSO_KNOWN_AS: usize = 10;
const MAX_SERVICES: usize = 10;
const MAX_ID_LENGTH: usize = 32;
/// A handle of 253 characters behind `at://`.
const MAX_ALSO_KNOWN_AS_LENGTH: usize = 258;
const MAX_SERVICE_TYPE_LENGTH: usize = 256;
const MAX_SERVICE_ENDPOINT_LENGTH: usize = 512;

impl Operation {
    /// Checks a new operation against the limits of the directory.
    pub fn check_limits(&self) -> Result<(), LimitError> {
        let size = self.to_cbor().len();
        if size > MAX_OPERATION_BYTES {
            return Err(LimitError::Size(size));
        }
        match &self.unsigned {
            UnsignedOperation::Plc(operation) => operation.check_limits(),
            UnsignedOperation::Tombstone(_) => Ok(()),
            UnsignedOperation::LegacyCreate(_) => Err(LimitError::Legacy),
        }
    }
}

impl PlcOperation {
    fn check_limits(&self) -> Result<(), LimitError> {
        self.check_rotation_keys()?;
        count("verification methods", self.verification_methods.len(), MAX_VERIFICATION_METHODS)?;
        for (id, key) in &self.verification_methods {
            length("a verification method's id", id, MAX_ID_LENGTH)?;
            // Any kind of key may stand here, unlike among the rotation keys.
            if !is_did_key_syntax(key) {
                return Err(LimitError::VerificationMethod { id: id.clone() });
            }
        }
        count("entries of alsoKnownAs", self.also_known_as.len(), MAX_ALSO_KNOWN_AS)?;
        let mut names = BTreeSet::new();
        for name in &self.also_known_as {
            length("an entry of alsoKnownAs", name, MAX_ALSO_KNOWN_AS_LENGTH)?;
            if !names.insert(name) {
                return Err(LimitError::AlsoKnownAsTwice(name.clone()));
            }
        }
        count("services", self.services.len(), MAX_SERVICES)?;
        for (id, service) in &self.services {
            length("a service's id", id, MAX_ID_LENGTH)?;
            length("a service's type", &service.r#type, MAX_SERVICE_TYPE_LENGTH)?;
            length("a service's endpoint", &service.endpoint, MAX_SERVICE_ENDPOINT_LENGTH)?;
        }
        Ok(())
    }

    fn check_rotation_keys(&self) -> Result<(), LimitError> {
        if !(1..=MAX_ROTATION_KEYS).contains(&self.rotation_keys.len()) {
            return Err(LimitError::RotationKeyCount(self.rotation_keys.len()));
        }
        let mut seen = BTreeSet::new();
        for key in &self.rotation_keys {
            VerifyingKey::from_did_key(key).map_err(|_| LimitError::RotationKey(key.clone()))?;
            if !seen.insert(key) {
                return Err(LimitError::RotationKeyTwice(key.clone()));
            }
        }
        Ok(())
    }
}

fn count(what: &'static str, count: usize, max: usize) -> Result<(), LimitError> {
    if count > max { Err(LimitError::Count { what, count, max }) } else { Ok(()) }
}

fn length(what: &'static str, text: &str, max: usize) -> Result<(), LimitError> {
    let length = text.encode_utf16().count();
    if length > max { Err(LimitError::Length { what, length, max }) } else { Ok(()) }
}
