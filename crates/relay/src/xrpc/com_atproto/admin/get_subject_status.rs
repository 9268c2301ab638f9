//! `com.atproto.admin.getSubjectStatus`: whether an account, a record or a blob was taken down.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/getSubjectStatus.json>

use axum::Json;
use axum::extract::State;
use common::{AtUri, Cid, Did};
use serde::Serialize;

use super::{StatusAttr, Subject, record_subject, subject_not_found};
use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::{account, blob, record, standing};

/// What is asked about: a blob of an account, a record, or an account.
pub(crate) enum Parameters {
    Account(Did),
    Record(AtUri),
    Blob(Did, Cid),
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        match (params.optional("did")?, params.optional("uri")?, params.optional("blob")?) {
            (Some(did), _, Some(cid)) => Ok(Self::Blob(did, cid)),
            (None, _, Some(_)) => Err("Must provide a did to request blob state".to_owned()),
            (_, Some(uri), None) => Ok(Self::Record(uri)),
            (Some(did), None, None) => Ok(Self::Account(did)),
            (None, None, None) => Err("No provided subject".to_owned()),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    subject: Subject,
    takedown: StatusAttr,
    #[serde(skip_serializing_if = "Option::is_none")]
    deactivated: Option<StatusAttr>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    match params {
        Parameters::Account(did) => account_status(&app, did).await,
        Parameters::Record(uri) => record_status(&app, uri).await,
        Parameters::Blob(did, cid) => blob_status(&app, did, cid).await,
    }
    .map(Json)
}

async fn account_status(app: &AppState, did: Did) -> Result<Output, XrpcError> {
    let standing = app.db.read(|conn| match account::find_by_did(conn, &did)? {
        Some(account) => standing::find(conn, account.id),
        None => Ok(None),
    });
    let standing = standing.await?.ok_or_else(subject_not_found)?;
    Ok(Output {
        subject: Subject::Account { did },
        takedown: StatusAttr::takedown(standing.takedown_ref),
        deactivated: Some(StatusAttr { applied: standing.deactivated_at.is_some(), reference: None }),
    })
}

async fn record_status(app: &AppState, uri: AtUri) -> Result<Output, XrpcError> {
    let (account, key) = record_subject(app, &uri).await?;
    let found = app.db.read(|conn| record::takedown_ref(conn, account.id, &key)).await?;
    let (cid, reference) = found.ok_or_else(subject_not_found)?;
    Ok(Output { subject: Subject::Record { uri, cid }, takedown: StatusAttr::takedown(reference), deactivated: None })
}

async fn blob_status(app: &AppState, did: Did, cid: Cid) -> Result<Output, XrpcError> {
    let standing = app.db.read(|conn| match account::find_by_did(conn, &did)? {
        Some(account) => blob::standing(conn, account.id, &cid),
        None => Ok(None),
    });
    let standing = standing.await?.ok_or_else(subject_not_found)?;
    let subject = Subject::Blob { did, cid, record_uri: None };
    Ok(Output { subject, takedown: StatusAttr::takedown(standing.takedown_ref), deactivated: None })
}
