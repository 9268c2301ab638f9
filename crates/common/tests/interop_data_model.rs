//! Runs the data model over the network's fixtures: JSON to DAG-CBOR to CID and back, and what must be refused.
//!
//! Source of the fixtures: <https://github.com/bluesky-social/atproto-interop-tests/tree/main/data-model>

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use common::value::MAX_DEPTH;
use common::{Cid, Value, cbor, json};
use data_encoding::{BASE64_NOPAD, HEXLOWER};
use serde_json::value::RawValue;

#[derive(serde::Deserialize)]
struct Fixture {
    json: Box<RawValue>,
    cbor_base64: String,
    cid: Cid,
}

#[derive(serde::Deserialize)]
struct Case {
    note: String,
    json: Box<RawValue>,
}

fn check_fixture(json: &str, block: &[u8], cid: Cid) {
    let value = json::parse(json.as_bytes()).unwrap();
    assert_eq!(HEXLOWER.encode(&cbor::encode(&value)), HEXLOWER.encode(block));
    assert_eq!(Cid::dag_cbor(block), cid);
    assert_eq!(cbor::decode(block).unwrap(), value);

    let mut written = Vec::new();
    json::write(&value, &mut written);
    assert_eq!(json::parse(&written).unwrap(), value);
    let mut transcoded = Vec::new();
    json::write_cbor(block, &mut transcoded).unwrap();
    assert_eq!(String::from_utf8(transcoded).unwrap(), String::from_utf8(written).unwrap());
}

#[test]
fn fixtures_encode_to_their_bytes_and_cid_and_come_back() {
    let Some(file) = support::vectors("interop/data-model/data-model-fixtures.json") else {
        return;
    };
    let fixtures: Vec<Fixture> = serde_json::from_str(&file).unwrap();
    assert!(fixtures.len() >= 3);
    for fixture in fixtures {
        let block = BASE64_NOPAD.decode(fixture.cbor_base64.as_bytes()).unwrap();
        check_fixture(fixture.json.get(), &block, fixture.cid);
    }
}

#[test]
fn valid_records_are_accepted() {
    let Some(file) = support::vectors("interop/data-model/data-model-valid.json") else {
        return;
    };
    for case in serde_json::from_str::<Vec<Case>>(&file).unwrap() {
        let record = json::parse_record(case.json.get().as_bytes()).unwrap_or_else(|err| panic!("{}: {err}", case.note));
        let value = Value::Map(record);
        assert_eq!(cbor::decode(&cbor::encode(&value)).unwrap(), value, "{}", case.note);
    }
}

#[test]
fn invalid_records_are_refused() {
    let Some(file) = support::vectors("interop/data-model/data-model-invalid.json") else {
        return;
    };
    for case in serde_json::from_str::<Vec<Case>>(&file).unwrap() {
        assert!(json::parse_record(case.json.get().as_bytes()).is_err(), "{}", case.note);
    }
}

#[test]
fn a_small_record_has_known_bytes() {
    let json = r#"{"bb": [1, -1, null], "a": {"$link": "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
        "c": {"$bytes": "AQI"}, "long": 1000}"#;
    let block = HEXLOWER
        .decode(
            concat!(
                "a4",                                                                                     // a map of four
                "6161d82a58250001551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", // a: a link
                "6163420102",                                                                             // c: two bytes
                "6262628301",                                                                             // bb: three items, 1
                "20f6",                                                                                   // -1, null
                "646c6f6e67",                                                                             // long
                "1903e8",
            )
            .as_bytes(),
        )
        .unwrap();
    check_fixture(json, &block, Cid::dag_cbor(&block));
}

#[test]
fn a_record_is_an_object() {
    for text in [r#""blah""#, "[]", "null", "1", "true", r#"{"$bytes": "AQI"}"#] {
        assert!(json::parse(text.as_bytes()).is_ok(), "{text} is a value");
        let message = json::parse_record(text.as_bytes()).unwrap_err().to_string();
        assert!(message.contains("an object"), "{text}: {message}");
    }
    assert_eq!(json::parse_record(b"{\"a\":1}").unwrap().get("a"), Some(&Value::Integer(1)));
}

