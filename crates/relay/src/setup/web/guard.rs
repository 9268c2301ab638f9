//! What holds for every page of the set-up.
//!
//! - It is opened by an address, by a name that only a local network has, or by one that was given. A name of somebody else that
//!   leads here, as in DNS rebinding, gets nothing.
//! - Under the server's own name, to which a proxy may lead already, the server answers as it will, but for the set-up's pages.
//! - A form comes from a page of the set-up, by what the browser says, and carries its token besides ([`super::steps`]).
//! - Only the browser with the session sees the steps.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::uri::Authority;
use http::{Method, StatusCode, header};
use tower::ServiceExt as _;

use super::door::Refused;
use super::pages::refused;
use super::{App, Web};
use crate::pages::{CallTarget, check_origin, put_headers};
use crate::server::Peer;

/// Guards all that the set-up serves.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(host) = host_of(&request) else { return wrong_host() };
    let own = app.setup.answers().await.host;
    if own.as_deref() == Some(host.host()) {
        if !is_of_set_up(request.uri().path()) {
            return as_the_server(&app, request).await;
        }
    } else if !is_allowed(host.host(), &app.hosts) {
        return wrong_host();
    }
    let origins = [format!("http://{host}"), format!("https://{host}")];
    let from_here = check_origin(request.method(), request.headers(), |origin| origins.iter().any(|own| own == origin));
    let mut response = if from_here.is_err() {
        (StatusCode::FORBIDDEN, "This did not come from a page of the set-up.\n").into_response()
    } else if needs_session(&request) && super::pages::session_of(&app, request.headers()).is_none() {
        refused(&app, request.headers(), Refused::NoLink)
    } else {
        next.run(request).await
    };
    let call_target = response.extensions_mut().remove::<CallTarget>();
    put_headers(response.headers_mut(), false, None, call_target);
    response
}

fn host_of(request: &Request) -> Option<Authority> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let text = request.uri().authority().map(Authority::as_str).or(header)?;
    text.to_ascii_lowercase().parse().ok()
}

/// Whether nobody outside can have this name lead here, or the operator has named it.
fn is_allowed(host: &str, given: &[String]) -> bool {
    // Those with no dot are not in DNS, and nobody gives out names under the others (RFC 6761, 6762, 8375).
    const LOCAL: [&str; 4] = [".localhost", ".local", ".home.arpa", ".internal"];
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    address || !host.contains('.') || LOCAL.iter().any(|local| host.ends_with(local)) || given.iter().any(|name| name == host)
}

fn wrong_host() -> Response {
    const TEXT: &str =
        "The set-up is not opened under this name. Use the address of the machine, or name this one with --host.\n";
    (StatusCode::MISDIRECTED_REQUEST, TEXT).into_response()
}

fn is_of_set_up(path: &str) -> bool {
    path == "/setup" || path == "/language" || path.starts_with("/setup/") || path.starts_with("/assets/")
}

fn needs_session(request: &Request) -> bool {
    let path = request.uri().path();
    let open = ["/", "/setup", "/setup/begin", "/language", "/xrpc/_health"].contains(&path) || path.starts_with("/assets/");
    !open && (is_of_set_up(path) || *request.method() != Method::GET || path.starts_with("/xrpc/"))
}

/// Answers as the server does.
async fn as_the_server(app: &Web, mut request: Request<Body>) -> Response {
    let Some(server) = app.setup.running() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "The server is being set up.\n").into_response();
    };
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() {
        request.extensions_mut().insert(Peer(peer));
    }
    match crate::router::router(server).oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn names_that_others_can_have_are_refused() {
        for good in ["127.0.0.1", "192.168.1.7", "[::1]", "localhost", "nas", "nas.local", "pds.home.arpa", "setup.example.com"]
        {
            assert!(is_allowed(good, &["setup.example.com".to_owned()]), "{good}");
        }
        for bad in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "nas.local.evil.example", "setup.example.org"]
        {
            assert!(!is_allowed(bad, &["setup.example.com".to_owned()]), "{bad}");
        }
    }
}
