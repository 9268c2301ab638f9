//! The JSON of operations, and how strict it is.

use crypto::Curve;
use crypto::plc::{Operation, OperationError, UnsignedOperation};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{did_key, key};

const CID: &str = "bafyreigp6shzy6dlcxuowwoxz7u5nemdrkad2my5zwzpwilcnhih7bw6zm";

fn update() -> Value {
    json!({
        "type": "plc_operation",
        "rotationKeys": [did_key(&key(Curve::K256, 1))],
        "verificationMethods": { "atproto": did_key(&key(Curve::P256, 2)), "b": did_key(&key(Curve::P256, 3)) },
        "alsoKnownAs": ["at://alice.test"],
        "services": { "atproto_pds": { "type": "AtprotoPersonalDataServer", "endpoint": "https://pds.test" } },
        "prev": CID,
        "sig": "c2ln",
    })
}

fn tombstone() -> Value {
    json!({ "type": "plc_tombstone", "prev": CID, "sig": "c2ln" })
}

fn legacy() -> Value {
    json!({
        "type": "create",
        "signingKey": did_key(&key(Curve::K256, 1)),
        "recoveryKey": did_key(&key(Curve::K256, 2)),
        "handle": "alice.test",
        "service": "pds.test",
        "prev": null,
        "sig": "c2ln",
    })
}

#[test]
fn json_comes_back_as_it_was() {
    for json in [update(), tombstone(), legacy()] {
        let operation: Operation = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&operation).unwrap(), json);
        let decoded = common::cbor::decode(&operation.to_cbor()).unwrap();
        let mut as_json = Vec::new();
        common::json::write(&decoded, &mut as_json);
        assert_eq!(serde_json::from_slice::<Value>(&as_json).unwrap(), json, "DAG-CBOR holds the same");
    }
}

#[test]
fn fields_must_be_there_and_no_others() {
    for json in [update(), tombstone(), legacy()] {
        let fields: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        for field in fields {
            let mut without = json.clone();
            without.as_object_mut().unwrap().remove(&field);
            assert!(Operation::from_json(without).is_err(), "{} without {field}", json["type"]);
        }
        let mut with_more = json.clone();
        with_more["extra"] = json!(1);
        assert!(matches!(Operation::from_json(with_more), Err(OperationError::Fields(_))));
        let mut other_type = json.clone();
        other_type["type"] = json!("plc_other");
        assert!(matches!(Operation::from_json(other_type), Err(OperationError::Fields(_))));
    }
    let mut service = update();
    service["services"]["atproto_pds"]["extra"] = json!(1);
    assert!(Operation::from_json(service).is_err());
    for prev in [json!("not a cid"), json!(CID.to_uppercase()), json!(""), json!(1)] {
        for mut json in [update(), tombstone(), legacy()] {
            json["prev"] = prev.clone();
            assert!(Operation::from_json(json).is_err(), "{prev}");
        }
    }
    assert!(matches!(Operation::from_json(json!([])), Err(OperationError::NotAnObject)));
}

#[test]
fn the_legacy_form_has_a_form_of_today() {
    let operation = Operation::from_json(legacy()).unwrap();
    let normalized = operation.unsigned.normalized().unwrap();
    assert_eq!(
        serde_json::to_value(UnsignedOperation::Plc(normalized)).unwrap(),
        json!({
            "type": "plc_operation",
            "rotationKeys": [did_key(&key(Curve::K256, 2)), did_key(&key(Curve::K256, 1))],
            "verificationMethods": { "atproto": did_key(&key(Curve::K256, 1)) },
            "alsoKnownAs": ["at://alice.test"],
            "services": { "atproto_pds": { "type": "AtprotoPersonalDataServer", "endpoint": "https://pds.test" } },
            "prev": null,
        })
    );
}

#[test]
fn a_document_shows_keys_of_both_curves_and_of_others() {
    let mut json = update();
    json["verificationMethods"]["ed"] = json!("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK");
    json["verificationMethods"]["k"] = json!(did_key(&key(Curve::K256, 4)));
    let operation = Operation::from_json(json).unwrap();
    let did = "did:plc:z72i7hdynmk6r22z27h6tvur".parse().unwrap();
    let document = crypto::plc::did_document(&operation.data(&did).unwrap());
    assert_eq!(
        document["@context"],
        json!([
            "https://www.w3.org/ns/did/v1",
            "https://w3id.org/security/multikey/v1",
            "https://w3id.org/security/suites/ecdsa-2019/v1",
            "https://w3id.org/security/suites/secp256k1-2019/v1",
        ])
    );
    let ids: Vec<_> = document["verificationMethod"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
    let expected = ["#b", "#k", "#ed", "#atproto"].map(|id| json!(format!("{did}{id}")));
    assert_eq!(ids, expected);
    assert_eq!(document["verificationMethod"][2]["publicKeyMultibase"], "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK");
}

proptest! {
    #[test]
    fn any_value_in_any_field_is_read_or_refused(field: prop::sample::Index, value: prop::sample::Index, text: String) {
        let values = [json!(null), json!(true), json!(-1), json!(text), json!([text]), json!({ "a": text }), json!([[[]]])];
        for mut json in [update(), tombstone(), legacy()] {
            let fields: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
            json[&fields[field.index(fields.len())]] = values[value.index(values.len())].clone();
            if let Ok(operation) = Operation::from_json(json.clone()) {
                prop_assert_eq!(serde_json::to_value(&operation).unwrap(), json);
                let _ = operation.check_limits();
                let _ = operation.signed_by(&[did_key(&key(Curve::K256, 1))]);
            }
        }
    }
}
