//! What the directory answers when it does not do what it was asked.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use common::Did;
use common::syntax::DidError;
use crypto::plc::OperationError;
use serde::Serialize;

use super::store::PlcStoreError;
use super::submit::SubmitError;
use crate::error::with_causes;

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("DID not registered: {0}")]
    NotRegistered(String),
    #[error("DID not available: {0}")]
    Tombstoned(Did),
    #[error("Not a DID")]
    BadDid(#[source] DidError),
    #[error("Invalid {0} parameter")]
    Parameter(&'static str),
    #[error("Not a valid query")]
    Query(#[from] QueryRejection),
    #[error("Not a JSON body of an acceptable size")]
    Body(#[from] JsonRejection),
    #[error("Not a valid operation")]
    Operation(#[from] OperationError),
    #[error("Not an acceptable operation")]
    Submit(#[from] SubmitError),
    #[error("No such page")]
    NoRoute,
    #[error("No such method here")]
    Method,
    #[error("could not use the directory's database")]
    Store(#[from] PlcStoreError),
    #[error("could not write the answer")]
    Write(#[source] serde_json::Error),
}

#[derive(Serialize)]
struct Body {
    message: String,
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            // The API's page says 410 for a tombstone, but the directory's own program answers 404, and clients meet that.
            Self::NotRegistered(_) | Self::Tombstoned(_) | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::BadDid(_)
            | Self::Parameter(_)
            | Self::Operation(_)
            | Self::Submit(SubmitError::Refused(_) | SubmitError::LogFull) => StatusCode::BAD_REQUEST,
            Self::Query(rejection) => rejection.status(),
            Self::Body(rejection) => rejection.status(),
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Submit(SubmitError::Store(_)) | Self::Store(_) | Self::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        let message = if status.is_server_error() {
            tracing::error!(error = with_causes(&self), "the PLC directory failed at a request");
            "Internal Server Error".to_owned()
        } else {
            with_causes(&self)
        };
        (status, Json(Body { message })).into_response()
    }
}
