//! A server to test against, and its users.

mod admin;
mod app;
mod app_site;
mod appview;
mod audit;
#[path = "../../../src/second_factor/test_authenticator.rs"]
mod authenticator;
mod browser;
mod client;
mod crawler;
mod dice;
mod dns;
mod firehose;
mod load;
mod official;
mod pebble;
mod plc;
mod process;
mod program;
mod s3;
mod secure;
mod serve;
mod smtp;
mod until_full;
mod user;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use relay::clock::SystemClock;
use relay::config::{Config, DevOptions, Secret};
use relay::plc_directory::{self, PlcStore};
use relay::server::Server;
use relay::state::AppState;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) use admin::Admin;
pub(crate) use app::{App, Odd, Tokens, key, sign};
pub(crate) use app_site::{AppSite, CALLBACK, key_set};
pub(crate) use appview::{AppView, Asked, REPORTS};
pub(crate) use audit::{audit, read_export};
pub(crate) use authenticator::Authenticator;
pub(crate) use browser::{Browser, Page as BrowserPage};
pub(crate) use client::{Client, Reply};
pub(crate) use crawler::Crawler;
pub(crate) use dice::Dice;
pub(crate) use dns::Dns;
pub(crate) use firehose::{Follower, Frame};
pub(crate) use load::{Ledger, Load, NOTE, Step};
pub(crate) use official::{OfficialFolder, OldAccount};
pub(crate) use pebble::{Pebble, Quirks, client};
pub(crate) use plc::{PlcFault, PlcFaults};
pub(crate) use process::{Process, relay};
pub(crate) use program::{Program, free_port, is_there, on_path, own_mounts};
pub(crate) use s3::{ACCESS_KEY, BUCKET, S3, SECRET_KEY};
pub(crate) use secure::{SecurePds, Settings};
pub(crate) use serve::{Served, configure, json as verb_json, run};
pub(crate) use smtp::{MailServer, Policy};
pub(crate) use until_full::UntilFull;
pub(crate) use user::{User, post};

pub(crate) const ADMIN_PASSWORD: &str = "an-admin-password";

/// Writes the settings of a section that say which store it is.
pub(crate) fn s3_settings(s3: &S3) -> String {
    let url = s3.url();
    format!("s3_endpoint = \"{url}\"\ns3_access_key = \"{ACCESS_KEY}\"\ns3_secret_key = \"{SECRET_KEY}\"\n")
}

/// Starts a PLC directory over a database at `path`.
pub(crate) async fn start_plc(path: &Path, clock: &Arc<SystemClock>) -> SocketAddr {
    start_plc_with(path, clock, &Arc::default()).await
}

/// Starts a PLC directory that can be made to fail.
pub(crate) async fn start_plc_with(path: &Path, clock: &Arc<SystemClock>, faults: &Arc<PlcFaults>) -> SocketAddr {
    let store = PlcStore::open(path, Arc::clone(clock) as _).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let layer = axum::middleware::from_fn_with_state(Arc::clone(faults), plc::pass);
    tokio::spawn(axum::serve(listener, plc_directory::router(store).layer(layer)).into_future());
    address
}

/// A PDS with a PLC directory of its own.
pub(crate) struct TestPds {
    server: Option<Server>,
    address: SocketAddr,
    plc: SocketAddr,
    plc_faults: Arc<PlcFaults>,
    clock: Arc<SystemClock>,
    dir: Arc<TempDir>,
    configure: Arc<dyn Fn(&mut Config) + Send + Sync>,
}

/// Waits until nothing holds the lock of the data folder. A server that stopped has closed it; but a child process that another
/// test starts shares it for the moment between its fork and its exec, as it shares all that this process has open.
async fn released(data_dir: &Path) {
    let Ok(lock) = std::fs::File::open(data_dir.join("relay.lock")) else { return };
    let taken = tokio::task::spawn_blocking(move || lock.lock());
    tokio::time::timeout(std::time::Duration::from_secs(30), taken)
        .await
        .expect("a server that stopped gives its folder back")
        .unwrap()
        .unwrap();
}

impl TestPds {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts a server whose configuration `configure` changes.
    pub(crate) async fn start_with(configure: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let clock = Arc::new(SystemClock::default());
        let plc_faults = Arc::default();
        let plc = start_plc_with(&dir.path().join("plc.sqlite"), &clock, &plc_faults).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, configure) = (listener.local_addr().unwrap(), Arc::new(configure));
        let mut pds = Self { server: None, address, plc, plc_faults, clock, dir, configure };
        pds.open(listener).await;
        pds
    }

    /// Starts another server that uses the PLC directory and the clock of this one, which must outlive it.
    pub(crate) async fn start_beside(&self) -> Self {
        self.start_beside_with(|_| ()).await
    }

    /// Starts another server beside this one, whose configuration `configure` changes.
    pub(crate) async fn start_beside_with(&self, configure: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, clock) = (listener.local_addr().unwrap(), Arc::clone(&self.clock));
        let plc_faults = Arc::clone(&self.plc_faults);
        let mut pds = Self { server: None, address, plc: self.plc, plc_faults, clock, dir, configure: Arc::new(configure) };
        pds.open(listener).await;
        pds
    }

    async fn open(&mut self, listener: TcpListener) {
        let mut config = Config::dev(&DevOptions {
            bind: self.address,
            plc_url: format!("http://localhost:{}", self.plc.port()),
            data_dir: self.dir.path().join("data"),
            admin_password: Some(Secret::new(ADMIN_PASSWORD)),
            settings: Vec::new(),
        })
        .unwrap();
        (self.configure)(&mut config);
        released(&config.data.dir).await;
        let app = AppState::open(config, Arc::clone(&self.clock)).await.unwrap();
        self.server = Some(Server::start_on(app, vec![listener]));
    }

    /// Stops the server and starts it anew over the same data, at the same address.
    pub(crate) async fn restart(mut self) -> Self {
        self.server.take().unwrap().stop().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.open(listener).await;
        self
    }

    /// Stops the server, and keeps its directory and its data.
    pub(crate) async fn suspend(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    /// Starts the suspended server again, at the same address.
    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.open(listener).await;
    }

    pub(crate) async fn stop(mut self) {
        self.server.take().unwrap().stop().await;
    }

    /// The parts of the server, for calls that do not go over a socket.
    pub(crate) fn app(&self) -> &AppState {
        self.server.as_ref().expect("the server runs").app()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn plc_url(&self) -> String {
        format!("http://{}", self.plc)
    }

    /// What the directory of this server does wrong.
    pub(crate) fn plc_faults(&self) -> &PlcFaults {
        &self.plc_faults
    }

    pub(crate) fn share_plc_faults(&self) -> Arc<PlcFaults> {
        Arc::clone(&self.plc_faults)
    }

    /// The clock of the server and of its directory.
    pub(crate) fn clock(&self) -> &SystemClock {
        &self.clock
    }

    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    /// A caller without credentials.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.url(), None)
    }

    /// Creates `<name>.test`, and signs in.
    pub(crate) async fn create_account(&self, name: &str) -> User {
        User::create(self, name).await
    }

    /// Follows the firehose from `cursor`.
    pub(crate) async fn follow(&self, cursor: Option<i64>) -> Follower {
        Follower::connect(self.address, cursor).await
    }
}
