//! What the protocol looks for under `/.well-known/`.

pub(crate) mod atproto_did;
pub(crate) mod did_json;

use http::HeaderMap;
use http::header::HOST;

/// Returns the host name that a request is for, without port, in lower case.
pub(crate) fn host_of(headers: &HeaderMap, uri: &http::Uri) -> Option<String> {
    // HTTP/2 has it in the target, HTTP/1 in a header.
    let host = uri.host().or_else(|| {
        let host = headers.get(HOST)?.to_str().ok()?;
        Some(host.rsplit_once(':').map_or(host, |(name, _)| name))
    })?;
    Some(host.to_ascii_lowercase())
}
