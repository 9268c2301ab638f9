//! Checks the data model and the identifiers on random input, with an independent DAG-CBOR library as oracle.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeMap;
use std::str::FromStr;

use common::cid::is_cid_text;
use common::{
    AtIdentifier, AtUri, Cid, Codec, Datetime, Did, Handle, Language, Map, Nsid, RecordKey, Tid, Uri, Value, cbor, json,
};
use ipld_core::ipld::Ipld;
use proptest::collection::vec;
use proptest::prelude::*;

fn arb_cid() -> impl Strategy<Value = Cid> {
    (any::<bool>(), any::<[u8; 32]>()).prop_map(|(raw, digest)| Cid::new(if raw { Codec::Raw } else { Codec::DagCbor }, digest))
}

/// Integers of every length, up to the largest magnitude that `bits` allow.
fn arb_integer(bits: u32) -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..bits).prop_map(move |(number, shift)| number >> (64 - bits) >> shift)
}

fn arb_value(integer_bits: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        arb_integer(integer_bits).prop_map(Value::Integer),
        ".{0,30}".prop_map(Value::String),
        "\\PC{0,300}".prop_map(Value::String),
        vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        arb_cid().prop_map(Value::Link),
    ];
    leaf.prop_recursive(6, 60, 30, |inner| {
        // Keys with `$` have a meaning in JSON, which random ones do not fulfil.
        let key = prop_oneof!["[a-z]{0,3}", "[^$]{0,30}"];
        prop_oneof![
            vec(inner.clone(), 0..30).prop_map(Value::Array),
            vec((key, inner), 0..30).prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

fn to_oracle(value: &Value) -> Ipld {
    match value {
        Value::Null => Ipld::Null,
        Value::Bool(bool) => Ipld::Bool(*bool),
        Value::Integer(number) => Ipld::Integer(i128::from(*number)),
        Value::String(text) => Ipld::String(text.clone()),
        Value::Bytes(bytes) => Ipld::Bytes(bytes.clone()),
        Value::Link(cid) => Ipld::Link(cid::Cid::try_from(&cid.to_bytes()[..]).unwrap()),
        Value::Array(items) => Ipld::List(items.iter().map(to_oracle).collect()),
        Value::Map(map) => {
            Ipld::Map(map.iter().map(|(key, item)| (key.to_owned(), to_oracle(item))).collect::<BTreeMap<_, _>>())
        }
    }
}

/// Decodes bytes of any origin, and checks what must hold where they are accepted.
fn check_decoding(bytes: &[u8]) -> Result<(), TestCaseError> {
    let decoded = cbor::decode(bytes);
    let mut text = Vec::new();
    let transcoded = json::write_cbor(bytes, &mut text);
    prop_assert_eq!(decoded.as_ref().err(), transcoded.as_ref().err());
    if let Ok(value) = decoded {
        prop_assert_eq!(cbor::encode(&value), bytes);
        let theirs: Ipld = serde_ipld_dagcbor::from_slice(bytes).map_err(|err| TestCaseError::fail(err.to_string()))?;
        prop_assert_eq!(theirs, to_oracle(&value));
        prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok());
    }
    Ok(())
}

proptest! {
    #[test]
    fn values_are_encoded_as_the_oracle_does_and_come_back(value in arb_value(64)) {
        let bytes = cbor::encode(&value);
        prop_assert_eq!(&bytes, &serde_ipld_dagcbor::to_vec(&to_oracle(&value)).unwrap());
        prop_assert_eq!(cbor::decode(&bytes).unwrap(), value);
        check_decoding(&bytes)?;
    }

    #[test]
    fn values_come_back_from_json(value in arb_value(53)) {
        let mut written = Vec::new();
        json::write(&value, &mut written);
        prop_assert_eq!(json::parse(&written).unwrap(), value.clone());
        let mut transcoded = Vec::new();
        json::write_cbor(&cbor::encode(&value), &mut transcoded).unwrap();
        prop_assert_eq!(json::parse(&transcoded).unwrap(), value.clone());
        prop_assert_eq!(json::parse_record(&written).ok(), value.as_map().cloned());
    }

    #[test]
    fn random_bytes_are_refused_or_canonical(bytes in vec(any::<u8>(), 0..64)) {
        check_decoding(&bytes)?;
        let _ = json::parse(&bytes);
    }

    #[test]
    fn damaged_blocks_are_refused_or_canonical(
        value in arb_value(64),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = cbor::encode(&value);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check_decoding(&bytes)?;
    }

    #[test]
    fn strings_are_escaped_as_json(text in any::<String>()) {
        let mut written = Vec::new();
        json::write_string(&text, &mut written);
        prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
    }

    #[test]
    fn maps_behave_like_a_tree_map(changes in vec(("[a-c]{0,2}", prop::option::of(0_i64..9)), 0..40)) {
        let (mut map, mut model) = (Map::new(), BTreeMap::new());
        for (key, number) in changes {
            if let Some(number) = number {
                prop_assert_eq!(map.insert(key.clone(), number.into()), model.insert(key, Value::from(number)));
            } else {
                prop_assert_eq!(map.remove(&key), model.remove(&key));
            }
        }
        prop_assert_eq!(map.len(), model.len());
        prop_assert!(model.iter().all(|(key, value)| map.get(key) == Some(value)));
        prop_assert_eq!(Map::from_entries(model.into_iter().collect()), map);
    }

    #[test]
    fn cids_agree_with_the_oracle(cid in arb_cid(), text in "b[a-z2-7]{58}") {
        let theirs = cid::Cid::try_from(&cid.to_bytes()[..]).unwrap();
        prop_assert_eq!(cid.to_string(), theirs.to_string());
        prop_assert_eq!(cid.to_string().parse(), Ok(cid));
        prop_assert!(is_cid_text(&cid.to_string()));
        if let Ok(cid) = text.parse::<Cid>() {
            prop_assert_eq!(cid.to_string(), text);
        }
    }

    #[test]
    fn tids_sort_as_text_and_come_back(a in any::<u64>(), b in any::<u64>(), clock_id in any::<u16>()) {
        let (first, second) = (Tid::from_parts(a >> 11, clock_id), Tid::from_parts(b >> 11, clock_id.rotate_left(3)));
        prop_assert_eq!(first.to_string().parse(), Ok(first));
        prop_assert_eq!((first.micros(), first.clock_id()), (a >> 11, clock_id & 1023));
        prop_assert_eq!(first.cmp(&second), first.to_string().cmp(&second.to_string()));
        prop_assert_eq!(first.as_text().to_vec(), first.to_string().into_bytes());
    }

    #[test]
    fn tids_of_any_text_sort_as_it(a in "[2-7a-j][2-7a-z]{12}", b in "[2-7a-j][2-7a-z]{12}") {
        let (first, second): (Tid, Tid) = (a.parse().unwrap(), b.parse().unwrap());
        prop_assert_eq!(first.to_string(), a.as_str());
        prop_assert_eq!(first.cmp(&second), a.cmp(&b));
    }

    #[test]
    fn revisions_always_grow(clock in vec((0_u64..50, any::<u16>()), 1..100)) {
        let mut prev = None;
        for (now, clock_id) in clock {
            let next = Tid::next_after(prev, now, clock_id);
            prop_assert!(prev.is_none_or(|prev| prev < next));
            prop_assert!(next.micros() >= now);
            prev = Some(next);
        }
    }

    #[test]
    fn datetimes_come_back_from_milliseconds(millis in any::<i64>(), near in -62_135_596_800_000_i64..=253_402_300_799_999) {
        let written = Datetime::from_millis(near);
        prop_assert_eq!(written.millis(), near);
        prop_assert_eq!(written.as_str().parse(), Ok(written.clone()));
        prop_assert!(Datetime::from_millis(millis).as_str().parse::<Datetime>().is_ok());
    }

    #[test]
    fn parsers_take_any_text(text in prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9:./%_~#-]{0,40}",
        "(at://)?(did:[a-z]{0,3}:)?[a-z0-9.:%]{0,10}(/[a-zA-Z.-]{0,10}){0,3}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.]?[0-9]{0,22}[Z+-]?[0-9:]{0,5}",
        "[a-zX]{1,3}(-[a-zA-Z0-9]{0,9}){0,6}",
    ]) {
        fn comes_back<T: FromStr + ToString + PartialEq>(text: &str) -> bool {
            text.parse::<T>().is_err() || text.parse::<T>().is_ok_and(|v| v.to_string().parse::<T>().is_ok_and(|again| again == v))
        }
        prop_assert!(comes_back::<Did>(&text) && comes_back::<Handle>(&text) && comes_back::<AtIdentifier>(&text));
        prop_assert!(comes_back::<Nsid>(&text) && comes_back::<RecordKey>(&text) && comes_back::<Tid>(&text));
        prop_assert!(comes_back::<Uri>(&text) && comes_back::<Language>(&text) && comes_back::<Datetime>(&text));
        prop_assert!(comes_back::<AtUri>(&text) && comes_back::<Cid>(&text));
        if let Ok(uri) = text.parse::<AtUri>() {
            let (authority, collection, rkey) = (uri.authority(), uri.collection(), uri.rkey());
            if let (AtIdentifier::Did(did), Some(collection), Some(rkey)) = (&authority, &collection, &rkey) {
                prop_assert_eq!(AtUri::record(did, collection, rkey), uri);
            }
        }
        let _ = is_cid_text(&text);
    }
}
