//! A server that speaks TLS itself.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use relay::clock::SystemClock;
use relay::config::{Config, Override};
use relay::server::Server;
use relay::state::AppState;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Pebble, Quirks, client, free_port, start_plc};

pub(crate) const HOST: &str = "pds.example.com";

/// Settings of a server, besides those that all tests need.
pub(crate) type Settings = Vec<(&'static str, String)>;

/// A server at [`HOST`], whose handles are below that name.
pub(crate) struct SecurePds {
    server: Option<Server>,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) dir: TempDir,
    plc: SocketAddr,
    settings: Settings,
    pub(crate) https: SocketAddr,
    pub(crate) http: SocketAddr,
    plain: SocketAddr,
}

impl SecurePds {
    /// Starts a server that gets its certificates from `pebble`, once it has told where that looks for it.
    pub(crate) async fn with_pebble(quirks: Quirks, settings: Settings) -> (Self, Pebble) {
        let (http, https) = (free_port(), free_port());
        let pebble = Pebble::start(http, https, quirks).await;
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let mut all = Self::settings_for(&pebble);
        all.extend(settings);
        (Self::start_at(at(http), at(https), all).await, pebble)
    }

    pub(crate) fn settings_for(pebble: &Pebble) -> Settings {
        vec![
            ("tls.mode", "auto".to_owned()),
            ("tls.acme_directory", pebble.directory()),
            ("network.extra_root_certificates", pebble.own_root().to_str().unwrap().to_owned()),
            ("network.dns_servers", pebble.dns().to_string()),
        ]
    }

    pub(crate) async fn start_at(http: SocketAddr, https: SocketAddr, settings: Settings) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(SystemClock::default());
        let plc = start_plc(&dir.path().join("plc.sqlite"), &clock).await;
        let plain = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut pds = Self { server: None, clock, dir, plc, settings, https, http, plain };
        pds.open().await;
        pds
    }

    async fn open(&mut self) {
        let set = |path: &str, value: String| Override { flag: "a test".to_owned(), path: path.to_owned(), value };
        let mut overrides = vec![
            set("server.public_url", format!("https://{HOST}:{}", self.https.port())),
            set("server.bind", self.plain.to_string()),
            set("tls.https_bind", self.https.to_string()),
            set("tls.http_bind", self.http.to_string()),
            set("data.dir", self.data_dir().to_str().unwrap().to_owned()),
            set("identity.plc_url", format!("http://127.0.0.1:{}", self.plc.port())),
            set("accounts.invite_required", "false".to_owned()),
            set("accounts.accept_disposable_mail", "true".to_owned()),
            set("services.appview_url", "none".to_owned()),
            set("services.report_url", "none".to_owned()),
            set("services.crawlers", "none".to_owned()),
            set("network.protect_private_addresses", "false".to_owned()),
            set("limits.rate_limits", "false".to_owned()),
        ];
        for (path, value) in &self.settings {
            overrides.retain(|known| known.path != *path);
            overrides.push(set(path, value.clone()));
        }
        let config = Config::load(None, [], &overrides).unwrap().config;
        let app = AppState::open(config, Arc::clone(&self.clock)).await.unwrap();
        self.server = Some(Server::start(app).unwrap());
    }

    /// Stops the server and starts it anew over the same data, with other settings added.
    pub(crate) async fn restart_with(mut self, settings: Settings) -> Self {
        self.stop().await;
        self.settings.retain(|(path, _)| settings.iter().all(|(other, _)| other != path));
        self.settings.extend(settings);
        self.open().await;
        self
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    pub(crate) fn app(&self) -> &AppState {
        self.server.as_ref().expect("the server runs").app()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{HOST}:{}", self.https.port())
    }

    pub(crate) fn plain_url(&self) -> String {
        format!("http://{}", self.plain)
    }

    pub(crate) fn plain_address(&self) -> SocketAddr {
        self.plain
    }

    /// A client that trusts a root and finds the server and its handles.
    pub(crate) fn client(&self, root: &[u8]) -> reqwest::Client {
        let roots = relay::identity::http::roots_from_pem(root).unwrap();
        client(&roots, &[(HOST, self.https), ("alice.pds.example.com", self.https), ("bob.pds.example.com", self.https)])
    }

    /// Makes an account, over the plain port that is for this machine.
    pub(crate) async fn create_account(&self, name: &str) -> Value {
        let body = json!({
            "handle": format!("{name}.{HOST}"),
            "email": format!("{name}@example.com"),
            "password": format!("{name}-password"),
        });
        let url = format!("{}/xrpc/com.atproto.server.createAccount", self.plain_url());
        let response = client(&[], &[]).post(url).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    /// Connects as a client that asks for `host`.
    pub(crate) async fn connect(&self, root: &[u8], host: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let roots = relay::identity::http::roots_from_pem(root).unwrap();
        let config = Arc::new(relay::identity::http::tls_config(&roots).unwrap());
        let stream = TcpStream::connect(self.https).await.unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        tokio_rustls::TlsConnector::from(config).connect(name, stream).await
    }

    /// Returns the certificate that a client gets that asks for `host`.
    pub(crate) async fn certificate(&self, root: &[u8], host: &str) -> CertificateDer<'static> {
        let stream = self.connect(root, host).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// Tells what is wrong with the certificate of a name.
    pub(crate) fn problem(&self, name: &str) -> Option<String> {
        self.app().certificates().into_iter().find(|status| status.name == name)?.problem
    }

    pub(crate) fn write_files(&self, names: &[&str]) -> (PathBuf, PathBuf, Vec<u8>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let (certificate, key) = (self.dir.path().join("certificate.pem"), self.dir.path().join("key.pem"));
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::write(&certificate, made.cert.pem()).unwrap();
        (certificate, key, made.cert.pem().into_bytes())
    }
}
