//! Conditions that a client puts on a request for a blob.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9110.html#name-evaluation-of-preconditions>

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precondition {
    Met,
    /// 304: the client has the blob.
    NotModified,
    /// 412: the client wants another version, of which blobs have none.
    Failed,
}

/// Evaluates `If-Match` and `If-None-Match` for a blob whose strong entity tag is `etag`. Conditions on dates do not apply,
/// since blobs have none.
pub(crate) fn precondition(headers: &HeaderMap, etag: &str) -> Precondition {
    if headers.contains_key(IF_MATCH) && !names(headers, &IF_MATCH, etag, false) {
        return Precondition::Failed;
    }
    if names(headers, &IF_NONE_MATCH, etag, true) {
        return Precondition::NotModified;
    }
    Precondition::Met
}

/// Whether a list of entity tags has `etag` or stands for any.
fn names(headers: &HeaderMap, header: &HeaderName, etag: &str, weak_too: bool) -> bool {
    // The tag is a CID in quotes: no comma can be part of it, and a part of another tag cannot equal it.
    headers.get_all(header).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag == etag || (weak_too && tag.strip_prefix("W/") == Some(etag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(pairs: &[(HeaderName, &str)]) -> Precondition {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        precondition(&headers, "\"cid\"")
    }

    #[test]
    fn a_client_that_has_the_blob_is_told_so() {
        for has in ["\"cid\"", "W/\"cid\"", "\"a\", \"cid\"", "*"] {
            assert_eq!(evaluate(&[(IF_NONE_MATCH, has)]), Precondition::NotModified, "{has}");
        }
        assert_eq!(evaluate(&[(IF_NONE_MATCH, "\"a\""), (IF_NONE_MATCH, "\"cid\"")]), Precondition::NotModified);
        for has_not in ["\"other\"", "cid", ""] {
            assert_eq!(evaluate(&[(IF_NONE_MATCH, has_not)]), Precondition::Met, "{has_not}");
        }
        assert_eq!(evaluate(&[]), Precondition::Met);
    }

    #[test]
    fn there_is_one_version() {
        assert_eq!(evaluate(&[(IF_MATCH, "\"cid\"")]), Precondition::Met);
        assert_eq!(evaluate(&[(IF_MATCH, "*")]), Precondition::Met);
        assert_eq!(evaluate(&[(IF_MATCH, "W/\"cid\"")]), Precondition::Failed);
        assert_eq!(evaluate(&[(IF_MATCH, "\"other\""), (IF_NONE_MATCH, "\"cid\"")]), Precondition::Failed);
    }
}
