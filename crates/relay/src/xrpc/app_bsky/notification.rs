//! `app.bsky.notification.registerPush` and `unregisterPush`: go to the push service that the input names.
//!
//! Lexicons: <https://github.com/bluesky-social/atproto/blob/main/lexicons/app/bsky/notification/registerPush.json>

use axum::body::Body;
use axum::extract::{FromRequest as _, Request, State};
use axum::response::Response;
use common::Did;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::RpcAuth;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;
use crate::xrpc::proxy::{self, Call, Failure, Target};

/// The entry of a push service in its DID document.
const PUSH: &str = "bsky_notif";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    service_did: Did,
}

/// Serves both methods.
pub(crate) async fn handler(State(app): State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    let nsid = proxy::method_of(request.uri())?;
    let (mut parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let mut request = Request::new(body);
    *request.headers_mut() = headers;
    let XrpcJson(input) = XrpcJson::<Box<RawValue>>::from_request(request, &app).await?;
    let service: Input =
        serde_json::from_str(input.get()).map_err(|err| XrpcError::invalid_request(format!("Invalid input: {err}")))?;
    let account = auth.permit(Some(&nsid), &format!("{}#{PUSH}", service.service_did))?;
    let own = Target::appview(&app).filter(|appview| *appview.did() == service.service_did);
    let target = match own {
        Some(appview) => appview,
        None => Target::of_did(&app, service.service_did, PUSH).await?,
    };
    // What was read may have been measured in other ways.
    parts.headers.remove(http::header::CONTENT_LENGTH);
    parts.headers.remove(http::header::CONTENT_ENCODING);
    let token = Some(proxy::service_token(&app, account, target.did(), &nsid).await?);
    let body = Body::from(String::from(Box::<str>::from(input)));
    let call = Call { target: &target, nsid: &nsid, method: parts.method, query: None, headers: &parts.headers, body, token };
    Ok(proxy::send(&app, call).await?.pass())
}
