//! A server to test against, and its users.

mod client;
mod firehose;
mod user;

use std::net::SocketAddr;
use std::sync::Arc;

use relay::clock::SystemClock;
use relay::config::{Config, DevOptions, Secret};
use relay::plc_directory::{self, PlcStore};
use relay::server::Server;
use relay::state::AppState;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) use client::{Client, Reply};
pub(crate) use firehose::{Follower, Frame};
pub(crate) use user::User;

pub(crate) const ADMIN_PASSWORD: &str = "an-admin-password";

/// A PDS with a PLC directory of its own.
pub(crate) struct TestPds {
    server: Option<Server>,
    address: SocketAddr,
    plc: SocketAddr,
    clock: Arc<SystemClock>,
    dir: Arc<TempDir>,
    configure: fn(&mut Config),
}

impl TestPds {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts a server whose configuration `configure` changes.
    pub(crate) async fn start_with(configure: fn(&mut Config)) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let clock = Arc::new(SystemClock::default());
        let store = PlcStore::open(&dir.path().join("plc.sqlite"), Arc::clone(&clock) as _).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plc = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, plc_directory::router(store)).into_future());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut pds = Self { server: None, address: listener.local_addr().unwrap(), plc, clock, dir, configure };
        pds.open(listener).await;
        pds
    }

    async fn open(&mut self, listener: TcpListener) {
        let mut config = Config::dev(&DevOptions {
            bind: self.address,
            plc_url: format!("http://localhost:{}", self.plc.port()),
            data_dir: self.dir.path().join("data"),
            admin_password: Some(Secret::new(ADMIN_PASSWORD)),
        })
        .unwrap();
        (self.configure)(&mut config);
        let app = AppState::open(config, Arc::clone(&self.clock)).await.unwrap();
        self.server = Some(Server::start_on(app, vec![listener]).await.unwrap());
    }

    /// Stops the server and starts it anew over the same data, at the same address.
    pub(crate) async fn restart(mut self) -> Self {
        self.server.take().unwrap().stop().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.open(listener).await;
        self
    }

    pub(crate) async fn stop(mut self) {
        self.server.take().unwrap().stop().await;
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
