//! Operations: their JSON and DAG-CBOR forms, their CIDs and signatures.
//!
//! Tricky bits: `prev` is text in DAG-CBOR too, not a link. What is signed is the DAG-CBOR without `sig`; what is hashed, for
//! the CID and the DID, is the DAG-CBOR with it. Signatures have one spelling each (strict base64url, low-S), for otherwise a
//! stranger could give a signed operation a second CID.

use std::collections::BTreeMap;

use common::{Cid, Did, Map, Value, cbor};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use ring::digest::{SHA256, digest};
use serde::de::{Deserializer, Error as _};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};

use super::{DidData, OperationError, PlcError, Service};
use crate::keys::{SigningKey, VerifyingKey};

/// How much of the hash a DID holds.
const DID_HASH_CHARS: usize = 24;

/// A signed operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub unsigned: UnsignedOperation,
    /// The signature as base64url; checked when the operation is verified, not when it is read.
    pub sig: String,
}

/// What an operation says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum UnsignedOperation {
    #[serde(rename = "plc_operation")]
    Plc(PlcOperation),
    #[serde(rename = "plc_tombstone")]
    Tombstone(Tombstone),
    #[serde(rename = "create")]
    LegacyCreate(LegacyCreate),
}

/// Creates a DID, or gives it new data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlcOperation {
    pub rotation_keys: Vec<String>,
    pub verification_methods: BTreeMap<String, String>,
    pub also_known_as: Vec<String>,
    pub services: BTreeMap<String, Service>,
    /// The operation before this one; `None`, in JSON null and not left out, when it creates the DID.
    #[serde(deserialize_with = "Option::deserialize")]
    pub prev: Option<Cid>,
}

/// Ends a DID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    pub prev: Cid,
}

/// Creates a DID, in the form of 2022. DIDs that began with one are still around.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LegacyCreate {
    pub signing_key: String,
    pub recovery_key: String,
    pub handle: String,
    pub service: String,
    /// Always null, and always there.
    pub prev: (),
}

impl UnsignedOperation {
    /// Signs the operation, which `key` may do when it is among the rotation keys in force.
    pub fn sign(self, key: &SigningKey) -> Operation {
        let sig = BASE64URL_NOPAD.encode(&key.sign(&self.to_cbor()));
        Operation { unsigned: self, sig }
    }

    /// Returns the DAG-CBOR that is signed.
    pub fn to_cbor(&self) -> Vec<u8> {
        cbor::encode(&Value::Map(self.entries()))
    }

    fn entries(&self) -> Map {
        let entries = match self {
            Self::Plc(operation) => vec![
                ("type", Value::from("plc_operation")),
                ("rotationKeys", texts(&operation.rotation_keys)),
                ("verificationMethods", map(&operation.verification_methods, |key| Value::from(key.as_str()))),
                ("alsoKnownAs", texts(&operation.also_known_as)),
                ("services", map(&operation.services, Service::to_value)),
                ("prev", operation.prev.map_or(Value::Null, |prev| Value::String(prev.to_string()))),
            ],
            Self::Tombstone(tombstone) => {
                vec![("type", Value::from("plc_tombstone")), ("prev", Value::String(tombstone.prev.to_string()))]
            }
            Self::LegacyCreate(create) => vec![
                ("type", Value::from("create")),
                ("signingKey", Value::from(create.signing_key.as_str())),
                ("recoveryKey", Value::from(create.recovery_key.as_str())),
                ("handle", Value::from(create.handle.as_str())),
                ("service", Value::from(create.service.as_str())),
                ("prev", Value::Null),
            ],
        };
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Returns the operation that this one follows; `None` for those that create a DID.
    pub const fn prev(&self) -> Option<Cid> {
        match self {
            Self::Plc(operation) => operation.prev,
            Self::Tombstone(tombstone) => Some(tombstone.prev),
            Self::LegacyCreate(_) => None,
        }
    }

    /// Returns the operation in the form of today; `None` for a tombstone.
    pub fn normalized(&self) -> Option<PlcOperation> {
        match self {
            Self::Plc(operation) => Some(operation.clone()),
            Self::Tombstone(_) => None,
            Self::LegacyCreate(create) => Some(create.normalized()),
        }
    }
}

impl Operation {
    /// Reads an operation from JSON and says why it is none; strict about fields.
    pub fn from_json(json: serde_json::Value) -> Result<Self, OperationError> {
        let serde_json::Value::Object(mut fields) = json else {
            return Err(OperationError::NotAnObject);
        };
        let Some(serde_json::Value::String(sig)) = fields.remove("sig") else {
            return Err(OperationError::NoSignature);
        };
        let unsigned = serde_json::from_value(fields.into()).map_err(OperationError::Fields)?;
        Ok(Self { unsigned, sig })
    }