#[test]
fn malformed_links_bytes_blobs_and_types_are_refused() {
    let link = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    for text in [
        r#"{"$link": 1}"#.to_owned(),
        r#"{"$link": "."}"#.to_owned(),
        r#"{"$link": ""}"#.to_owned(),
        format!(r#"{{"$link": "{link}", "x": 1}}"#),
        format!(r#"{{"$link": "{link}", "$bytes": "AQI"}}"#),
        format!(r#"{{"$link": " {link}"}}"#),
        r#"{"$link": "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"}"#.to_owned(),
        r#"{"$bytes": [1, 2]}"#.to_owned(),
        r#"{"$bytes": "A"}"#.to_owned(),
        r#"{"$bytes": "AQI=="}"#.to_owned(),
        r#"{"$bytes": "=AQI"}"#.to_owned(),
        r#"{"$bytes": "_-8="}"#.to_owned(),
        r#"{"$bytes": "AQJ"}"#.to_owned(),
        r#"{"$bytes": "AQI", "x": 1}"#.to_owned(),
        r#"{"$type": ""}"#.to_owned(),
        r#"{"$type": null}"#.to_owned(),
        r#"{"$type": "blob"}"#.to_owned(),
        format!(r#"{{"$type": "blob", "ref": {{"$link": "{link}"}}, "mimeType": "a/b", "size": -1}}"#),
        format!(r#"{{"$type": "blob", "ref": "{link}", "mimeType": "a/b", "size": 1}}"#),
        format!(r#"{{"$type": "blob", "ref": {{"$link": "{link}"}}, "mimeType": "", "size": 1}}"#),
    ] {
        assert!(json::parse(text.as_bytes()).is_err(), "{text}");
        assert!(json::parse(format!("{{\"a\": [{text}]}}").as_bytes()).is_err(), "{text}, nested");
    }
    for text in [r#"{"$bytes": ""}"#, r#"{"$bytes": "AQI"}"#, r#"{"$bytes": "AQI="}"#] {
        assert!(matches!(json::parse(text.as_bytes()), Ok(Value::Bytes(_))), "{text}");
    }
}

#[test]
fn numbers_are_integers_that_javascript_can_hold() {
    for (text, number) in [("1.0", 1), ("-1e3", -1000), ("9007199254740991", json::MAX_SAFE_INTEGER), ("-0.0", 0)] {
        assert_eq!(json::parse(text.as_bytes()).unwrap(), Value::Integer(number), "{text}");
    }
    for text in ["1.5", "9007199254740992", "-9007199254740992", "18446744073709551616", "1e400", "NaN", "01"] {
        assert!(json::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn dag_cbor_has_one_spelling() {
    for (hex, why) in [
        ("", "nothing"),
        ("1800", "an integer of 1 byte that fits into the head"),
        ("1900ff", "an integer of 2 bytes that fits into 1"),
        ("1a0000ffff", "an integer of 4 bytes that fits into 2"),
        ("1b00000000ffffffff", "an integer of 8 bytes that fits into 4"),
        ("3800", "a negative integer that fits into the head"),
        ("1b8000000000000000", "an integer beyond 63 bits"),
        ("3b8000000000000000", "a negative integer beyond 63 bits"),
        ("780161", "a text length that fits into the head"),
        ("5801ff", "a bytes length that fits into the head"),
        ("9801f6", "an array length that fits into the head"),
        ("b8016161f6", "a map length that fits into the head"),
        ("5f42010243030405ff", "bytes of indefinite length"),
        ("7f61616162ff", "text of indefinite length"),
        ("9f01ff", "an array of indefinite length"),
        ("bf616101ff", "a map of indefinite length"),
        ("1f", "an integer of indefinite length"),
        ("a2616101616102", "one key twice"),
        ("a2616201616102", "keys out of order"),
        ("a262616101616202", "a longer key before a shorter one"),
        ("a10102", "a key that is not text"),
        ("a14161f6", "a key of bytes"),
        ("f97e00", "a float of 2 bytes"),
        ("fa3f800000", "a float of 4 bytes"),
        ("fb3ff0000000000000", "a float of 8 bytes"),
        ("f7", "undefined"),
        ("f0", "a simple value"),
        ("f814", "false in two bytes"),
        ("ff", "a break"),
        ("1c", "a reserved length"),
        ("c074323031332d30332d32315432303a30343a30305a", "tag 0"),
        ("d82b4100", "tag 43"),
        ("d82a60", "a link over text"),
        ("d82a4100", "a link over one byte"),
        ("da0000002a4100", "tag 42 in five bytes"),
        ("d9002a4100", "tag 42 in three bytes"),
        ("61ff", "text that is not UTF-8"),
        ("a161fff6", "a key that is not UTF-8"),
        ("0000", "a second value"),
        ("8201", "an array that ends early"),
        ("a2616101", "a map that ends early"),
        ("a16161", "a key without a value"),
        ("6261", "text that ends early"),
        ("9bffffffffffffffff", "an array that announces more than there is"),
        ("bbffffffffffffffff", "a map that announces more than there is"),
        ("5bffffffffffffffff", "bytes that announce more than there are"),
        ("7b7fffffffffffffff", "text that announces more than there is"),
    ] {
        let bytes = HEXLOWER.decode(hex.as_bytes()).unwrap();
        assert!(cbor::decode(&bytes).is_err(), "{why}: {hex}");
        assert!(json::write_cbor(&bytes, &mut Vec::new()).is_err(), "{why}, transcoded: {hex}");
    }
}

#[test]
fn links_hold_one_kind_of_cid() {
    let link = cbor::encode(&Value::Link(Cid::raw(b"")));
    assert_eq!(cbor::decode(&link).unwrap(), Value::Link(Cid::raw(b"")));
    for (at, byte) in [(3, 36), (3, 38), (4, 1), (5, 0), (6, 0x70), (7, 0x13), (8, 0x1f)] {
        let mut other = link.clone();
        other[at] = byte;
        assert!(cbor::decode(&other).is_err(), "byte {at} is {byte:#x}");
    }
}

#[test]
fn nesting_is_bounded_and_never_overflows_the_stack() {
    // Small stacks, as those of an async runtime's workers, show that the bound is what stops the recursion.
    let on_a_small_stack = std::thread::Builder::new().stack_size(512 * 1024).spawn(|| {
        let nested = |open: &[u8], levels: usize| [open.repeat(levels), vec![0xf6]].concat();
        for open in [&[0x81_u8][..], &[0xa1, 0x61, b'a']] {
            let deepest = nested(open, MAX_DEPTH - 1);
            let value = cbor::decode(&deepest).unwrap();
            assert_eq!(cbor::encode(&value), deepest);
            let mut text = Vec::new();
            json::write_cbor(&deepest, &mut text).unwrap();
            assert_eq!(json::parse(&text).unwrap(), value);
            for levels in [MAX_DEPTH, 100_000] {
                assert_eq!(cbor::decode(&nested(open, levels)), Err(cbor::Error::TooDeep));
                assert_eq!(json::write_cbor(&nested(open, levels), &mut Vec::new()), Err(cbor::Error::TooDeep));
            }
        }
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = [open.repeat(100_000), "1".to_owned(), close.repeat(100_000)].concat();
            assert!(json::parse(text.as_bytes()).is_err());
            assert!(json::parse_record(text.as_bytes()).is_err());
        }
    });
    on_a_small_stack.unwrap().join().unwrap();
}

#[test]
fn json_text_is_one_value_of_well_formed_unicode() {
    for text in ["", "{", "{}{}", "[1,]", "{\"a\":1,}", "\"\\ud800\"", "'a'", "{\"__proto__\": 1}"] {
        assert!(json::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(json::parse(b"\"\xff\"").is_err());
    let doubled = json::parse(br#"{"a": 1, "a": 2}"#).unwrap();
    assert_eq!(doubled.get("a"), Some(&Value::Integer(2)));
}
