//! What the protocol looks for under `/.well-known/`.

pub(crate) mod atproto_did;
pub(crate) mod did_json;

use http::HeaderMap;
use http::header::HOST;

use crate::state::App;

/// Returns the host name that a request is for, without port, in lower case.
pub(crate) fn host_of(headers: &HeaderMap, uri: &http::Uri) -> Option<String> {
    // HTTP/2 has it in the target, HTTP/1 in a header.
    let host = uri.host().or_else(|| {
        let host = headers.get(HOST)?.to_str().ok()?;
        Some(host.rsplit_once(':').map_or(host, |(name, _)| name))
    })?;
    Some(host.to_ascii_lowercase())
}

/// Whether a request is for the server's own name. On one machine that has several.
pub(crate) fn is_own_host(app: &App, headers: &HeaderMap, uri: &http::Uri) -> bool {
    const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
    let public_url = &app.config.server.public_url;
    let Some(host) = host_of(headers, uri) else { return false };
    host == public_url.host() || (public_url.is_local() && LOCAL.contains(&host.as_str()))
}
