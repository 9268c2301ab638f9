//! The configuration: one file and one struct per section, parsed once into domain types.
//!
//! Values come from flags, `RELAY_*` variables, the service manager's credentials and `relay.toml`, in this order of
//! precedence. The table [`SETTINGS`] names every setting once; reading, `relay config show` and docs/CONFIG.md go by it. All
//! mistakes are reported together, each with its place.
//!
//! **Invariants:** a secret's value is in no mistake, no `Debug` and nothing that is shown. The process's environment is an
//! argument, and files are read in [`Config::load`] only.

mod accounts;
mod backup;
mod blobs;
mod data;
mod docs;
mod error;
mod identity;
mod limits;
mod logging;
mod mail;
mod metrics;
mod network;
mod notices;
mod official;
mod origin;
mod reader;
mod registry;
mod s3;
mod secret;
mod secrets;
mod server;
mod services;
mod show;
mod sources;
mod suggest;
mod telemetry;
mod tls;
mod update;
mod values;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use self::{
    accounts::Accounts,
    backup::{Backup, BackupKeySource, BackupPlace, BackupTo, Keep},
    blobs::Blobs,
    data::{Data, Synchronous},
    docs::markdown,
    error::{ConfigErrors, Mistake},
    identity::Identity,
    limits::Limits,
    logging::{LogFormat, Logging},
    mail::{Mail, MailLogin, MailRoute, MailServer, MailTls},
    metrics::Metrics,
    network::{ExtraRoots, Network, UpstreamBounds},
    notices::{Notices, Pace},
    official::{Counterpart, Hint, counterpart, hints},
    origin::Origin,
    reader::{Effective, Shown},
    registry::{Default as SettingDefault, Kind, Official, SECTIONS, SETTINGS, Setting, find as find_setting},
    s3::{S3Access, S3Place},
    secret::{MasterKey, Secret},
    secrets::{MasterKeySource, Secrets},
    server::{Document, Documents, Links, Server},
    services::{CdnPattern, CrawlPace, Service, Services},
    show::show,
    sources::Override,
    telemetry::Telemetry,
    tls::{Acme, CertificateFiles, DnsProvider, Tls, TlsMode},
    update::Update,
    values::{DidKey, HandleDomain, IpRange, MailAddress, PublicUrl, ServiceUrl},
};
use self::{reader::Reader, sources::Sources};
pub use crate::update::ReleaseKey;

/// Everything that an operator can decide, valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the server listens and what it is called.
    pub server: Server,
    /// Who speaks TLS, and where certificates come from.
    pub tls: Tls,
    /// Where data is kept.
    pub data: Data,
    /// Where the bytes of blobs are.
    pub blobs: Blobs,
    /// Copies of it.
    pub backup: Backup,
    /// DIDs and handles.
    pub identity: Identity,
    /// Who may have an account.
    pub accounts: Accounts,
    /// Other services.
    pub services: Services,
    /// Outgoing mail.
    pub mail: Mail,
    /// Bounds on clients.
    pub limits: Limits,
    /// Outgoing connections and proxies.
    pub network: Network,
    /// Secrets of the server itself.
    pub secrets: Secrets,
    /// The log.
    pub logging: Logging,
    /// Figures for Prometheus.
    pub metrics: Metrics,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// How the operator hears that something broke.
    pub notices: Notices,
    /// Where new versions are.
    pub update: Update,
    /// The configuration as text, for backups: the file as it is, and what holds without its secrets.
    pub texts: ConfigTexts,
}

/// The configuration as text.
#[derive(Debug, Clone, Default)]
pub struct ConfigTexts {
    /// The configuration file.
    pub file: Option<Secret>,
    /// What holds, from all sources, without secrets.
    pub effective: String,
    /// Every secret that was given, so that it can be kept out of what leaves this machine.
    pub secrets: Vec<Secret>,
    /// The files that secrets were read from.
    pub secret_files: Vec<PathBuf>,
}

/// A configuration, and how it came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What holds for each setting, in the order of [`SETTINGS`], and who said so.
    pub effective: Vec<Effective>,
    /// Variables of the official PDS in the environment, which do nothing here.
    pub hints: Vec<Hint>,
}

