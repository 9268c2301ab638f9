//! What there is a trace of: requests, the steps of a write, calls of other services.
//!
//! **Invariant:** a span says what was done, when, with which result and with which other service, and nothing of who did it or of
//! what was said: no path, query, header, body, DID, handle or address of a person. In a program without the feature `otel` there are none.

use common::Nsid;
use http::{HeaderMap, Method, StatusCode};
use tracing::field::Empty;
use tracing::{Level, Span, span_enabled, trace_span};
use url::Url;

/// The target of all spans.
pub(crate) const TARGET: &str = "relay::spans";

fn are_wanted() -> bool {
    cfg!(feature = "otel") && span_enabled!(target: TARGET, Level::TRACE)
}

/// Begins the span of a request, which the router matched with the route `matched`.
pub(crate) fn request(method: &Method, matched: Option<&str>, path: &str, headers: &HeaderMap) -> Span {
    if !are_wanted() {
        return Span::none();
    }
    // A path can be anything that a stranger likes; routes and NSIDs are known.
    let nsid: Option<Nsid> =
        matched.and_then(|_| path.strip_prefix("/xrpc/")).and_then(|nsid| nsid.trim_end_matches('/').parse().ok());
    let nsid = nsid.as_ref().map(Nsid::as_str);
    let method = if is_known(method) { method.as_str() } else { "_OTHER" };
    let span = trace_span!(
        target: TARGET,
        "request",
        otel.name = nsid.or(matched).unwrap_or("other"),
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.method = nsid,
        http.request.method = method,
        http.route = matched,
        http.response.status_code = Empty,
    );
    #[cfg(feature = "otel")]
    super::traces::follow(&span, headers);
    #[cfg(not(feature = "otel"))]
    let _ = headers;
    span
}

/// Notes how a request or a call was answered.
pub(crate) fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// Begins the span of a step of what is done.
pub(crate) fn step(name: &'static str) -> Span {
    if are_wanted() { trace_span!(target: TARGET, "step", otel.name = name) } else { Span::none() }
}

/// Begins the span of a call of another service.
pub(crate) fn call(nsid: &Nsid, method: &Method, url: &Url) -> Span {
    if !are_wanted() {
        return Span::none();
    }
    trace_span!(
        target: TARGET,
        "call",
        otel.name = nsid.as_str(),
        otel.kind = "client",
        otel.status_code = Empty,
        rpc.method = nsid.as_str(),
        http.request.method = method.as_str(),
        http.response.status_code = Empty,
        server.address = url.host_str(),
    )
}

fn is_known(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH].contains(method)
}
