//! Rotation keys, recovery and tombstones, with time in the test's hand.

use std::collections::BTreeMap;

use common::{Cid, Did};
use crypto::plc::{
    Accepted, LogEntry, Operation, PlcError, PlcOperation, RECOVERY_WINDOW_MILLIS, Service, State, Tombstone,
    UnsignedOperation, assure_valid_next_op, verify_log,
};
use crypto::{Curve, SigningKey};

use crate::support::{did_key, key};

/// A directory with one DID, which three keys may rotate.
struct Directory {
    did: Did,
    log: Vec<LogEntry>,
    now: i64,
    /// In descending authority.
    keys: [SigningKey; 3],
}

impl Directory {
    fn new() -> Self {
        let keys = [key(Curve::K256, 1), key(Curve::P256, 2), key(Curve::K256, 3)];
        let genesis = UnsignedOperation::Plc(update(&keys, None, "alice.test")).sign(&keys[2]);
        let mut directory = Self { did: genesis.derived_did(), log: Vec::new(), now: 1_700_000_000_000, keys };
        assert_eq!(directory.submit(genesis), Ok(Accepted { nullified: vec![], prev: None }));
        directory
    }

    fn submit(&mut self, operation: Operation) -> Result<Accepted, PlcError> {
        let accepted = assure_valid_next_op(&self.did, &self.log, &operation, self.now)?;
        for entry in &mut self.log {
            entry.nullified |= accepted.nullified.contains(&entry.cid);
        }
        let cid = operation.cid();
        self.log.push(LogEntry { operation, cid, nullified: false, created_at_millis: self.now });
        Ok(accepted)
    }

    /// Makes an update after `prev`, signed by the key at `signer`.
    fn update(&self, prev: Cid, handle: &str, signer: usize) -> Operation {
        UnsignedOperation::Plc(update(&self.keys, Some(prev), handle)).sign(&self.keys[signer])
    }

    fn tombstone(&self, prev: Cid, signer: usize) -> Operation {
        UnsignedOperation::Tombstone(Tombstone { prev }).sign(&self.keys[signer])
    }

    fn cid(&self, at: usize) -> Cid {
        self.log[at].cid
    }

    fn handle(&self) -> Option<String> {
        match verify_log(&self.did, &self.log).expect("what the directory took is valid") {
            State::Active(data) => Some(data.also_known_as[0].clone()),
            State::Tombstoned => None,
        }
    }
}

