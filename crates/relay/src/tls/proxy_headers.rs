//! Tells the operator when the proxy in front does not say what the server needs to know.
//!
//! Looked at are requests for the server's public names only: probes of this machine come without a proxy.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, Ordering};

use axum::extract::Request;
use axum::response::Response;
use common::Clock as _;
use http::{HeaderMap, HeaderName};

use crate::config::{Config, TlsMode};
use crate::server::Peer;
use crate::state::App;
use crate::well_known::host_of;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Each thing is told once in this time.
const TELL_EVERY_SECONDS: i64 = 3600;

/// When each thing was told last; seconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Told {
    no_address: AtomicI64,
    no_scheme: AtomicI64,
    plain: AtomicI64,
    stranger: AtomicI64,
}

/// What is wrong with how a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// A trusted proxy does not say for whom it asks.
    NoAddress,
    /// A trusted proxy does not say by which scheme it was asked.
    NoScheme,
    /// The proxy was asked in the clear.
    Plain,
    /// Someone says for whom it asks who is not trusted.
    Stranger,
}

/// Looks at each request when a proxy is expected in front.
pub(crate) async fn layer(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if app.config.tls.mode == TlsMode::Proxy
        && app.config.server.public_url.is_https()
        && host_of(request.headers(), request.uri()).is_some_and(|host| is_public_name(&app.config, &host))
    {
        let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let trusted = app.config.network.trusts(peer.to_canonical());
        if let Some(flaw) = flaw(request.headers(), trusted) {
            tell(app, flaw, peer);
        }
    }
    next(request).await
}

fn is_public_name(config: &Config, host: &str) -> bool {
    host == config.server.public_url.host() || config.identity.handle_domains.iter().any(|domain| domain.strip(host).is_some())
}

fn flaw(headers: &HeaderMap, trusted: bool) -> Option<Flaw> {
    let has_address = headers.contains_key(FORWARDED_FOR);
    if !trusted {
        return has_address.then_some(Flaw::Stranger);
    }
    if !has_address {
        return Some(Flaw::NoAddress);
    }
    let scheme = headers.get(FORWARDED_PROTO).map(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    match scheme {
        None => Some(Flaw::NoScheme),
        Some(false) => Some(Flaw::Plain),
        Some(true) => None,
    }
}

fn tell(app: &App, flaw: Flaw, proxy: IpAddr) {
    let told = &app.proxy_told;
    let last = match flaw {
        Flaw::NoAddress => &told.no_address,
        Flaw::NoScheme => &told.no_scheme,
        Flaw::Plain => &told.plain,
        Flaw::Stranger => &told.stranger,
    };
    let now = app.clock.millis() / 1000;
    let before = last.load(Ordering::Relaxed);
    if (before != 0 && now - before < TELL_EVERY_SECONDS)
        || last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
    {
        return;
    }
    match flaw {
        Flaw::NoAddress => tracing::warn!(
            %proxy,
            "the proxy does not send X-Forwarded-For, so all clients look like one and share one rate limit; see docs/PROXIES.md"
        ),
        Flaw::NoScheme => tracing::warn!(
            %proxy,
            "the proxy does not send X-Forwarded-Proto, so it is not known whether clients come by https; see docs/PROXIES.md"
        ),
        Flaw::Plain => tracing::warn!(
            %proxy,
            "the proxy passes on requests that came without TLS; let it redirect them to https, see docs/PROXIES.md"
        ),
        Flaw::Stranger => tracing::warn!(
            %proxy,
            "requests come with X-Forwarded-For from an address that is not in network.trusted_proxies; if it is your proxy, \
             add it there, since else all clients look like one and share one rate limit"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_leaves_out_is_seen() {
        let headers = |address: bool, scheme: Option<&str>| {
            let mut headers = HeaderMap::new();
            if address {
                headers.insert(FORWARDED_FOR, "192.0.2.1".parse().unwrap());
            }
            if let Some(scheme) = scheme {
                headers.insert(FORWARDED_PROTO, scheme.parse().unwrap());
            }
            headers
        };
        assert_eq!(flaw(&headers(true, Some("https")), true), None);
        assert_eq!(flaw(&headers(true, Some("http")), true), Some(Flaw::Plain));
        assert_eq!(flaw(&headers(true, None), true), Some(Flaw::NoScheme));
        assert_eq!(flaw(&headers(false, Some("https")), true), Some(Flaw::NoAddress));
        assert_eq!(flaw(&headers(true, Some("https")), false), Some(Flaw::Stranger));
        assert_eq!(flaw(&headers(false, None), false), None, "a client of its own");
    }
}
