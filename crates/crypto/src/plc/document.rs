//! The DID document that the directory shows for a did:plc.

use common::value::key_order;
use serde_json::{Value, json};

use super::DidData;
use crate::keys::{Curve, VerifyingKey};

/// Returns the DID document in the shape that the public directory gives it.
///
/// Entries stand in the order that the directory stores them in: by length of id, then by bytes.
pub fn did_document(data: &DidData) -> Value {
    let mut context = vec!["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"];
    let mut methods = Vec::new();
    for (id, did_key) in in_order(&data.verification_methods) {
        // Keys of other kinds are shown as they are, without a context of their own.
        if let Ok(key) = VerifyingKey::from_did_key(did_key) {
            let suite = match key.curve() {
                Curve::K256 => "https://w3id.org/security/suites/secp256k1-2019/v1",
                Curve::P256 => "https://w3id.org/security/suites/ecdsa-2019/v1",
            };
            if !context.contains(&suite) {
                context.push(suite);
            }
        }
        methods.push(json!({
            "id": format!("{}#{id}", data.did),
            "type": "Multikey",
            "controller": data.did,
            "publicKeyMultibase": did_key.strip_prefix("did:key:").unwrap_or(did_key),
        }));
    }
    let services: Vec<_> = in_order(&data.services)
        .into_iter()
        .map(|(id, service)| json!({ "id": format!("#{id}"), "type": service.r#type, "serviceEndpoint": service.endpoint }))
        .collect();
    json!({
        "@context": context,
        "id": data.did,
        "alsoKnownAs": data.also_known_as,
        "verificationMethod": methods,
        "service": services,
    })
}

fn in_order<T>(entries: &std::collections::BTreeMap<String, T>) -> Vec<(&String, &T)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by(|a, b| key_order(a.0, b.0));
    entries
}
