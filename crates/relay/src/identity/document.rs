//! DID documents, read as others write them.
//!
//! Only the `id` must be right; entries of an unknown shape are passed over, and the whole JSON is kept to be handed on.
//!
//! Spec: <https://atproto.com/specs/did#did-documents>

use common::{Did, Handle};
use crypto::VerifyingKey;
use serde_json::Value;

/// The most bytes that a DID document may have; real ones have about one thousand.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

const SIGNING_KEY_ID: &str = "atproto";
const PDS_ID: &str = "atproto_pds";
const PDS_TYPE: &str = "AtprotoPersonalDataServer";

/// Why JSON is not the DID document of a DID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("its id is {}, not the DID", .found.as_deref().unwrap_or("missing"))]
    WrongId { found: Option<String> },
}

/// The DID document of an account or a service.
#[derive(Debug, Clone, PartialEq)]
pub struct DidDocument {
    did: Did,
    raw: Value,
    handle: Option<Handle>,
    signing_key: Option<VerifyingKey>,
    services: Vec<Service>,
}

/// A service that a DID document names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What follows the `#` of its id.
    pub id: String,
    /// Its `type`.
    pub kind: String,
    /// Its `serviceEndpoint`, as written.
    pub endpoint: String,
}

impl DidDocument {
    /// Reads the document of `did`.
    pub fn parse(did: &Did, json: &[u8]) -> Result<Self, DocumentError> {
        let raw = serde_json::from_slice(json).map_err(|_| DocumentError::NotAnObject)?;
        Self::from_json(did, raw)
    }

    /// Reads the document of `did` from JSON that has been parsed.
    pub fn from_json(did: &Did, raw: Value) -> Result<Self, DocumentError> {
        let object = raw.as_object().ok_or(DocumentError::NotAnObject)?;
        match object.get("id").and_then(Value::as_str) {
            Some(id) if id == did.as_str() => {}
            other => return Err(DocumentError::WrongId { found: other.map(str::to_owned) }),
        }
        let handle = list(&raw, "alsoKnownAs").filter_map(Value::as_str).find_map(|alias| alias.strip_prefix("at://"));
        let signing_key = key(did, &raw, SIGNING_KEY_ID);
        let services = list(&raw, "service").filter_map(|service| {
            Some(Service {
                id: fragment(did, service)?.to_owned(),
                kind: text(service, "type")?.to_owned(),
                endpoint: text(service, "serviceEndpoint")?.to_owned(),
            })
        });
        Ok(Self {
            did: did.clone(),
            // The first at:// alias counts even when it is no handle: a later one must not take its place.
            handle: handle.and_then(|handle| handle.parse().ok()),
            signing_key,
            services: services.collect(),
            raw,
        })
    }

    pub fn did(&self) -> &Did {
        &self.did
    }

    /// Returns the document as it was received.
    pub fn as_json(&self) -> &Value {
        &self.raw
    }

    /// Returns the handle that the document claims: its first `at://` alias. The claim is for the caller to check.
    pub fn handle(&self) -> Option<&Handle> {
        self.handle.as_ref()
    }

    /// Returns the key that signs the account's repo and tokens (`#atproto`).
    pub fn signing_key(&self) -> Option<&VerifyingKey> {
        self.signing_key.as_ref()
    }

    /// Returns the key `#id`, if it is of a kind that is known.
    pub fn key(&self, id: &str) -> Option<VerifyingKey> {
        if id == SIGNING_KEY_ID { self.signing_key.clone() } else { key(&self.did, &self.raw, id) }
    }

    /// Returns the endpoint of the account's PDS (`#atproto_pds`), when it has the right type and is an http(s) URL.
    pub fn pds_endpoint(&self) -> Option<&str> {
        let service = self.service(PDS_ID).filter(|service| service.kind == PDS_TYPE)?;
        let endpoint = service.endpoint.as_str();
        (endpoint.starts_with("https://") || endpoint.starts_with("http://")).then_some(endpoint)
    }

    /// Returns the service `#id`, of whatever type; the first one, should there be two.
    pub fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id == id)
    }
}

/// Reads the key `#id`; the first one, should there be two.
fn key(did: &Did, raw: &Value, id: &str) -> Option<VerifyingKey> {
    let method = list(raw, "verificationMethod").find(|method| fragment(did, method) == Some(id))?;
    VerifyingKey::from_verification_method(text(method, "type")?, text(method, "publicKeyMultibase")?).ok()
}

fn list<'a>(raw: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    raw.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

/// Returns what follows the `#` of an entry's id, which is written with the DID before it or without.
fn fragment<'a>(did: &Did, entry: &'a Value) -> Option<&'a str> {
    let id = text(entry, "id")?;
    id.strip_prefix(did.as_str()).unwrap_or(id).strip_prefix('#')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme";

    fn did() -> Did {
        "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap()
    }

    fn document() -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": did(),
            "alsoKnownAs": ["https://example.com", "at://Alice.test", "at://second.test"],
            "verificationMethod": [
                {"id": format!("{}#other", did()), "type": "Multikey", "publicKeyMultibase": "zNonsense"},
                {"id": format!("{}#atproto", did()), "type": "Multikey", "controller": did(), "publicKeyMultibase": KEY},
            ],
            "service": [
                {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://pds.example.com"},
                {"id": format!("{}#atproto_labeler", did()), "type": "AtprotoLabeler", "serviceEndpoint": "https://mod.example.com"},
                {"id": "#odd", "type": "Odd", "serviceEndpoint": {"uri": "https://odd.example.com"}},
            ],
        })
    }

    #[test]
    fn the_parts_that_atproto_uses_are_found() {
        let parsed = DidDocument::from_json(&did(), document()).unwrap();
        assert_eq!(parsed.handle().unwrap(), "alice.test");
        assert_eq!(parsed.signing_key().unwrap().to_multikey(), KEY);
        assert_eq!(parsed.pds_endpoint(), Some("https://pds.example.com"));
        assert_eq!(parsed.service("atproto_labeler").unwrap().endpoint, "https://mod.example.com");
        assert_eq!(parsed.service("odd"), None);
        assert_eq!(parsed.as_json(), &document());
    }

    #[test]
    fn a_document_of_another_did_is_refused() {
        let other: Did = "did:web:example.com".parse().unwrap();
        let error = DidDocument::from_json(&other, document()).unwrap_err();
        assert_eq!(error.to_string(), "its id is did:plc:ewvi7nxzyoun6zhxrhs64oiz, not the DID");
        assert_eq!(DidDocument::parse(&other, b"[]"), Err(DocumentError::NotAnObject));
        assert_eq!(DidDocument::parse(&other, b"<html>"), Err(DocumentError::NotAnObject));
        assert_eq!(DidDocument::parse(&other, b"{}"), Err(DocumentError::WrongId { found: None }));
    }

    #[test]
    fn what_is_missing_or_odd_is_absent() {
        let odd = json!({
            "id": did(),
            "alsoKnownAs": ["at://not a handle", "at://alice.test"],
            "verificationMethod": [{"id": "#atproto", "type": "Multikey", "publicKeyMultibase": "zzz"}, 7],
            "service": [{"id": "#atproto_pds", "type": "Other", "serviceEndpoint": "https://pds.example.com"}],
        });
        for raw in [json!({"id": did()}), json!({"id": did(), "service": 7, "alsoKnownAs": {}}), odd] {
            let parsed = DidDocument::from_json(&did(), raw).unwrap();
            assert_eq!((parsed.handle(), parsed.signing_key(), parsed.pds_endpoint()), (None, None, None));
        }
    }
}
