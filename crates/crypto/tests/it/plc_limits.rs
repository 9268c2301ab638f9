//! The limits of new operations.

use std::collections::BTreeMap;

use crypto::Curve;
use crypto::plc::{LegacyCreate, LimitError, PlcOperation, Service, Tombstone, UnsignedOperation};

use crate::support::{did_key, key};

fn check(change: impl FnOnce(&mut PlcOperation)) -> Result<(), LimitError> {
    let mut operation = PlcOperation {
        rotation_keys: vec![did_key(&key(Curve::K256, 1))],
        verification_methods: BTreeMap::new(),
        also_known_as: vec![],
        services: BTreeMap::new(),
        prev: None,
    };
    change(&mut operation);
    UnsignedOperation::Plc(operation).sign(&key(Curve::K256, 1)).check_limits()
}

fn keys(count: u8) -> Vec<String> {
    (1..=count).map(|seed| did_key(&key(Curve::P256, seed))).collect()
}

fn service(endpoint: &str) -> Service {
    Service { r#type: "Test".into(), endpoint: endpoint.into() }
}

#[test]
fn rotation_keys() {
    assert_eq!(check(|op| op.rotation_keys = keys(5)), Ok(()));
    assert_eq!(check(|op| op.rotation_keys = keys(6)), Err(LimitError::RotationKeyCount(6)));
    assert_eq!(check(|op| op.rotation_keys = keys(0)), Err(LimitError::RotationKeyCount(0)));
    let twice = [keys(1), keys(1)].concat();
    assert_eq!(check(|op| op.rotation_keys = twice.clone()), Err(LimitError::RotationKeyTwice(twice[0].clone())));
    let ed25519 = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    assert_eq!(check(|op| op.rotation_keys.push(ed25519.into())), Err(LimitError::RotationKey(ed25519.into())));
}

#[test]
fn verification_methods() {
    let with = |id: &str, key: &str| check(|op| drop(op.verification_methods.insert(id.into(), key.into())));
    assert_eq!(with("ed", "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"), Ok(()));
    for key in ["", "did:key:", "did:key:z", "did:key:z0", "did:web:a.test", &format!("did:key:z{}", "1".repeat(248))] {
        assert_eq!(with("a", key), Err(LimitError::VerificationMethod { id: "a".into() }), "{key}");
    }
    assert!(matches!(with(&"a".repeat(33), "did:key:z1"), Err(LimitError::Length { length: 33, max: 32, .. })));
    let many = |count: u8| (0..count).map(|n| (n.to_string(), keys(1).remove(0))).collect();
    assert_eq!(check(|op| op.verification_methods = many(10)), Ok(()));
    assert!(matches!(check(|op| op.verification_methods = many(11)), Err(LimitError::Count { count: 11, .. })));
}

#[test]
fn names_and_services() {
    let names = |count: usize| (0..count).map(|n| format!("at://{n}.test")).collect::<Vec<_>>();
    assert_eq!(check(|op| op.also_known_as = names(10)), Ok(()));
    assert!(matches!(check(|op| op.also_known_as = names(11)), Err(LimitError::Count { count: 11, .. })));
    let twice = vec!["at://a.test".to_owned(); 2];
    assert_eq!(check(|op| op.also_known_as = twice), Err(LimitError::AlsoKnownAsTwice("at://a.test".into())));
    assert_eq!(check(|op| op.also_known_as = vec!["ü".repeat(258)]), Ok(()));
    assert!(matches!(check(|op| op.also_known_as = vec!["a".repeat(259)]), Err(LimitError::Length { .. })));

    let services = |count: usize| (0..count).map(|n| (n.to_string(), service("https://a.test"))).collect();
    assert_eq!(check(|op| op.services = services(10)), Ok(()));
    assert!(matches!(check(|op| op.services = services(11)), Err(LimitError::Count { count: 11, .. })));
    let long = service(&"a".repeat(513));
    assert!(matches!(check(|op| drop(op.services.insert("a".into(), long))), Err(LimitError::Length { .. })));
}

#[test]
fn size_and_form() {
    // Within every other limit, and too large together.
    let large = (0..10).map(|n| (format!("{n:032}"), service(&"a".repeat(512)))).collect();
    let names = (0..10).map(|n| format!("{n:0258}")).collect();
    let result = check(|op| (op.services, op.also_known_as) = (large, names));
    assert!(matches!(result, Err(LimitError::Size(size)) if size > 7500), "{result:?}");

    let signer = key(Curve::K256, 1);
    let prev = common::Cid::dag_cbor(b"prev");
    assert_eq!(UnsignedOperation::Tombstone(Tombstone { prev }).sign(&signer).check_limits(), Ok(()));
    let legacy = LegacyCreate {
        signing_key: did_key(&signer),
        recovery_key: did_key(&signer),
        handle: "alice.test".into(),
        service: "https://pds.test".into(),
        prev: (),
    };
    assert_eq!(UnsignedOperation::LegacyCreate(legacy).sign(&signer).check_limits(), Err(LimitError::Legacy));
}
