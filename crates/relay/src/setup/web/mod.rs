//! The set-up as pages. [`door`] lets one browser in, [`guard`] keeps other sites out, [`steps`] shows and takes the steps.

mod door;
mod guard;
mod moving;
mod pages;
mod steps;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use door::Door;

use super::finish::Ending;
use super::work::Setup;
use crate::pages::assets;

/// Makes a service of the server with this configuration; the text is what went wrong.
pub(crate) type Install = fn(PathBuf, Vec<(String, String)>) -> Result<(), String>;

/// What the pages need.
pub(crate) struct Parts {
    pub(crate) setup: Arc<Setup>,
    pub(crate) door: Arc<Mutex<Door>>,
    /// Names that the pages are opened under, besides those that nobody outside can have.
    pub(crate) hosts: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) install: Install,
}

/// What every request can reach.
pub(super) struct Web {
    setup: Arc<Setup>,
    door: Arc<Mutex<Door>>,
    hosts: Vec<String>,
    env: Vec<(String, String)>,
    install: Install,
    ending: watch::Sender<Option<Ending>>,
}

type App = Arc<Web>;

/// Serves the pages until the set-up is over, or until `stop` completes, which is no ending.
pub(crate) async fn serve(
    listener: TcpListener,
    parts: Parts,
    stop: impl Future<Output = ()> + Send,
) -> std::io::Result<Option<Ending>> {
    let (ending, mut ended) = watch::channel(None);
    let Parts { setup, door, hosts, env, install } = parts;
    let app = Arc::new(Web { setup, door, hosts, env, install, ending });
    let router = router(&app);
    let over = async move { drop(ended.wait_for(Option::is_some).await) };
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(over);
    let served = tokio::select! {
        served = serving => served,
        () = stop => Ok(()),
    };
    app.setup.stop().await;
    served?;
    Ok(*app.ending.borrow())
}

fn router(app: &App) -> Router {
    Router::new()
        .route("/", get(steps::to_set_up))
        .route("/setup", get(steps::enter))
        .route("/setup/begin", post(steps::begin))
        .route("/setup/try", post(steps::try_it))
        .route("/setup/{step}", get(steps::show).post(steps::take))
        .route("/setup/{step}/again", post(steps::redo))
        .route("/language", post(steps::language))
        .route("/assets/{file}", get(assets::handler))
        .route("/xrpc/_health", get(steps::health))
        .route("/xrpc/com.atproto.temp.checkHandleAvailability", get(steps::handle_availability))
        .fallback(steps::nothing_there)
        .layer(from_fn_with_state(Arc::clone(app), guard::guard))
        .with_state(Arc::clone(app))
}