fn update(keys: &[SigningKey], prev: Option<Cid>, handle: &str) -> PlcOperation {
    let pds = Service { r#type: "AtprotoPersonalDataServer".into(), endpoint: "https://pds.test".into() };
    PlcOperation {
        rotation_keys: keys.iter().map(did_key).collect(),
        verification_methods: BTreeMap::from([("atproto".into(), did_key(&key(Curve::K256, 9)))]),
        also_known_as: vec![format!("at://{handle}")],
        services: BTreeMap::from([("atproto_pds".into(), pds)]),
        prev,
    }
}

#[test]
fn any_rotation_key_may_sign_the_next_operation() {
    for signer in 0..3 {
        let mut directory = Directory::new();
        let prev = directory.cid(0);
        let next = directory.update(prev, "bob.test", signer);
        assert_eq!(directory.submit(next), Ok(Accepted { nullified: vec![], prev: Some(prev) }));
        assert_eq!(directory.handle().as_deref(), Some("at://bob.test"));
    }
    let mut directory = Directory::new();
    let stranger = UnsignedOperation::Plc(update(&directory.keys, Some(directory.cid(0)), "bob.test"));
    assert_eq!(directory.submit(stranger.sign(&key(Curve::K256, 77))), Err(PlcError::Signature));
}

#[test]
fn keys_that_were_rotated_out_sign_nothing_more() {
    let mut directory = Directory::new();
    let fewer = update(&directory.keys[..1], Some(directory.cid(0)), "alice.test");
    directory.submit(UnsignedOperation::Plc(fewer).sign(&directory.keys[2])).unwrap();
    let prev = directory.cid(1);
    assert_eq!(directory.submit(directory.update(prev, "bob.test", 2)), Err(PlcError::Signature));
    directory.submit(directory.update(prev, "bob.test", 0)).unwrap();
}

#[test]
fn a_higher_key_recovers_within_72_hours() {
    let mut directory = Directory::new();
    directory.submit(directory.update(directory.cid(0), "thief.test", 1)).unwrap();
    directory.now += 1000;
    directory.submit(directory.update(directory.cid(1), "thief2.test", 1)).unwrap();
    // The window is counted from the first operation that would be nullified.
    directory.now += RECOVERY_WINDOW_MILLIS - 1000;
    let recovery = directory.update(directory.cid(0), "alice.test", 0);
    let nullified = vec![directory.cid(1), directory.cid(2)];
    assert_eq!(directory.submit(recovery.clone()), Ok(Accepted { nullified, prev: Some(directory.cid(0)) }));
    assert_eq!(directory.handle().as_deref(), Some("at://alice.test"));

    // What was nullified stays so: neither can it be built on, nor come back.
    assert_eq!(directory.submit(directory.update(directory.cid(1), "thief.test", 1)), Err(PlcError::Misordered));
    let thief = directory.log[1].operation.clone();
    assert_eq!(directory.submit(thief), Err(PlcError::Authority));
    assert_eq!(directory.submit(recovery), Err(PlcError::Authority));
}

#[test]
fn recovery_after_72_hours_is_too_late() {
    let mut directory = Directory::new();
    directory.submit(directory.update(directory.cid(0), "thief.test", 1)).unwrap();
    directory.now += RECOVERY_WINDOW_MILLIS + 1;
    assert_eq!(
        directory.submit(directory.update(directory.cid(0), "alice.test", 0)),
        Err(PlcError::LateRecovery { elapsed_millis: RECOVERY_WINDOW_MILLIS + 1 })
    );
    assert_eq!(directory.handle().as_deref(), Some("at://thief.test"));
}

#[test]
fn only_a_key_above_the_disputed_signer_recovers() {
    for (disputed, challenger, outcome) in
        [(1, 0, Ok(())), (2, 1, Ok(())), (2, 0, Ok(())), (1, 1, Err(())), (1, 2, Err(())), (0, 1, Err(()))]
    {
        let mut directory = Directory::new();
        directory.submit(directory.update(directory.cid(0), "thief.test", disputed)).unwrap();
        let recovery = directory.submit(directory.update(directory.cid(0), "alice.test", challenger));
        assert_eq!(recovery.map(|_| ()), outcome.map_err(|()| PlcError::Authority), "{challenger} against {disputed}");
    }
}

#[test]
fn a_tombstone_ends_a_did_unless_it_is_recovered() {
    let mut directory = Directory::new();
    directory.submit(directory.tombstone(directory.cid(0), 1)).unwrap();
    assert_eq!(directory.handle(), None);
    assert_eq!(directory.submit(directory.update(directory.cid(1), "alice.test", 0)), Err(PlcError::Tombstoned));
    assert_eq!(directory.submit(directory.tombstone(directory.cid(1), 0)), Err(PlcError::Tombstoned));
    assert_eq!(directory.submit(directory.update(directory.cid(0), "alice.test", 1)), Err(PlcError::Authority));
    directory.submit(directory.update(directory.cid(0), "alice.test", 0)).unwrap();
    assert_eq!(directory.handle().as_deref(), Some("at://alice.test"));
}

#[test]
fn a_did_is_created_once_by_what_it_is_the_hash_of() {
    let mut directory = Directory::new();
    let again = directory.log[0].operation.clone();
    assert_eq!(directory.submit(again.clone()), Err(PlcError::SecondGenesis));
    assert_eq!(directory.submit(directory.update(Cid::dag_cbor(b"?"), "a.test", 0)), Err(PlcError::Misordered));

    let first = |operation: &Operation| assure_valid_next_op(&directory.did, &[], operation, 0).unwrap_err();
    assert_eq!(first(&directory.update(directory.cid(0), "a.test", 0)), PlcError::NotGenesis);
    assert_eq!(first(&directory.tombstone(directory.cid(0), 0)), PlcError::NotGenesis);
    let other = UnsignedOperation::Plc(update(&directory.keys, None, "mallory.test")).sign(&directory.keys[0]);
    assert_eq!(first(&other), PlcError::GenesisHash { derived: other.derived_did() });
    let unlisted = UnsignedOperation::Plc(update(&directory.keys, None, "a.test")).sign(&key(Curve::K256, 77));
    let result = assure_valid_next_op(&unlisted.derived_did(), &[], &unlisted, 0);
    assert_eq!(result, Err(PlcError::Signature));
}

#[test]
fn a_tampered_operation_is_refused() {
    let mut directory = Directory::new();
    let good = directory.update(directory.cid(0), "bob.test", 0);
    let mut tampered = good.clone();
    let UnsignedOperation::Plc(operation) = &mut tampered.unsigned else { panic!("an update") };
    operation.also_known_as = vec!["at://mallory.test".into()];
    assert_eq!(directory.submit(tampered), Err(PlcError::Signature));
    for sig in [format!("{}=", good.sig), format!("{}\n", good.sig), String::new(), "A".repeat(86), "A".repeat(100_000)] {
        let result = directory.submit(Operation { sig: sig.clone(), ..good.clone() });
        assert!(result.is_err(), "{sig}");
    }
    directory.submit(good).unwrap();
}

#[test]
fn the_next_operation_begins_as_what_is() {
    let mut directory = Directory::new();
    let Ok(State::Active(data)) = verify_log(&directory.did, &directory.log) else { panic!("active") };
    let mut next = data.next_operation(directory.cid(0));
    next.also_known_as = vec!["at://carol.test".into()];
    directory.submit(UnsignedOperation::Plc(next).sign(&directory.keys[2])).unwrap();
    assert_eq!(directory.handle().as_deref(), Some("at://carol.test"));
}