/// What `relay dev` decides; all else is as a test on one machine needs it.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// The address to listen on; its port is part of the public URL.
    pub bind: SocketAddr,
    /// The PLC directory, such as `http://localhost:2582`.
    pub plc_url: String,
    /// The folder of the data.
    pub data_dir: PathBuf,
    /// The admin password, if the admin API is wanted.
    pub admin_password: Option<Secret>,
    /// Settings that are to be other than what suits development.
    pub settings: Vec<Override>,
}

impl Config {
    /// Reads the configuration: the file if there is one, the variables that begin with `RELAY_`, the files in the folder that
    /// `CREDENTIALS_DIRECTORY` names, and the overrides, which come from flags.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: &[Override],
    ) -> Result<Loaded, ConfigErrors> {
        let env: BTreeMap<String, String> = env.into_iter().collect();
        let mut sources = Sources::default();
        if let Some(file) = file {
            sources.add_file(file);
        }
        if let Some(dir) = env.get("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty()) {
            sources.add_credentials(Path::new(dir));
        }
        sources.add_env(&env);
        sources.add_overrides(overrides);
        let (mut config, effective) = Self::read(sources)?;
        config.texts.file = file.and_then(|file| sources::read_bounded(file).ok()).map(Secret::new);
        config.texts.effective = show(&effective);
        Ok(Loaded { config, effective, hints: hints(env) })
    }

    /// Makes the configuration of `relay dev`: on this machine only, offline, with open registration and no limits.
    pub fn dev(options: &DevOptions) -> Result<Self, ConfigErrors> {
        let set = |flag: &str, path: &str, value: String| Override { flag: flag.to_owned(), path: path.to_owned(), value };
        let fixed = |path: &str, value: &str| set("relay dev", path, value.to_owned());
        let mut sources = Sources::default();
        sources.add_overrides(&[
            set("--bind", "server.bind", options.bind.to_string()),
            set("--bind", "server.public_url", format!("http://localhost:{}", options.bind.port())),
            set("--plc-url", "identity.plc_url", options.plc_url.clone()),
            fixed("tls.mode", "off"),
            fixed("identity.handle_domains", ".test"),
            fixed("accounts.invite_required", "false"),
            fixed("accounts.accept_disposable_mail", "true"),
            fixed("services.appview_url", "none"),
            fixed("services.report_url", "none"),
            fixed("services.crawlers", "none"),
            fixed("network.protect_private_addresses", "false"),
            fixed("network.resolve_record_lexicons", "false"),
            fixed("limits.rate_limits", "false"),
        ]);
        sources.add_overrides(&options.settings);
        let (mut config, _) = Self::read(sources)?;
        // These need not be text, nor be read back from it.
        config.secrets.master_key = MasterKeySource::DataDir(options.data_dir.join("master.key"));
        config.data.dir.clone_from(&options.data_dir);
        config.mail.outbox = true;
        config.secrets.admin_password.clone_from(&options.admin_password);
        Ok(config)
    }

    /// Returns all addresses that the server listens on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = self.server.bind.clone();
        if self.tls.mode.serves() {
            addresses.extend(self.tls.https_bind.iter().chain(&self.tls.http_bind));
        }
        addresses
    }

    fn read(mut sources: Sources) -> Result<(Self, Vec<Effective>), ConfigErrors> {
        let secret_files = sources.read_secret_files();
        let secrets = sources.secrets();
        let mut reader = Reader::new(sources);
        let from = &mut reader;
        let network = Network::read(from);
        // A closed network has services without certificates.
        let allow_plain = !network.protect_private_addresses;
        let server = Server::read(from);
        let data = Data::read(from);
        let config = Self {
            identity: Identity::read(from, &server.public_url, allow_plain),
            accounts: Accounts::read(from),
            services: Services::read(from, allow_plain),
            mail: Mail::read(from),
            limits: Limits::read(from),
            secrets: Secrets::read(from, &data.dir),
            logging: Logging::read(from),
            tls: Tls::read(from, &server),
            metrics: Metrics::read(from),
            telemetry: Telemetry::read(from),
            notices: Notices::read(from),
            update: Update::read(from),
            backup: Backup::read(from),
            blobs: Blobs::read(from),
            server,
            data,
            network,
            texts: ConfigTexts { secrets, secret_files, ..ConfigTexts::default() },
        };
        let effective = reader.finish().map_err(ConfigErrors::new)?;
        Ok((config, effective))
    }
}

#[cfg(test)]
mod tests;