    /// Returns the DAG-CBOR that is hashed.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut entries = self.unsigned.entries();
        entries.insert("sig", Value::from(self.sig.as_str()));
        cbor::encode(&Value::Map(entries))
    }

    /// Returns the CID by which the next operation names this one.
    pub fn cid(&self) -> Cid {
        Cid::dag_cbor(&self.to_cbor())
    }

    /// Returns the DID that this operation creates, if it is a first operation.
    pub fn derived_did(&self) -> Did {
        let mut hash = BASE32_NOPAD.encode(digest(&SHA256, &self.to_cbor()).as_ref());
        hash.truncate(DID_HASH_CHARS);
        hash.make_ascii_lowercase();
        format!("did:plc:{hash}").parse().expect("base32 is allowed in a DID")
    }

    /// Returns the data that this operation gives `did`; `None` for a tombstone.
    pub fn data(&self, did: &Did) -> Option<DidData> {
        let PlcOperation { rotation_keys, verification_methods, also_known_as, services, prev: _ } =
            self.unsigned.normalized()?;
        Some(DidData { did: did.clone(), rotation_keys, verification_methods, also_known_as, services })
    }

    /// Returns the position of the first of `rotation_keys` that signed this operation.
    ///
    /// # Errors
    ///
    /// [`PlcError::SignatureEncoding`], or [`PlcError::Signature`] when none did.
    pub fn signed_by(&self, rotation_keys: &[String]) -> Result<usize, PlcError> {
        // Checked before the decoder sees it, so that its length bounds the work.
        if self.sig.len() != 86 {
            return Err(PlcError::SignatureEncoding);
        }
        let signature = BASE64URL_NOPAD.decode(self.sig.as_bytes()).map_err(|_| PlcError::SignatureEncoding)?;
        let message = self.unsigned.to_cbor();
        rotation_keys
            .iter()
            .position(|key| VerifyingKey::from_did_key(key).is_ok_and(|key| key.verify(&message, &signature).is_ok()))
            .ok_or(PlcError::Signature)
    }
}

impl LegacyCreate {
    fn normalized(&self) -> PlcOperation {
        let scheme = |prefixes: &[&str]| prefixes.iter().any(|prefix| self.service.starts_with(prefix));
        let endpoint =
            if scheme(&["http://", "https://"]) { self.service.clone() } else { format!("https://{}", self.service) };
        let handle =
            ["http://", "https://"].iter().fold(self.handle.as_str(), |rest, scheme| rest.strip_prefix(scheme).unwrap_or(rest));
        let handle = if handle.starts_with("at://") { handle.to_owned() } else { format!("at://{handle}") };
        let pds = Service { r#type: "AtprotoPersonalDataServer".to_owned(), endpoint };
        PlcOperation {
            rotation_keys: vec![self.recovery_key.clone(), self.signing_key.clone()],
            verification_methods: BTreeMap::from([("atproto".to_owned(), self.signing_key.clone())]),
            also_known_as: vec![handle],
            services: BTreeMap::from([("atproto_pds".to_owned(), pds)]),
            prev: None,
        }
    }
}

impl Service {
    fn to_value(&self) -> Value {
        let entries = [("type", &self.r#type), ("endpoint", &self.endpoint)];
        Value::Map(entries.into_iter().map(|(key, text)| (key.to_owned(), Value::from(text.as_str()))).collect())
    }
}

fn texts(items: &[String]) -> Value {
    Value::Array(items.iter().map(|text| Value::from(text.as_str())).collect())
}

fn map<T>(entries: &BTreeMap<String, T>, value: impl Fn(&T) -> Value) -> Value {
    Value::Map(entries.iter().map(|(key, item)| (key.clone(), value(item))).collect())
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serde_json::to_value(&self.unsigned).map_err(S::Error::custom)?;
        json["sig"] = self.sig.as_str().into();
        json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(serde_json::Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
