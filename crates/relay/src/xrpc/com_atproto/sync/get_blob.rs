//! `com.atproto.sync.getBlob`: sends a blob, or a part of it.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/sync/getBlob.json>
//!
//! Blobs are whatever users upload, under the PDS's own origin: the headers make browsers store it as a file, and run nothing
//! of it.

use std::ops::Range;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use common::{Cid, Did};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::readable_account;
use crate::auth::OptionalAuth;
use crate::blob::{BlobError, Part, Precondition, precondition, requested_part};
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::blob::{self, BlobRow};

pub(crate) struct Input {
    did: Did,
    cid: Cid,
}

impl FromParams for Input {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { did: params.required("did")?, cid: params.required("cid")? })
    }
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(input): XrpcQuery<Input>,
    auth: OptionalAuth,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, XrpcError> {
    let account = readable_account(&app, &auth, &input.did).await?;
    let found = app.db.read(|conn| blob::find(conn, account.id, &input.cid)).await?;
    // The codec is part of the CID, but not of the row's key.
    let found = found.filter(|blob| blob.cid == input.cid && !blob.temporary && !blob.taken_down);
    let blob = found.ok_or_else(not_found)?;

    let etag = format!("\"{}\"", blob.cid);
    let validity = validity(&etag, &auth);
    match precondition(&headers, &etag) {
        Precondition::Met => {}
        Precondition::NotModified => {
            // A length in a 304 is that of the blob; without one here, that of the empty body would be filled in.
            let length = [(CONTENT_LENGTH, HeaderValue::from(blob.size))];
            return Ok((StatusCode::NOT_MODIFIED, validity, length).into_response());
        }
        Precondition::Failed => {
            let status = StatusCode::PRECONDITION_FAILED;
            return Err(XrpcError::new(status, "PreconditionFailed", "The blob has another version than was asked for"));
        }
    }
    // Parts are for GET; to HEAD, RFC 9110 knows none.
    let part = if method == Method::HEAD { Part::Whole } else { requested_part(&headers, blob.size, &etag) };
    let (status, range) = match part {
        Part::Whole => (StatusCode::OK, 0..blob.size),
        Part::Range(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::NotSatisfiable => return Ok(not_satisfiable(blob.size)),
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let opened = app.blobs.read(&blob.cid, blob.size, range.clone()).await;
        opened.map_err(unreadable)?.into_body()
    };
    let mut response = (status, validity, description(&blob, &range), body).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, blob.size);
        response.headers_mut().insert(CONTENT_RANGE, ascii(&content_range));
    }
    Ok(response)
}

fn not_found() -> XrpcError {
    XrpcError::invalid_request("Blob not found")
}

/// To the client a blob without bytes is one that is not there; to the operator it is a loss that the log has to tell.
fn unreadable(err: BlobError) -> XrpcError {
    match err {
        BlobError::Missing(cid) => {
            tracing::error!(%cid, "a blob's file is missing or not whole; restore it from a backup");
            not_found()
        }
        BlobError::Store { .. } => err.into(),
        BlobError::TooLarge { .. } | BlobError::NoSpace(_) | BlobError::Io { .. } => XrpcError::internal(err),
    }
}

fn not_satisfiable(size: u64) -> Response {
    let error = XrpcError::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRequest", "The range is beyond the end of the blob");
    let mut response = error.into_response();
    response.headers_mut().insert(CONTENT_RANGE, ascii(&format!("bytes */{size}")));
    response
}

/// Returns the headers that say for how long the blob is good, and for whom.
fn validity(etag: &str, auth: &OptionalAuth) -> [(HeaderName, HeaderValue); 3] {
    // The bytes of a CID never change, but their owner may delete them: so caches ask again after a day.
    let cache = match auth {
        OptionalAuth::Anyone => "public, max-age=86400, immutable",
        OptionalAuth::Account(_) | OptionalAuth::Admin => "private, max-age=86400, immutable",
    };
    [(ETAG, ascii(etag)), (CACHE_CONTROL, HeaderValue::from_static(cache)), (VARY, HeaderValue::from_static("Authorization"))]
}

fn description(blob: &BlobRow, range: &Range<u64>) -> [(HeaderName, HeaderValue); 6] {
    // Types of old or imported rows may hold anything.
    let kind = HeaderValue::from_str(&blob.mime_type);
    [
        (CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream"))),
        (CONTENT_LENGTH, HeaderValue::from(range.end - range.start)),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (CONTENT_DISPOSITION, ascii(&format!("attachment; filename=\"{}\"", blob.cid))),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
    ]
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("CIDs and numbers are ASCII")
}
