//! Port 80: answers challenges, and sends everyone else on to https.

use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::state::AppState;
use crate::well_known::host_of;

/// What is said of a challenge that there is not; `relay doctor` knows the server by it.
pub(crate) const NO_CHALLENGE: &str = "There is no such challenge.\n";

/// Builds the service of port 80.
pub(crate) fn router(app: AppState) -> Router {
    Router::new().route("/.well-known/acme-challenge/{token}", axum::routing::get(challenge)).fallback(redirect).with_state(app)
}

// https://www.rfc-editor.org/rfc/rfc8555.html#section-8.3
async fn challenge(State(app): State<AppState>, Path(token): Path<String>) -> Response {
    match app.tls.orders().and_then(|orders| orders.challenges().http_answer(&token)) {
        Some(answer) => ([(CONTENT_TYPE, "application/octet-stream")], answer).into_response(),
        None => (StatusCode::NOT_FOUND, NO_CHALLENGE).into_response(),
    }
}

async fn redirect(State(app): State<AppState>, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let public_url = &app.config.server.public_url;
    // Only to names of this server: a redirect to whatever a request names would be one for others to misuse.
    let host =
        host_of(&headers, &uri).filter(|host| {
            app.config.identity.handle_domains.iter().any(|domain| {
                domain.strip(host).is_some_and(|label| label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
            })
        });
    let host = host.as_deref().unwrap_or(public_url.host());
    let port = public_url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let Ok(location) = HeaderValue::try_from(format!("https://{host}{port}{path}")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // The method stays what it was; a client that posted in the clear is at least told where to.
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response()
}
