//! `GET /.well-known/did.json`: the DID document of this server, when its DID is the did:web of its public URL.
//!
//! Services that call back, such as video processing, look the server up by it.

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::host_of;
use crate::state::AppState;

pub(crate) async fn handler(State(app): State<AppState>, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let public_url = &app.config.server.public_url;
    let did = &app.config.identity.service_did;
    let own_host = host_of(&headers, &uri).is_some_and(|host| host == public_url.host());
    if !own_host || *did != public_url.service_did() {
        return (StatusCode::NOT_FOUND, "There is no DID document here\n").into_response();
    }
    let document = json!({
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "service": [{
            "id": "#atproto_pds",
            "type": "AtprotoPersonalDataServer",
            "serviceEndpoint": public_url.as_str().trim_end_matches('/'),
        }],
    });
    ([(CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}
