//! `com.atproto.repo.importRepo`: takes the repo of the caller's account from a CAR.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/repo/importRepo.json>

use axum::extract::{Request, State};
use http::StatusCode;

use crate::auth::{Auth, Full, ManagesRepo, RepoGrant};
use crate::error::XrpcError;
use crate::extract::{body_of, unpacked};
use crate::repo::{self, ImportError, StagingError};
use crate::state::AppState;

#[tracing::instrument(skip_all, fields(did = %auth.account.did))]
pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<Full, ManagesRepo>,
    request: Request,
) -> Result<(), XrpcError> {
    let grant = RepoGrant::for_import(&auth)?;
    if !app.config.limits.accept_imports {
        return Err(XrpcError::invalid_request("Service is not accepting repo imports"));
    }
    body_of(request.headers(), "application/vnd.ipld.car")?;
    let limit = app.config.limits.import_bytes;
    let (body, announced) = unpacked(request).await?;
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(ImportError::TooLarge { limit }.into());
    }
    let begun = std::time::Instant::now();
    let received = app.imports.receive(body, limit).await?;
    // From here on the client is not needed.
    let task = app.clone();
    let import = async move {
        let checked = received.check(&task, &grant).await?;
        repo::import(&task, grant, checked).await
    };
    let commit = app.to_end(import).await?;
    let duration_ms = begun.elapsed().as_millis() as u64;
    let rev = commit.map(|commit| tracing::field::display(commit.rev));
    tracing::info!(rev, duration_ms, "repo imported, if it was not here already");
    Ok(())
}

impl From<ImportError> for XrpcError {
    fn from(err: ImportError) -> Self {
        let message = err.to_string();
        match err {
            ImportError::Busy => Self::unavailable(message, 60),
            ImportError::Stalled => Self::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message),
            ImportError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", message),
            ImportError::Body(_) | ImportError::Tree(_) => Self::invalid_request(message).with_cause(err),
            ImportError::Staging(StagingError::File(_)) => {
                Self::unavailable("The server's disk is full or not writable; try again later", 30).with_cause(err)
            }
            ImportError::Staging(
                StagingError::Car(_) | StagingError::TooManyBlocks | StagingError::Roots | StagingError::Node(_),
            )
            | ImportError::NoCommit
            | ImportError::Commit(_)
            | ImportError::OtherDid { .. }
            | ImportError::Signature(_)
            | ImportError::NotCanonical
            | ImportError::MissingRecord { .. }
            | ImportError::BadRecord { .. } => Self::invalid_request(message),
            ImportError::Resolve(err) => err.into(),
            ImportError::Directory(err) => err.into(),
            ImportError::Key(_) => Self::internal(err),
            ImportError::Repo(err) => err.into(),
            ImportError::Store(err) => err.into(),
            ImportError::Write(err) => err.into(),
        }
    }
}
