//! Logs that other implementations hold valid or invalid, some of real accounts.

use common::{Cid, Datetime, Did};
use crypto::plc::{LogEntry, Operation, PlcError, State, assure_valid_next_op, did_document, verify_log};
use serde::Deserialize;
use serde_json::{Value, json};

const LOGS: &str = include_str!("../fixtures/plc-logs.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    did: Did,
    operation: Operation,
    cid: Cid,
    nullified: bool,
    created_at: Datetime,
}

fn log(kind: &str, name: &str) -> (Did, Vec<LogEntry>) {
    let logs: Value = serde_json::from_str(LOGS).expect("the fixture is JSON");
    let entries: Vec<Entry> = serde_json::from_value(logs[kind][name].clone()).expect("the fixture holds logs");
    let did = entries[0].did.clone();
    let entries = entries.into_iter().map(|entry| LogEntry {
        operation: entry.operation,
        cid: entry.cid,
        nullified: entry.nullified,
        created_at_millis: entry.created_at.millis(),
    });
    (did, entries.collect())
}

fn verified(kind: &str, name: &str) -> Result<State, PlcError> {
    let (did, entries) = log(kind, name);
    verify_log(&did, &entries)
}

#[test]
fn a_real_account() {
    let (did, entries) = log("valid", "bskyapp");
    assert_eq!(entries[0].operation.derived_did(), did);
    let Ok(State::Active(data)) = verify_log(&did, &entries) else { panic!("the log is valid") };
    assert_eq!(data.also_known_as, ["at://bsky.app"]);
    assert_eq!(
        did_document(&data),
        json!({
            "@context": [
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/multikey/v1",
                "https://w3id.org/security/suites/secp256k1-2019/v1",
            ],
            "id": "did:plc:z72i7hdynmk6r22z27h6tvur",
            "alsoKnownAs": ["at://bsky.app"],
            "verificationMethod": [{
                "id": "did:plc:z72i7hdynmk6r22z27h6tvur#atproto",
                "type": "Multikey",
                "controller": "did:plc:z72i7hdynmk6r22z27h6tvur",
                "publicKeyMultibase": "zQ3shXjHeiBuRCKmM36cuYnm7YEMzhGnCmCyW92sRJ9pribSF",
            }],
            "service": [{
                "id": "#atproto_pds",
                "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": "https://bsky.social",
            }],
        })
    );
}

#[test]
fn valid_logs() {
    for name in ["nullification_nontrivial", "nullification_at_exactly_72h", "nullified_tombstone"] {
        assert!(matches!(verified("valid", name), Ok(State::Active(_))), "{name}");
    }
    assert_eq!(verified("valid", "tombstone"), Ok(State::Tombstoned));
    // Accepted by the directory in its time, so it must verify, though a new operation may not do it.
    let Ok(State::Active(data)) = verified("valid", "empty_rotation_keys") else { panic!("the log is valid") };
    assert!(data.rotation_keys.is_empty());
}

#[test]
fn invalid_logs() {
    assert_eq!(verified("invalid", "nullification_reused_key"), Err(PlcError::Authority));
    assert_eq!(
        verified("invalid", "nullification_too_slow"),
        Err(PlcError::LateRecovery { elapsed_millis: 72 * 3_600_000 + 1000 })
    );
    assert_eq!(verified("invalid", "update_nullified"), Err(PlcError::Misordered));
    assert_eq!(verified("invalid", "sig_p256_high_s"), Err(PlcError::Signature));
}

#[test]
fn a_directory_takes_the_valid_logs_one_by_one() {
    for name in ["bskyapp", "nullification_nontrivial", "nullification_at_exactly_72h", "nullified_tombstone", "tombstone"] {
        let (did, entries) = log("valid", name);
        let mut taken: Vec<LogEntry> = Vec::new();
        for entry in &entries {
            let accepted = assure_valid_next_op(&did, &taken, &entry.operation, entry.created_at_millis).unwrap();
            for earlier in &mut taken {
                earlier.nullified |= accepted.nullified.contains(&earlier.cid);
            }
            taken.push(LogEntry { nullified: false, ..entry.clone() });
        }
        assert_eq!(taken, entries, "{name}");
    }
}

#[test]
fn real_operations_of_the_legacy_form() {
    let logs: Value = serde_json::from_str(LOGS).unwrap();
    for entry in logs["legacy"].as_array().unwrap() {
        let operation: Operation = serde_json::from_value(entry["operation"].clone()).unwrap();
        assert_eq!(serde_json::to_value(&operation).unwrap(), entry["operation"]);
        let did: Did = entry["did"].as_str().unwrap().parse().unwrap();
        if let Some(cid) = entry["cid"].as_str() {
            assert_eq!(operation.cid().to_string(), cid);
        }
        let log = [LogEntry { cid: operation.cid(), operation, nullified: false, created_at_millis: 0 }];
        let Ok(State::Active(data)) = verify_log(&did, &log) else { panic!("{did} is valid") };
        assert_eq!(data.rotation_keys.len(), 2);
        assert_eq!(data.services["atproto_pds"].endpoint, "https://bsky.social");
        assert!(data.also_known_as[0].starts_with("at://"));
    }
}

#[test]
fn each_alteration_of_a_log_is_noticed() {
    let (did, entries) = log("valid", "nullified_tombstone");
    let other: Did = "did:plc:z72i7hdynmk6r22z27h6tvur".parse().unwrap();
    assert!(matches!(verify_log(&other, &entries), Err(PlcError::GenesisHash { derived }) if derived == did));
    assert_eq!(verify_log(&did, &[]), Err(PlcError::EmptyLog));

    // The recovery left out: the tombstone would be in force, but is marked as nullified.
    assert_eq!(verify_log(&did, &entries[..3]), Err(PlcError::Nullified(entries[2].cid)));
    for at in 0..entries.len() {
        let mut altered = entries.clone();
        altered[at].nullified ^= true;
        assert_eq!(verify_log(&did, &altered), Err(PlcError::Nullified(entries[at].cid)));

        let mut altered = entries.clone();
        altered[at].cid = Cid::dag_cbor(b"another");
        assert!(matches!(verify_log(&did, &altered), Err(PlcError::Cid { .. })));

        let mut altered = entries.clone();
        let sig = &mut altered[at].operation.sig;
        let other = if sig.starts_with('A') { "B" } else { "A" };
        sig.replace_range(0..1, other);
        altered[at].cid = altered[at].operation.cid();
        assert!(verify_log(&did, &altered).is_err());

        let mut altered = entries.clone();
        altered.remove(at);
        assert!(verify_log(&did, &altered).is_err() || at == 2, "without {at}");

        let mut altered = entries.clone();
        altered.push(LogEntry { created_at_millis: i64::MAX, ..entries[at].clone() });
        assert!(verify_log(&did, &altered).is_err(), "{at} replayed");
    }
    let mut altered = entries.clone();
    altered[3].created_at_millis = 0;
    assert_eq!(verify_log(&did, &altered), Err(PlcError::TimeOrder(entries[3].cid)));
}
