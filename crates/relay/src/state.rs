//! What every request can reach, built once.

use std::ops::Deref;
use std::sync::Arc;

use common::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::account::{Creations, DidTurns, Passwords};
use crate::backup::{self, Backups, Spools};
use crate::blob::BlobStore;
use crate::clock::SystemClock;
use crate::config::{Config, MasterKeySource, Synchronous};
use crate::data_dir::{DataDir, DataDirError};
use crate::firehose::Firehose;
use crate::gateway::KeptRouter;
use crate::identity::Identity;
use crate::identity::http::ObjectStoreClient;
use crate::lexicon::Lexicons;
use crate::mail::Mailer;
use crate::move_in::Moves;
use crate::notice::Notices;
use crate::oauth::Oauth;
use crate::repo::{Imports, Repos};
use crate::second_factor::passkey::Passkeys;
use crate::secrets::{Secrets, rotate};
use crate::store::{self, Db, DbOptions, StoreError};
use crate::tasks::crawl::Crawlers;
use crate::tasks::registry::Tasks;
use crate::telemetry::Telemetry;
use crate::tls::proxy_headers::Told;
use crate::tls::{CertificateStatus, Tls};
use crate::update::probation::Probation;

/// The parts of the server; cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<App>);

/// The parts of the server.
#[derive(Debug)]
pub struct App {
    pub(crate) config: Config,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) db: Arc<Db>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) repos: Repos,
    pub(crate) firehose: Arc<Firehose>,
    pub(crate) blobs: BlobStore,
    pub(crate) identity: Identity,
    pub(crate) oauth: Oauth,
    pub(crate) lexicons: Lexicons,
    /// One for each place.
    pub(crate) backups: Vec<Backups>,
    pub(crate) mail: Mailer,
    pub(crate) passwords: Passwords,
    pub(crate) passkeys: Passkeys,
    pub(crate) did_turns: DidTurns,
    pub(crate) creations: Creations,
    pub(crate) imports: Imports,
    pub(crate) moves: Moves,
    pub(crate) tls: Tls,
    pub(crate) proxy_told: Told,
    /// What goes on although its client may have gone; the server waits for it when it stops.
    pub(crate) work: TaskTracker,
    pub(crate) notices: Notices,
    pub(crate) tasks: Tasks,
    pub(crate) router: KeptRouter,
    pub(crate) crawlers: Crawlers,
    pub(crate) telemetry: Telemetry,
    pub(crate) probation: Probation,
    /// Cancelled when the server stops.
    pub(crate) stop: CancellationToken,
    /// Held for as long as anything here lives.
    _data_dir: DataDir,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the server's secrets could not be opened: {0}")]
    Secrets(String),
    #[error("outgoing connections could not be set up: {0}")]
    Identity(String),
    #[error("mail could not be set up: {0}. See the section [mail] of the configuration")]
    Mail(String),
    #[error("TLS could not be set up: {0}")]
    Tls(String),
    #[error("could not listen on {address}: {source}. {remedy}, set in {setting}")]
    Bind { address: std::net::SocketAddr, source: std::io::Error, setting: &'static str, remedy: &'static str },
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}

