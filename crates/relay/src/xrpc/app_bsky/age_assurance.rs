//! Age assurance, of which the AppView knows. A server without one answers for itself that nothing is known or asked, since
//! apps wait for an answer before they show anything.
//!
//! Lexicons: <https://github.com/bluesky-social/atproto/tree/main/lexicons/app/bsky/ageassurance>

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use common::Datetime;
use serde_json::{Value, json};

use crate::auth::RpcAuth;
use crate::state::AppState;
use crate::store::account::Account;
use crate::xrpc::proxy::{self, Failure, ServiceRef};

/// `app.bsky.ageassurance.getConfig`: no region has rules.
pub(crate) async fn get_config(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    answer(app, auth, request, |_| json!({ "regions": [] })).await
}

/// `app.bsky.ageassurance.getState`: nothing is known.
pub(crate) async fn get_state(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    let unknown = |account: &Account| {
        let created_at = Datetime::from_millis(account.created_at);
        let state = json!({ "status": "unknown", "access": "unknown" });
        json!({ "state": state, "metadata": { "accountCreatedAt": created_at.as_str() } })
    };
    answer(app, auth, request, unknown).await
}

/// `app.bsky.unspecced.getAgeAssuranceState`: nothing is known.
pub(crate) async fn get_old_state(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    answer(app, auth, request, |_| json!({ "status": "unknown" })).await
}

async fn answer(
    State(app): State<AppState>,
    auth: RpcAuth,
    request: Request,
    own: impl Fn(&Account) -> Value,
) -> Result<Response, Failure> {
    let nsid = proxy::method_of(request.uri())?;
    if app.config.services.appview.is_none() && ServiceRef::from_headers(request.headers())?.is_none() {
        let account = auth.permit(Some(&nsid), &proxy::appview_name(&app))?;
        return Ok(Json(own(account)).into_response());
    }
    proxy::pass_on(&app, &auth, &nsid, request).await
}
