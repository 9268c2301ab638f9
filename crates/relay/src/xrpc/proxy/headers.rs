//! Which headers pass, in both directions. All others stay here: cookies, credentials, and what describes one connection.

use http::header::{
    ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE,
    RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Which state of the caller's repo a service had seen when it answered.
pub(crate) const REPO_REV: HeaderName = HeaderName::from_static("atproto-repo-rev");
const CONTENT_LABELERS: HeaderName = HeaderName::from_static("atproto-content-labelers");
const ACCEPT_LABELERS: HeaderName = HeaderName::from_static("atproto-accept-labelers");
const TOPICS: HeaderName = HeaderName::from_static("x-bsky-topics");
/// Headers that services and their clients agree on among themselves.
const PRIVATE_PREFIX: &str = "x-atproto-";

/// Returns the headers of a call that its service gets.
pub(super) fn of_request(headers: &HeaderMap, has_body: bool) -> HeaderMap {
    let mut out = HeaderMap::new();
    for (name, value) in headers {
        let about_body = *name == CONTENT_TYPE || *name == CONTENT_ENCODING || *name == CONTENT_LENGTH;
        let passes = *name == ACCEPT_LANGUAGE
            || *name == ACCEPT_LABELERS
            || *name == TOPICS
            || name.as_str().starts_with(PRIVATE_PREFIX)
            || (about_body && has_body);
        if passes {
            out.append(name, value.clone());
        }
    }
    out.insert(ACCEPT_ENCODING, HeaderValue::from_static(if accepts_gzip(headers) { "gzip" } else { "identity" }));
    out
}

/// Returns the headers of an answer that its caller gets.
pub(super) fn of_response(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LABELERS, REPO_REV, RETRY_AFTER] {
        if let Some(value) = headers.get(&name) {
            out.insert(name, value.clone());
        }
    }
    // The answer is for one account, and of a type that a stranger chose.
    out.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    out.insert(VARY, HeaderValue::from_static("Authorization"));
    out.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out
}

/// Whether a caller takes gzip, the one encoding that this server can also undo to read an answer.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|one| {
            let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
            let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
            coding.trim().eq_ignore_ascii_case("gzip") && !refused
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_service_gets_what_it_needs_and_no_secrets() {
        let sent = headers(&[
            ("accept-language", "de"),
            ("accept-encoding", "br;q=1, gzip;q=0.5"),
            ("atproto-accept-labelers", "did:web:a.example"),
            ("authorization", "Bearer x"),
            ("content-length", "2"),
            ("content-type", "application/json"),
            ("cookie", "a=b"),
            ("connection", "close"),
            ("dpop", "x"),
            ("forwarded", "for=1.1.1.1"),
            ("x-atproto-trial", "1"),
            ("x-bsky-topics", "news"),
            ("x-forwarded-for", "1.1.1.1"),
        ]);
        let without_body =
            ["accept-encoding", "accept-language", "atproto-accept-labelers", "x-atproto-trial", "x-bsky-topics"];
        assert_eq!(names(&of_request(&sent, false)), without_body);
        let with_body = of_request(&sent, true);
        assert_eq!(with_body[ACCEPT_ENCODING], "gzip");
        assert_eq!((&with_body[CONTENT_TYPE], &with_body[CONTENT_LENGTH]), (&"application/json".parse().unwrap(), &2.into()));
    }

    #[test]
    fn gzip_is_asked_for_on_behalf_of_who_takes_it() {
        for (text, takes) in [("gzip", true), ("br, GZIP ;q=0.1", true), ("gzip;q=0", false), ("br", false), ("", false)] {
            assert_eq!(accepts_gzip(&headers(&[("accept-encoding", text)])), takes, "{text}");
        }
    }

    #[test]
    fn a_caller_gets_what_describes_the_answer() {
        let got = headers(&[
            ("access-control-allow-origin", "https://evil.example"),
            ("atproto-repo-rev", "3jzfcijpj2z2a"),
            ("content-type", "application/json"),
            ("location", "https://evil.example"),
            ("set-cookie", "a=b"),
            ("strict-transport-security", "max-age=1"),
        ]);
        let passed = ["atproto-repo-rev", "cache-control", "content-type", "vary", "x-content-type-options"];
        assert_eq!(names(&of_response(&got)), passed);
    }
}
