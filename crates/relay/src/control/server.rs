//! The server's end of the control socket.

use std::path::{Path, PathBuf};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::SOCKET;
use crate::account::operator::{
    self, AccountSummary, CreateAccount, CreateInvite, Created, Invite, MakeSignInLink, RemoveFactors, ResetPassword,
    ShowCodes, SignInLink,
};
use crate::account::{self, RotateSigningKey, RotatedSigningKey, ShownCode};
use crate::backup::told::{self, InPlace};
use crate::backup::{self, BackupReport, Backups, DrillReport};
use crate::doctor::Inside;
use crate::doctor::probe::signing_keys;
use crate::error::XrpcError;
use crate::repo::Rebuilt;
use crate::state::AppState;
use crate::status::{Health, Status};
use crate::tasks::crawl::{self, Telling};
use crate::verify::mend::{self, FetchBlob, RebuildRepo};

/// The socket, which takes connections from when it is bound.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Binds the socket of a data folder that this process has; `None`, and a warning, when that cannot be.
    pub(crate) fn bind(data_dir: &Path) -> Option<Self> {
        let path = data_dir.join(SOCKET);
        // Ours, left by a process that did not end well: this process has the lock of the folder.
        drop(std::fs::remove_file(&path));
        let bound = UnixListener::bind(&path).inspect_err(|err| {
            tracing::warn!(
                error = err as &dyn std::error::Error,
                "no control socket: `relay account` works only while the server is stopped. Is the path of data.dir very long?"
            );
        });
        Some(Self { listener: bound.ok()?, path })
    }

    /// Serves operators until `stop` is cancelled.
    pub(crate) async fn serve(self, app: AppState, stop: CancellationToken) {
        let served = axum::serve(self.listener, routes(app)).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(err) = served {
            tracing::warn!(error = &err as &dyn std::error::Error, "the control socket ended");
        }
        drop(std::fs::remove_file(&self.path));
    }
}

fn routes(app: AppState) -> Router {
    Router::new()
        .route("/accounts", get(list).post(create))
        .route("/accounts/reset-password", post(reset_password))
        .route("/accounts/remove-factors", post(remove_factors))
        .route("/accounts/sign-in-link", post(make_sign_in_link))
        .route("/invites", post(create_invite))
        .route("/codes", post(show_codes))
        .route("/rotate/signing-key", post(rotate_signing_key))
        .route("/repair/repo", post(rebuild_repo))
        .route("/repair/blob", post(fetch_blob))
        .route("/status", get(show_status))
        .route("/health", get(show_health))
        .route("/doctor", get(show_inside))
        .route("/update/accept", post(accept_update))
        .route("/crawlers/tell", post(tell_crawlers))
        .route("/metrics", get(show_metrics))
        .route("/log", get(show_log))
        .route("/backup", get(backup_status).post(back_up))
        .route("/backup/drill", post(drill))
        .route("/backup/take-over", post(take_over))
        .merge(super::move_in::routes())
        .with_state(app)
}

async fn list(State(app): State<AppState>) -> Result<Json<Vec<AccountSummary>>, XrpcError> {
    operator::list(&app).await.map(Json)
}

async fn create(State(app): State<AppState>, Json(input): Json<CreateAccount>) -> Result<Json<Created>, XrpcError> {
    operator::create(&app, input).await.map(Json)
}

async fn create_invite(State(app): State<AppState>, Json(input): Json<CreateInvite>) -> Result<Json<Invite>, XrpcError> {
    operator::create_invite(&app, input).await.map(Json)
}

async fn make_sign_in_link(
    State(app): State<AppState>,
    Json(input): Json<MakeSignInLink>,
) -> Result<Json<SignInLink>, XrpcError> {
    operator::make_sign_in_link(&app, input).await.map(Json)
}

async fn remove_factors(State(app): State<AppState>, Json(input): Json<RemoveFactors>) -> Result<Json<()>, XrpcError> {
    operator::remove_factors(&app, input).await.map(Json)
}

async fn reset_password(State(app): State<AppState>, Json(input): Json<ResetPassword>) -> Result<Json<()>, XrpcError> {
    operator::reset_password(&app, input).await.map(Json)
}

