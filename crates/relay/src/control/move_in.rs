//! Moving accounts here, for `relay account move-in`. Why something was not done is an answer, for the verb asks on.

use axum::extract::State as From;
use axum::routing::post;
use axum::{Json, Router};
use common::Did;

use crate::move_in::{self, Fault, Finish, Finished, Plan, Progress, SignIn, State};
use crate::state::AppState;

type Told<T> = Json<Result<T, Fault>>;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/move-in/look", post(look))
        .route("/move-in/begin", post(begin))
        .route("/move-in/state", post(state))
        .route("/move-in/copy", post(copy))
        .route("/move-in/progress", post(progress))
        .route("/move-in/code", post(send_code))
        .route("/move-in/finish", post(finish))
        .route("/move-in/give-up", post(give_up))
}

async fn look(From(app): From<AppState>, Json(account): Json<String>) -> Told<Plan> {
    Json(move_in::look(&app, &account).await)
}

async fn begin(From(app): From<AppState>, Json(given): Json<SignIn>) -> Told<State> {
    Json(move_in::begin(&app, given).await)
}

async fn state(From(app): From<AppState>, Json(did): Json<Did>) -> Told<State> {
    Json(move_in::state(&app, &did).await)
}

async fn copy(From(app): From<AppState>, Json(did): Json<Did>) -> Told<State> {
    Json(move_in::copy(&app, &did).await)
}

async fn progress(From(app): From<AppState>, Json(did): Json<Did>) -> Json<Option<Progress>> {
    Json(app.moves.progress(&did))
}

async fn send_code(From(app): From<AppState>, Json(did): Json<Did>) -> Told<()> {
    Json(move_in::send_code(&app, &did).await)
}

async fn finish(From(app): From<AppState>, Json(given): Json<Finish>) -> Told<Finished> {
    Json(move_in::finish(&app, given).await)
}

async fn give_up(From(app): From<AppState>, Json(did): Json<Did>) -> Told<()> {
    Json(move_in::give_up(&app, &did).await)
}
