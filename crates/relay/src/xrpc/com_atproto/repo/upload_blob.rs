//! `com.atproto.repo.uploadBlob`: takes a blob in, for a record to refer to.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/uploadBlob.json>
//!
//! An empty body makes an empty blob, as on the official PDS.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use common::Cid;
use crypto::jwt::Unverified;
use http::StatusCode;
use http::request::Parts;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};

use crate::auth::{Credentials, Power, Standard, authenticate_by, check_takedown, credentials, missing_scope, service};
use crate::blob::{self, Upload, is_media_type};
use crate::error::XrpcError;
use crate::extract::{body_of, unpacked};
use crate::oauth::scope::Permission;
use crate::state::AppState;
use crate::store::account::{self, Account};

const NSID: &str = "com.atproto.repo.uploadBlob";

/// How long a client may send nothing.
const STALL: Duration = Duration::from_secs(60);
/// How much of a refused body is read, and for how long: a connection that is closed while the client still sends would often
/// take the answer with it.
const DRAIN_BYTES: u64 = 128 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize)]
pub(crate) struct Output {
    blob: BlobOutput,
}

/// A blob as records refer to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobOutput {
    #[serde(rename = "$type")]
    kind: &'static str,
    #[serde(rename = "ref")]
    link: Link,
    mime_type: String,
    size: u64,
}

#[derive(Debug, Serialize)]
struct Link {
    #[serde(rename = "$link")]
    cid: Cid,
}

/// A caller that may upload blobs, its account deactivated or not: with a session, or as a service to which the account gave a
/// token for this method, as it does to have a video processed.
#[derive(Debug)]
pub(crate) struct Uploader {
    account: Account,
    /// `None` for a service.
    power: Option<Power>,
}

impl Uploader {
    /// Permits a blob of a media type, and returns whose it will be.
    fn permit(&self, media_type: &str) -> Result<&Account, XrpcError> {
        match &self.power {
            Some(Power::App(grants)) if !grants.allows_blob(media_type) => {
                Err(missing_scope(&Permission::Blob { accept: vec![media_type.to_ascii_lowercase()] }))
            }
            Some(Power::App(_) | Power::Session(_)) | None => Ok(&self.account),
        }
    }
}

impl FromRequestParts<AppState> for Uploader {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        let (account, power) = match credentials(&parts.headers)? {
            Credentials::Bearer(token) if is_service_token(token) => {
                let did = service::verify(app, token, NSID).await?;
                let account = app.db.read(|conn| account::find_by_did(conn, &did)).await.map_err(XrpcError::from)?;
                (account.ok_or_else(|| XrpcError::forbidden("AccountNotFound", "Account not found"))?, None)
            }
            Credentials::Bearer(_) | Credentials::None | Credentials::Basic(_) | Credentials::Dpop(_) => {
                let (account, power) = authenticate_by::<Standard>(parts, app).await?;
                (account, Some(power))
            }
        };
        check_takedown(&account)?;
        Ok(Self { account, power })
    }
}

/// Whether a token is meant as service auth: those name a method, and sessions do not.
fn is_service_token(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        lxm: Option<serde::de::IgnoredAny>,
    }

    let claims = Unverified::parse(token).and_then(|token| token.claims_before_verification::<Claims>());
    claims.is_ok_and(|claims| claims.lxm.is_some())
}

#[tracing::instrument(skip_all, fields(did = %caller.account.did))]
pub(crate) async fn handler(
    State(app): State<AppState>,
    caller: Uploader,
    request: Request,
) -> Result<Json<Output>, XrpcError> {
    let declared = body_of(request.headers(), "*/*")?.to_owned();
    if !is_media_type(&declared) {
        return Err(XrpcError::invalid_request(format!("Wrong request encoding (Content-Type): {declared}")));
    }
    let (mut body, announced) = unpacked(request).await?;
    let account = match caller.permit(&declared) {
        Ok(account) => account.id,
        Err(err) => {
            drain(&mut body).await;
            return Err(err);
        }
    };
    let upload = match app.blobs.begin(app.config.limits.blob_upload_bytes, announced) {
        Ok(upload) => receive(&mut body, upload).await,
        Err(err) => Err(err.into()),
    };
    let upload = match upload {
        Ok(upload) => upload,
        Err(err) => {
            if err.status() == StatusCode::PAYLOAD_TOO_LARGE {
                drain(&mut body).await;
            }
            return Err(err);
        }
    };
    let stored = upload.finish().await?;
    let blob::Registered { cid, mime_type, size } = blob::register(&app.db, account, stored, &declared).await?;
    Ok(Json(Output { blob: BlobOutput { kind: "blob", link: Link { cid }, mime_type, size } }))
}

/// Takes all of the body into the upload.
async fn receive(body: &mut Body, mut upload: Upload) -> Result<Upload, XrpcError> {
    loop {
        let stalled = |_| XrpcError::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "The upload stalled; try again");
        let Some(frame) = tokio::time::timeout(STALL, body.frame()).await.map_err(stalled)? else {
            return Ok(upload);
        };
        let broken = |err| XrpcError::invalid_request("The request body could not be read").with_cause(err);
        if let Ok(bytes) = frame.map_err(broken)?.into_data() {
            upload.write(&bytes).await?;
        }
    }
}

/// Reads what comes of a refused body, within bounds.
async fn drain(body: &mut Body) {
    let read = async {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let len = frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
            if len > left {
                break;
            }
            left -= len;
        }
    };
    // Either way it is over.
    drop(tokio::time::timeout(DRAIN_TIME, read).await);
}
