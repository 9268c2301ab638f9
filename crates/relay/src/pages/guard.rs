//! What holds for every page, whatever it shows.
//!
//! - A page is served under the host name of the public URL. Under the handle of an account it is not there: whoever can put a
//!   handle's name into a link must not show a sign-in page under it.
//! - A form comes from this server's own pages, by what the browser says (`Sec-Fetch-Site`, or `Origin` where that is not
//!   known); besides, [`super::csrf`] asks for a token. A page is opened as a page: no frame, no script of another site.
//! - Nothing is kept by caches, nothing is loaded from elsewhere, no script or style stands in a page.
//! - Errors of handlers become pages that say what to do ([`super::error_page`]).

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use super::{Visitor, error_page};
use crate::error::{ErrorName, XrpcError};
use crate::state::{App, AppState};
use crate::{web, well_known};

/// Whether there is a page at this path, or what pages load.
pub(crate) fn is_page(path: &str) -> bool {
    const PAGES: [&str; 7] = ["/account", "/oauth/authorize", "/language", "/join", "/status", "/terms", "/privacy"];
    is_asset(path)
        || PAGES.iter().any(|page| path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whether a browser asks for the server's front page; others get a few lines of text.
fn wants_home(app: &App, request: &Request) -> bool {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    request.uri().path() == "/"
        && accepts.contains("text/html")
        && well_known::is_own_host(app, request.headers(), request.uri())
}

fn is_asset(path: &str) -> bool {
    path.starts_with("/assets/")
}

/// Where a form of this page may lead besides this server: an origin, or the scheme of an app.
#[derive(Clone, Debug)]
pub(crate) struct FormTarget(pub(crate) String);

/// What scripts of this page may call besides this server: an origin.
#[derive(Clone, Debug)]
pub(crate) struct CallTarget(pub(crate) String);

/// The error of a page that the guard did not see.
pub(super) fn missing() -> XrpcError {
    XrpcError::internal("a page is routed past the guard")
}

/// Guards the pages; lets everything else pass.
pub(crate) async fn guard(app: &AppState, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let path = request.uri().path();
    if !is_page(path) && !wants_home(app, &request) {
        return next(request).await;
    }
    if !well_known::is_own_host(app, request.headers(), request.uri()) {
        return web::not_found::handler().await.into_response();
    }
    if is_asset(path) {
        let mut response = next(request).await;
        put(response.headers_mut(), header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        return response;
    }
    let (mut parts, body) = request.into_parts();
    let visitor = Visitor::of(&parts, app);
    let own = |origin: &str| is_own_origin(app, &parts.headers, origin);
    let response = match check_origin(&parts.method, &parts.headers, own) {
        Ok(()) => {
            parts.extensions.insert(visitor.clone());
            next(Request::from_parts(parts, body)).await
        }
        Err(err) => err.into_response(),
    };
    let nothing_there = matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    let mut response = match response.extensions().get::<ErrorName>() {
        Some(name) => error_page::instead_of(&visitor, &name.0.clone(), response).await,
        None if nothing_there => error_page::instead_of(&visitor, "", response).await,
        None => response,
    };
    let form_target = response.extensions_mut().remove::<FormTarget>();
    let headers = response.headers_mut();
    put_headers(headers, app.config.server.public_url.is_https(), form_target, None);
    visitor.cookies.write(headers, app.config.server.public_url.is_https());
    response
}

/// Refuses what another site had the browser send. `is_own` knows the origins of this server's own pages.
pub(crate) fn check_origin(method: &Method, headers: &HeaderMap, is_own: impl Fn(&str) -> bool) -> Result<(), XrpcError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let (site, mode, dest) = (text("sec-fetch-site"), text("sec-fetch-mode"), text("sec-fetch-dest"));
    if matches!(*method, Method::GET | Method::HEAD) {
        let framed = matches!(dest, Some("iframe" | "frame" | "embed" | "object" | "fencedframe"));
        // Links from anywhere may open a page; scripts of other sites may not fetch it.
        let fetched =
            site.is_some_and(|site| !matches!(site, "same-origin" | "none")) && mode.is_some_and(|mode| mode != "navigate");
        return if framed || fetched { Err(foreign()) } else { Ok(()) };
    }
    let from_here = match (site, text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => is_own(origin),
        (None, None) => false,
    };
    if from_here { Ok(()) } else { Err(foreign()) }
}

fn is_own_origin(app: &App, headers: &HeaderMap, origin: &str) -> bool {
    let public_url = &app.config.server.public_url;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    origin == public_url.as_str() || (public_url.is_local() && host.is_some_and(|host| origin == format!("http://{host}")))
}

fn foreign() -> XrpcError {
    XrpcError::forbidden("ForeignOrigin", "This request did not come from a page of this server")
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// Puts on a page what the browser may do with it; `https` is whether people reach it by TLS.
pub(crate) fn put_headers(
    headers: &mut HeaderMap,
    https: bool,
    form_target: Option<FormTarget>,
    call_target: Option<CallTarget>,
) {
    // Browsers hold the answer to a form against this as well, also where it leads on to an app.
    let target = form_target.map_or_else(String::new, |target| format!(" {}", target.0));
    let calls = call_target.map_or_else(String::new, |target| format!(" {}", target.0));
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'{calls}; \
         form-action 'self'{target}; frame-ancestors 'none'; base-uri 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    put(headers, header::X_FRAME_OPTIONS, "DENY");
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`, with which browsers call the origin of our own forms "null".
    put(headers, header::REFERRER_POLICY, "same-origin");
    put(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(
        headers,
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-get=(self), \
         publickey-credentials-create=(self)",
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        put(headers, header::CACHE_CONTROL, "no-store");
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Language, Cookie"));
    if https {
        put(headers, header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
}

#[cfg(test)]
mod tests {
    use super::is_page;

    #[test]
    fn pages_are_known_by_their_path() {
        for page in ["/account", "/account/", "/account/sign-in", "/oauth/authorize", "/assets/pages.css", "/language"] {
            assert!(is_page(page), "{page}");
        }
        for other in ["/", "/accounts", "/oauth/token", "/oauth/par", "/xrpc/account", "/.well-known/atproto-did"] {
            assert!(!is_page(other), "{other}");
        }
    }
}
