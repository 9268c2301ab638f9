//! The part of a blob that a client asks for.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9110.html#name-range-requests>

use std::ops::Range;

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it: no part was asked for, or in a way that may be ignored (other units, several parts, another version).
    Whole,
    /// These bytes, at least one.
    Range(Range<u64>),
    /// The client asks for bytes that are not there.
    NotSatisfiable,
}

/// Reads `Range` and `If-Range` of a request for `size` bytes that have the entity tag `etag`.
pub(crate) fn requested_part(headers: &HeaderMap, size: u64, etag: &str) -> Part {
    let Some(range) = headers.get(RANGE) else { return Part::Whole };
    // A date cannot match: blobs have none.
    if headers.get(IF_RANGE).is_some_and(|condition| condition.as_bytes() != etag.as_bytes()) {
        return Part::Whole;
    }
    let Some(spec) = range.to_str().ok().and_then(parse) else { return Part::Whole };
    let part = match spec {
        Spec::From(first) => first..size,
        Spec::Between(first, last) => first..last.saturating_add(1).min(size),
        Spec::Last(count) => size.saturating_sub(count)..size,
    };
    if part.is_empty() { Part::NotSatisfiable } else { Part::Range(part) }
}

/// A range as it is written; positions count from zero and include the last.
enum Spec {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

/// Parses a single range of bytes; `None` for all that a server may ignore.
fn parse(text: &str) -> Option<Spec> {
    let (unit, ranges) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
        return None;
    }
    let (first, last) = ranges.trim().split_once('-')?;
    match (first, last) {
        ("", count) => Some(Spec::Last(number(count)?)),
        (first, "") => Some(Spec::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::Between(first, last))
        }
    }
}

/// Parses digits alone; `u64`'s own parser also takes a plus sign. What is larger than any blob is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"cid\"";

    fn ask(range: &str, size: u64) -> Part {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        requested_part(&headers, size, ETAG)
    }

    #[test]
    fn single_ranges_are_cut_to_the_size() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-9", 0..10),
            ("bytes=3-", 3..10),
            ("bytes=5-100", 5..10),
            ("bytes=-3", 7..10),
            ("bytes=-100", 0..10),
            ("Bytes= 2-4", 2..5),
            ("bytes=1-99999999999999999999999", 1..10),
            ("bytes=0-18446744073709551615", 0..10),
        ] {
            assert_eq!(ask(range, 10), Part::Range(part), "{range}");
        }
    }

    #[test]
    fn ranges_beyond_the_end_are_refused() {
        for range in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(ask(range, 10), Part::NotSatisfiable, "{range}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(ask(range, 0), Part::NotSatisfiable, "{range} of nothing");
        }
    }

    #[test]
    fn what_is_not_a_single_range_of_bytes_is_ignored() {
        for range in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=+1-2", "bytes=4-2", "bytes=0-1,3-4", "items=0-1", "bytes=1"]
        {
            assert_eq!(ask(range, 10), Part::Whole, "{range}");
        }
        assert_eq!(requested_part(&HeaderMap::new(), 10, ETAG), Part::Whole);
    }

    #[test]
    fn a_range_of_another_version_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=0-1".parse().unwrap());
        headers.insert(IF_RANGE, ETAG.parse().unwrap());
        assert_eq!(requested_part(&headers, 10, ETAG), Part::Range(0..2));
        for other in ["\"other\"", "W/\"cid\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            headers.insert(IF_RANGE, other.parse().unwrap());
            assert_eq!(requested_part(&headers, 10, ETAG), Part::Whole, "{other}");
        }
    }
}