async fn rotate_signing_key(
    State(app): State<AppState>,
    Json(input): Json<RotateSigningKey>,
) -> Result<Json<RotatedSigningKey>, XrpcError> {
    account::rotate_for_operator(&app, input).await.map(Json)
}

async fn rebuild_repo(State(app): State<AppState>, Json(input): Json<RebuildRepo>) -> Result<Json<Rebuilt>, XrpcError> {
    mend::rebuild_repo(&app, input).await.map(Json)
}

async fn fetch_blob(State(app): State<AppState>, Json(input): Json<FetchBlob>) -> Result<Json<u64>, XrpcError> {
    mend::fetch_blob(&app, input).await.map(Json)
}

async fn show_codes(State(app): State<AppState>, Json(input): Json<ShowCodes>) -> Result<Json<Vec<ShownCode>>, XrpcError> {
    operator::show_codes(&app, input).await.map(Json)
}

async fn show_status(State(app): State<AppState>) -> Result<Json<Status>, XrpcError> {
    crate::status::collect(&app).await.map(Json)
}

async fn show_health(State(app): State<AppState>) -> Json<Health> {
    Json(crate::status::deep(&app).await)
}

/// What `relay doctor` cannot see from outside.
async fn show_inside(State(app): State<AppState>) -> Result<Json<Inside>, XrpcError> {
    Ok(Json(Inside {
        process_id: std::process::id(),
        certificates: app.certificates(),
        crawlers: crate::status::crawlers(&app).await?,
        milestones: crate::status::milestones(&app).await?,
        router: app.router.status(),
        room: crate::status::room_history(&app).await?,
        signing_keys: signing_keys(&app).await?,
    }))
}

async fn accept_update(State(app): State<AppState>) -> Result<Json<()>, XrpcError> {
    app.probation.lift().map(Json).map_err(XrpcError::internal)
}

async fn tell_crawlers(State(app): State<AppState>) -> Result<Json<Vec<Telling>>, XrpcError> {
    crawl::tell_all(&app).await.map(Json)
}

async fn show_metrics(State(app): State<AppState>) -> Result<Json<String>, XrpcError> {
    crate::telemetry::encode(&app).await.map(Json)
}

async fn show_log() -> Json<String> {
    Json(crate::telemetry::log::recent())
}

async fn backup_status(State(app): State<AppState>) -> Result<Json<Vec<backup::Status>>, XrpcError> {
    Ok(Json(with_backups(&app)?.backups.iter().map(Backups::status).collect()))
}

async fn back_up(State(app): State<AppState>) -> Result<Json<Vec<InPlace<BackupReport>>>, XrpcError> {
    done_somewhere(told::back_up_everywhere(with_backups(&app)?).await)
}

async fn drill(State(app): State<AppState>) -> Result<Json<Vec<InPlace<DrillReport>>>, XrpcError> {
    done_somewhere(told::drill_everywhere(with_backups(&app)?).await)
}

async fn take_over(State(app): State<AppState>) -> Result<Json<Vec<InPlace<String>>>, XrpcError> {
    done_somewhere(told::take_over_everywhere(with_backups(&app)?).await)
}

/// Fails when it failed in every place.
fn done_somewhere<T>(done: Vec<InPlace<T>>) -> Result<Json<Vec<InPlace<T>>>, XrpcError> {
    let failed = done.iter().map_while(|done| match done {
        InPlace::Failed { failure, .. } => Some(format!("{} {}", failure.problem, failure.remedy)),
        InPlace::Done(_) => None,
    });
    let failed: Vec<String> = failed.collect();
    if failed.len() == done.len() {
        let all = failed.join(" ");
        return Err(XrpcError::upstream(all.trim_end_matches('.').to_owned()));
    }
    Ok(Json(done))
}

fn with_backups(app: &AppState) -> Result<&AppState, XrpcError> {
    if app.backups.is_empty() {
        return Err(XrpcError::invalid_request("the running server has no place for backups; set backup.to"));
    }
    Ok(app)
}
