//! `com.atproto.admin.updateSubjectStatus`: takes an account, a record or a blob down, or puts it back; activates or deactivates an account.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/updateSubjectStatus.json>

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{StatusAttr, Subject, record_subject};
use crate::account::{Takedown, judge_account, judge_blob, judge_record};
use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::XrpcJson;
use crate::state::AppState;

#[derive(Deserialize)]
pub(crate) struct Input {
    subject: Subject,
    takedown: Option<StatusAttr>,
    deactivated: Option<StatusAttr>,
}

#[derive(Serialize)]
pub(crate) struct Output {
    subject: Subject,
    #[serde(skip_serializing_if = "Option::is_none")]
    takedown: Option<StatusAttr>,
}

/// Most characters of a moderator's reference.
const MAX_REF_CHARS: usize = 1024;

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcJson(input): XrpcJson<Input>,
) -> Result<Json<Output>, XrpcError> {
    let takedown = input.takedown.clone().map(decision).transpose()?;
    match input.subject.clone() {
        Subject::Account { did } => {
            let deactivated = input.deactivated.as_ref().map(|deactivated| deactivated.applied);
            judge_account(&app, did, takedown, deactivated).await?;
        }
        Subject::Record { .. } | Subject::Blob { .. } if input.deactivated.is_some() => {
            return Err(XrpcError::invalid_request("Only an account can be deactivated"));
        }
        Subject::Record { uri, .. } => {
            let (account, key) = record_subject(&app, &uri).await?;
            if let Some(takedown) = takedown {
                judge_record(&app, account.did, key, takedown).await?;
            }
        }
        Subject::Blob { did, cid, .. } => {
            if let Some(takedown) = takedown {
                judge_blob(&app, did, cid, takedown).await?;
            }
        }
    }
    Ok(Json(Output { subject: input.subject, takedown: input.takedown }))
}

fn decision(takedown: StatusAttr) -> Result<Takedown, XrpcError> {
    if takedown.reference.as_ref().is_some_and(|reference| reference.chars().count() > MAX_REF_CHARS) {
        return Err(XrpcError::invalid_request(format!("A ref has at most {MAX_REF_CHARS} characters")));
    }
    Ok(if takedown.applied { Takedown::Apply(takedown.reference) } else { Takedown::Reverse })
}