impl AppState {
    /// Opens the data folder and builds everything over it.
    pub async fn open(config: Config, clock: Arc<SystemClock>) -> Result<Self, StartError> {
        let data_dir = DataDir::open(&config.data.dir)?;
        let master_key = match &config.secrets.master_key {
            MasterKeySource::Given(key) => crypto::seal::MasterKey::from_bytes(*key.expose()),
            MasterKeySource::DataDir(file) => data_dir.master_key(file)?,
        };
        let database = data_dir.private_database()?;
        let as_clock = || Arc::clone(&clock) as Arc<dyn Clock>;
        let spool_dir = config.data.dir.join(SPOOL);
        let spools = Spools::open(&spool_dir, &database, &config.backup, &as_clock())
            .map_err(|source| DataDirError::Io { path: spool_dir, source })?;
        let firehose = Arc::new(Firehose::new());
        let publish = Arc::clone(&firehose);
        let options = database_options(&config, &spools);
        let db = Db::open(&database, &options, as_clock(), Box::new(move |events| publish.publish(events)))?;
        let db = Arc::new(db);
        firehose.begin_at(db.seq_at_start());
        let master_key = match &config.secrets.master_key {
            MasterKeySource::Given(_) => master_key,
            MasterKeySource::DataDir(file) => {
                let sealed_under = db.read(rotate::sealed_under).await.map_err(|err| StartError::Secrets(err.to_string()))?;
                let settled = rotate::settle(file, master_key, sealed_under);
                settled.map_err(|err| StartError::Secrets(err.to_string()))?
            }
        };
        // After the master key was settled: it is part of every backup.
        let files = backup::files(&data_encoding::HEXLOWER.encode(master_key.as_bytes()), &config.texts);
        let secrets = Secrets::open(&db, master_key).await.map_err(|err| StartError::Secrets(err.to_string()))?;
        let repos =
            Repos::new(Arc::clone(&db), as_clock(), Arc::clone(&secrets), NODE_CACHE_BYTES, config.data.dir.join(EVIDENCE));
        let blobs_dir = data_dir.folder("blobs")?;
        let client = || ObjectStoreClient::new(config.network.roots()).map_err(|err| StartError::Identity(err.to_string()));
        let blobs = match &config.blobs.store {
            None => BlobStore::open(blobs_dir),
            Some(s3) => BlobStore::open_bucket(blobs_dir, s3, client()?),
        };
        let blobs = blobs.map_err(|source| DataDirError::Io { path: config.data.dir.join("blobs"), source })?;
        let identity = crate::identity::open(&config, as_clock()).map_err(|err| StartError::Identity(err.to_string()))?;
        let oauth = Oauth::new(&identity, &secrets, &as_clock(), !config.network.protect_private_addresses);
        let for_records = config.network.resolve_record_lexicons;
        let lexicons = Lexicons::new(Arc::clone(&db), identity.clone(), as_clock(), for_records);
        let mut backups = Vec::with_capacity(config.backup.to.len());
        let drills = Arc::default();
        for (to, (spool_dir, spool)) in config.backup.to.iter().zip(spools.into_each()) {
            let parts = backup::Parts {
                settings: config.backup.clone(),
                to: to.clone(),
                client: client()?,
                public_url: config.server.public_url.as_str().to_owned(),
                files: files.clone(),
                data_dir: config.data.dir.clone(),
                spool_dir,
                db: Arc::clone(&db),
                blobs: blobs.clone(),
                clock: as_clock(),
                spool,
                drills: Arc::clone(&drills),
            };
            backups.push(Backups::new(parts).await?);
        }
        let mail = Mailer::open(&config, as_clock()).map_err(StartError::Mail)?;
        let stop = CancellationToken::new();
        let tls = Tls::open(&config, &db, &secrets, &identity, as_clock(), &stop).await;
        let tls = tls.map_err(|err| StartError::Tls(err.to_string()))?;
        Ok(Self(Arc::new(App {
            tls,
            proxy_told: Told::default(),
            mail,
            passwords: Passwords::new(),
            passkeys: Passkeys::open(&config, as_clock()),
            did_turns: DidTurns::new(),
            creations: Creations::default(),
            moves: Moves::default(),
            imports: Imports::new(data_dir.folder("imports")?),
            work: TaskTracker::new(),
            stop,
            notices: Notices::new(as_clock()),
            tasks: Tasks::default(),
            router: KeptRouter::default(),
            crawlers: Crawlers::default(),
            telemetry: Telemetry::new(db.stats(), clock.millis()),
            probation: Probation::open(&config.data.dir),
            config,
            clock,
            db,
            secrets,
            repos,
            firehose,
            blobs,
            identity,
            oauth,
            lexicons,
            backups,
            _data_dir: data_dir,
        })))
    }
}

fn database_options(config: &Config, spools: &Spools) -> DbOptions {
    DbOptions {
        synchronous: match config.data.synchronous {
            Synchronous::Full => store::Synchronous::Full,
            Synchronous::Normal => store::Synchronous::Normal,
        },
        writer_cache_bytes: config.data.writer_cache_bytes,
        reader_cache_bytes: config.data.reader_cache_bytes,
        readers: config.data.readers,
        write_queue: config.data.writer_queue,
        watch: spools.watch(),
    }
}

impl App {
    /// Carries `work` out to its end, also when whoever waits for it goes away; the server waits for it when it stops.
    pub(crate) async fn to_end<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.work.spawn(work).await {
            Ok(done) => done,
            Err(err) => match err.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// The folder, in the data folder, of what repairs replaced.
pub(crate) const EVIDENCE: &str = "evidence";

impl AppState {
    /// Tells what there is of certificates that this server orders.
    pub fn certificates(&self) -> Vec<CertificateStatus> {
        self.tls.status()
    }

    /// Orders and renews the certificates that are due, and waits for them.
    pub async fn renew_certificates(&self) {
        if let Some(orders) = self.tls.orders() {
            orders.turn().await;
        }
    }
}

/// Where changes wait until they are sent to the place for backups.
pub(crate) const SPOOL: &str = "backup-spool";
/// Memory for decoded tree nodes, so that a write finds the upper part of its tree there.
const NODE_CACHE_BYTES: u64 = 8 << 20;
