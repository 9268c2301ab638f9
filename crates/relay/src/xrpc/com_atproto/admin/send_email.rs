//! `com.atproto.admin.sendEmail`: sends what a moderator wrote to the e-mail address of an account.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/sendEmail.json>

use axum::Json;
use axum::extract::State;
use common::Did;
use serde::{Deserialize, Serialize};

use super::hosted_account;
use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::mail::Delivery;
use crate::state::AppState;

const DEFAULT_SUBJECT: &str = "Message via your PDS";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    recipient_did: Did,
    content: String,
    subject: Option<String>,
    sender_did: Did,
}

#[derive(Serialize)]
pub(crate) struct Output {
    /// `false` when this server sends no mail.
    sent: bool,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    let account = hosted_account(&app, &input.recipient_did.into()).await?;
    let to = account.email.ok_or_else(|| XrpcError::invalid_request("account does not have an email address"))?;
    let subject = input.subject.as_deref().unwrap_or(DEFAULT_SUBJECT);
    let sent = match app.mail.send_as_moderator(&to, subject, &input.content).await? {
        Delivery::Sent => true,
        Delivery::NoServer => false,
    };
    tracing::info!(did = %account.did, sender = %input.sender_did, sent, "a moderator wrote to an account");
    Ok(Json(Output { sent }))
}
