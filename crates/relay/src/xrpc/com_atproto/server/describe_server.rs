//! `com.atproto.server.describeServer`: tells who may have an account here, and under which names.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/server/describeServer.json>

use axum::Json;
use axum::extract::State;
use common::Did;
use serde::Serialize;
use url::Url;

use crate::state::AppState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    did: Did,
    available_user_domains: Vec<String>,
    invite_code_required: bool,
    blob_upload_limit: u64,
    links: Links,
    contact: Contact,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy_policy: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms_of_service: Option<Url>,
}

#[derive(Serialize)]
struct Contact {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

pub(crate) async fn handler(State(app): State<AppState>) -> Json<Output> {
    let (config, links) = (&app.config, &app.config.server.links);
    Json(Output {
        did: config.identity.service_did.clone(),
        available_user_domains: config.identity.handle_domains.iter().map(ToString::to_string).collect(),
        invite_code_required: config.accounts.invite_required,
        blob_upload_limit: config.limits.blob_upload_bytes,
        links: Links { privacy_policy: links.privacy_policy.clone(), terms_of_service: links.terms.clone() },
        contact: Contact { email: links.contact_email.as_ref().map(|email| email.as_str().to_owned()) },
    })
}
