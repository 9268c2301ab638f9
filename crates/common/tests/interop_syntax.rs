//! Runs every identifier parser over the network's lists of valid and invalid text.
//!
//! Source of the lists: <https://github.com/bluesky-social/atproto-interop-tests/tree/main/syntax>

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod support;

use std::fmt::{Debug, Display};
use std::str::FromStr;

use common::cid::is_cid_text;
use common::{AtIdentifier, AtUri, Datetime, Did, Handle, Language, Nsid, RecordKey, Tid, Uri};

/// Lines of a list, without comments and blank lines. Spaces around a line belong to it: some are what makes it invalid.
fn lines(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn check_list(file: &str, expected: bool, accepts: impl Fn(&str) -> bool) {
    let Some(list) = support::vectors(&format!("interop/syntax/{file}.txt")) else {
        return;
    };
    let mut checked = 0;
    for line in lines(&list) {
        assert_eq!(accepts(line), expected, "{file}: {line:?}");
        checked += 1;
    }
    assert!(checked >= 4, "{file} has only {checked} lines");
}

/// Checks the two lists of a type, and that what is accepted keeps its text (but for case, which a handle gives up).
fn check_type<T>(name: &str)
where
    T: FromStr<Err: Debug> + Display + PartialEq + Debug,
{
    check_list(&format!("{name}_syntax_valid"), true, |line| {
        let Ok(value) = line.parse::<T>() else {
            return false;
        };
        assert!(value.to_string().eq_ignore_ascii_case(line), "{line:?} became {value}");
        assert_eq!(value.to_string().parse::<T>().unwrap(), value);
        true
    });
    check_list(&format!("{name}_syntax_invalid"), false, |line| line.parse::<T>().is_ok());
}

#[test]
fn dids() {
    check_type::<Did>("did");
}

#[test]
fn handles() {
    check_type::<Handle>("handle");
}

#[test]
fn at_identifiers() {
    check_type::<AtIdentifier>("atidentifier");
}

#[test]
fn nsids() {
    check_type::<Nsid>("nsid");
}

#[test]
fn record_keys() {
    check_type::<RecordKey>("recordkey");
}

#[test]
fn tids() {
    check_type::<Tid>("tid");
}

#[test]
fn at_uris() {
    check_type::<AtUri>("aturi");
}

#[test]
fn uris() {
    check_type::<Uri>("uri");
}

#[test]
fn languages() {
    check_type::<Language>("language");
    check_list("language_parse_invalid", false, |line| line.parse::<Language>().is_ok());
}

#[test]
fn datetimes() {
    check_list("datetime_syntax_valid", true, |line| {
        // The list calls the year 0000 "currently allowed"; the servers of the network refuse it, and so do we.
        line.parse::<Datetime>().is_ok() != line.starts_with("0000-")
    });
    check_list("datetime_syntax_invalid", false, |line| line.parse::<Datetime>().is_ok());
    check_list("datetime_parse_invalid", false, |line| line.parse::<Datetime>().is_ok());
}

#[test]
fn cid_text() {
    check_list("cid_syntax_valid", true, is_cid_text);
    check_list("cid_syntax_invalid", false, is_cid_text);
}

/// A few of each kind, so that this file means something where the lists are absent.
#[test]
fn a_few_of_each_kind() {
    fn check<T: FromStr>(valid: &[&str], invalid: &[&str]) {
        for text in valid {
            assert!(text.parse::<T>().is_ok(), "{text:?} is valid");
        }
        for text in invalid {
            assert!(text.parse::<T>().is_err(), "{text:?} is invalid");
        }
    }
    check::<Did>(
        &["did:plc:7iza6de2dwap2sbkpav7c6c6", "did:web:a.b", "did:m:v"],
        &["", "did", "did:m", "did:m:v/x", "DID:m:v"],
    );
    check::<Handle>(&["a.co", "8.cn", "xn--ls8h.test", "XX.MIT.EDU"], &["", "org", ".a.b", "a.b.", "a_b.c", "cn.8", "a. b"]);
    check::<AtIdentifier>(&["a.co", "did:m:v"], &["", "@a.co", "did:m"]);
    check::<Nsid>(
        &["com.example.fooBar", "a.b.c", "org.4chan.lex.getThing"],
        &["", "a.b", "a.b.3", "a.b.c-d", "a..c", "com.exa💩.x"],
    );
    check::<RecordKey>(&["self", "...", "pre:fix", "~1.2-3_"], &["", ".", "..", "a/b", "a b", "ä"]);
    check::<Tid>(&["3jzfcijpj2z2a", "2222222222222"], &["", "3jzfcijpj2z2", "3JZFCIJPJ2Z2A", "kjzfcijpj2z2a", "0000000000000"]);
    check::<AtUri>(
        &["at://a.co", "at://did:m:v/a.b.c/self"],
        &["", "at://", "at://a.co/", "at://a.co/a.b.c/x/y", "at://a.co#x"],
    );
    check::<Uri>(&["https://a.co/?q#f", "dns:a.co"], &["", "a.co", "http:", "http://a b", " http://a.co"]);
    check::<Language>(&["ja", "pt-BR", "i-default", "de-CH-1901"], &["", "JA", "jaja", "ja-", "en-a-foo-a-bar"]);
    check::<Datetime>(
        &["1985-04-12T23:20:50Z", "1985-04-12T23:20:50.123456-07:00"],
        &["", "1985-04-12", "1985-13-12T23:20:50Z", "1985-04-12T23:20:50", "1985-04-12t23:20:50Z", "1985-04-12T23:20:50-00:00"],
    );
}

#[test]
fn handles_lose_their_case_and_other_text_keeps_it() {
    assert_eq!(serde_json::from_str::<Handle>("\"Alice.Test\"").unwrap(), "alice.test");
    assert_eq!(serde_json::from_str::<Nsid>("\"com.Example.fooBar\"").unwrap(), "com.Example.fooBar");
    assert_eq!(serde_json::to_string(&"at://A.co/a.b.c".parse::<AtUri>().unwrap()).unwrap(), "\"at://A.co/a.b.c\"");
}
