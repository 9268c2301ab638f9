//! What each step does, for both faces.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Did, Handle};
use crypto::{Curve, SigningKey};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::answers::{AccountAnswer, Answers, BackupAnswer, HostFault, MailAnswer, MailSecurity, Speaker, Step, host_of};
use super::dns_rows::Names;
use super::file::{BACKUP_KEY, MAIL_PASSWORD};
use super::keeping::KeepError;
use super::live::{Live, LiveError, rehearse};
use super::moving::InMemory;
use super::place::Place;
use super::reach::{Location, Reach};
use crate::account::{self, Claim, CreateError, NewAccount, operator, sign_in_link};
use crate::backup::{self, BackupKey, told};
use crate::clock::SystemClock;
use crate::config::{Config, ConfigErrors, MailAddress, Override};
use crate::doctor::probe::{self, Known};
use crate::doctor::{self, Addresses, Finding};
use crate::gateway::{self, Gateways};
use crate::identity::address::is_global_unicast;
use crate::mail::{Delivery, Letter, Mailer};
use crate::pages::account::{PasswordFault, password_fault};
use crate::state::AppState;
use crate::status::milestone::Milestone;

/// How long the last look waits for the first backup.
const FIRST_BACKUP: Duration = Duration::from_secs(20);

/// A set-up that is under way.
#[derive(Debug)]
pub(crate) struct Setup {
    place: Place,
    /// What stands above the file, as it will when the server runs.
    env: Vec<(String, String)>,
    /// What goes into the file besides the answers.
    besides: Vec<Override>,
    clock: Arc<SystemClock>,
    answers: Mutex<Answers>,
    /// The address of the router in the world, once it was asked for; `None` in it when no router told.
    router: OnceCell<Option<IpAddr>>,
    /// The server, once it may run. Whoever changes what it runs with holds this.
    live: Mutex<Option<Live>>,
    pub(super) moving: std::sync::Mutex<InMemory>,
}

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Host(#[from] HostFault),
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error("the backups cannot go to {folder}: {reason}")]
    Backup { folder: String, reason: String },
}

/// What is said about the mail server.
#[derive(Clone, Debug)]
pub(crate) struct MailInput {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: MailSecurity,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) from: String,
    /// Who gets the mail on trial.
    pub(crate) to: String,
}

/// Why mail cannot be sent that way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailFault {
    #[error("the sender is not a mail address")]
    From,
    #[error("the mail was not sent: {0}")]
    NotSent(String),
    #[error(transparent)]
    Work(#[from] WorkError),
}

/// Who gets the first account.
#[derive(Clone, Debug)]
pub(crate) struct NewPerson {
    /// The handle, or what stands in front of the server's name in it.
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) password: String,
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountFault {
    #[error("a handle has letters, digits and dashes, as in alice")]
    Handle,
    #[error("{}", match .0 {
        PasswordFault::TooShort => "the password is too short: it has to have 8 characters or more",
        PasswordFault::TooLong => "the password is too long",
    })]
    Password(PasswordFault),
    #[error("{}", with_cause(.0))]
    Create(Box<CreateError>),
    #[error(transparent)]
    Work(#[from] WorkError),
}

impl Setup {
    /// Takes up a set-up where it was.
    pub(crate) fn open(place: Place, env: Vec<(String, String)>, besides: Vec<Override>) -> Result<Self, KeepError> {
        let answers = Mutex::new(place.read()?);
        let clock = Arc::new(SystemClock::default());
        Ok(Self {
            place,
            env,
            besides,
            clock,
            answers,
            router: OnceCell::new(),
            live: Mutex::default(),
            moving: std::sync::Mutex::default(),
        })
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) const fn clock(&self) -> &Arc<SystemClock> {
        &self.clock
    }

    pub(crate) async fn answers(&self) -> Answers {
        self.answers.lock().await.clone()
    }

    /// Changes the answers, and keeps them before anybody sees them.
    pub(super) async fn change(&self, change: impl FnOnce(&mut Answers)) -> Result<(), KeepError> {
        let mut held = self.answers.lock().await;
        let mut answers = held.clone();
        change(&mut answers);
        self.place.keep(&answers, &self.besides)?;
        *held = answers;
        Ok(())
    }

    /// Goes back to a step that was done.
    pub(crate) async fn redo(&self, step: Step) -> Result<(), KeepError> {
        if !self.answers().await.may_redo(step) {
            return Ok(());
        }
        self.stop().await;
        self.change(|answers| answers.redo(step)).await
    }

    /// Returns the configuration as the answers have it.
    async fn config(&self) -> Result<Config, WorkError> {
        let answers = self.answers().await;
        self.config_of(&answers)
    }

    fn config_of(&self, answers: &Answers) -> Result<Config, WorkError> {
        self.place.keep_draft(answers, &self.besides)?;
        Ok(Config::load(Some(&self.place.draft()), self.env.clone(), &[])?.config)
    }

    /// Takes the name of the server.
    pub(crate) async fn set_host(&self, text: &str) -> Result<(), WorkError> {
        let host = host_of(text)?;
        Ok(self.change(|answers| answers.host = Some(host)).await?)
    }

    /// Looks at the names in DNS.
    pub(crate) async fn look_at_names(&self) -> Result<Names, WorkError> {
        let config = self.config().await?;
        let url = &config.server.public_url;
        let setup = doctor::Setup {
            public_url: url.as_str().to_owned(),
            host: url.host().to_owned(),
            local: url.is_local(),
            handle_domains: config.identity.handle_domains.iter().map(ToString::to_string).collect(),
        };
        let facts = probe::dns::look(&setup, &config).await;
        Ok(Names::of(&setup.host, &facts, &self.addresses().await))
    }

    /// Returns the addresses that the world could reach this machine by; behind a router that tells, the router's.
    async fn addresses(&self) -> Addresses {
        let own = probe::addresses::look();
        if own.public().next().is_some() {
            return own;
        }
        match self.router_address().await {
            Some(router) if is_global_unicast(router) => Addresses { v4: Some(router), v6: None },
            Some(_) | None => own,
        }
    }

    async fn router_address(&self) -> Option<IpAddr> {
        *self.router.get_or_init(|| async { gateway::public_address(Gateways::of_this_network().await).await }).await
    }

    /// Goes on from the names.
    pub(crate) async fn accept_names(&self) -> Result<(), WorkError> {
        Ok(self.change(|answers| answers.names = true).await?)
    }

    /// Looks at the ports and the address of this machine.
    pub(crate) async fn look_at_reach(&self) -> Result<Reach, WorkError> {
        let config = self.config().await?;
        let looked = tokio::task::spawn_blocking(move || Reach::look(&config)).await;
        let mut reach = looked.expect("looking at ports does not panic");
        if let Location::BehindRouter(_) = reach.location {
            reach.ask_router(self.router_address().await);
        }
        Ok(reach)
    }

    /// Returns where a proxy on this machine passes requests on to.
    pub(crate) async fn upstream(&self) -> String {
        let bind = self.config().await.ok().and_then(|config| config.server.bind.first().copied());
        let port = bind.map_or(2583, |bind| bind.port());
        format!("127.0.0.1:{port}")
    }

    /// Takes who speaks TLS. A proxy has its certificate from elsewhere.
    pub(crate) async fn set_speaker(&self, speaker: Speaker, open_ports: bool) -> Result<(), WorkError> {
        let change = |answers: &mut Answers| {
            answers.tls = Some(speaker);
            answers.open_ports = open_ports && speaker == Speaker::Server;
            answers.certificate = speaker == Speaker::Proxy;
        };
        Ok(self.change(change).await?)
    }

    /// Gets the certificate, after a rehearsal.
    pub(crate) async fn obtain_certificate(&self) -> Result<(), WorkError> {
        let mut live = self.live.lock().await;
        if live.is_none() {
            let config = self.config().await?;
            if config.network.open_ports {
                let opened = gateway::open(Gateways::of_this_network().await, &gateway::mappings(&config)).await;
                opened.map_err(|err| LiveError::Certificate(err.to_string()))?;
            }
            Box::pin(rehearse(&config, Arc::clone(&self.clock))).await?;
            *live = Some(Box::pin(Live::start_with_certificate(config, Arc::clone(&self.clock))).await?);
        }
        Ok(self.change(|answers| answers.certificate = true).await?)
    }

    /// Goes on without mail.
    pub(crate) async fn skip_mail(&self) -> Result<(), WorkError> {
        Ok(self.change(|answers| answers.mail = Some(MailAnswer::None)).await?)
    }

    /// Takes a mail server, once it has taken a mail.
    pub(crate) async fn set_mail(&self, input: &MailInput) -> Result<(), MailFault> {
        let from = MailAddress::new(input.from.trim()).ok_or(MailFault::From)?;
        let user = input.user.trim();
        let answer = MailAnswer::Server {
            host: input.host.trim().to_owned(),
            port: input.port,
            security: input.security,
            user: (!user.is_empty()).then(|| user.to_owned()),
            from: from.as_str().to_owned(),
        };
        self.place.keep_secret(MAIL_PASSWORD, &input.password).map_err(WorkError::from)?;
        let mut answers = self.answers().await;
        answers.mail = Some(answer.clone());
        let config = self.config_of(&answers)?;
        let mailer = Mailer::open(&config, Arc::clone(&self.clock) as _).map_err(MailFault::NotSent)?;
        let letter = Letter::plain(
            &format!("{} can send mail", config.server.public_url.host()),
            "This is the mail that the set-up of your server sent on trial.\n\nThere is nothing to do.",
        );
        let place = mailer.place().map_err(|err| MailFault::NotSent(err.to_string()))?;
        match mailer.send(place, input.to.trim(), &letter).await {
            Ok(Delivery::Sent | Delivery::NoServer) => {}
            Err(err) => return Err(MailFault::NotSent(err.to_string())),
        }
        // The server that runs was started without it.
        self.stop().await;
        Ok(self.change(|answers| answers.mail = Some(answer)).await.map_err(WorkError::from)?)
    }

    /// Goes on without an account.
    pub(crate) async fn skip_account(&self) -> Result<(), WorkError> {
        Ok(self.change(|answers| answers.account = Some(AccountAnswer::Later)).await?)
    }

    /// Makes the first account, with a recovery key above the server's.
    pub(crate) async fn make_account(&self, person: &NewPerson) -> Result<(Did, Handle), AccountFault> {
        if let Some(fault) = password_fault(&person.password) {
            return Err(AccountFault::Password(fault));
        }
        let app = self.app().await?;
        let handle = handle_of(&app, &person.name).ok_or(AccountFault::Handle)?;
        if let Some(found) = self.made_before(&app, &handle).await {
            return Ok((found, handle));
        }
        let recovery_key = new_key();
        // Before the account: one whose key was never seen could not be saved by it.
        let text = recovery_key.to_multibase().to_string();
        self.change(|answers| answers.recovery_key = Some(text)).await.map_err(WorkError::from)?;
        let new = NewAccount {
            claim: Claim::New { recovery_key: Some(recovery_key.verifying_key().clone()) },
            handle,
            email: Some(person.email.trim().to_owned()),
            password: Some(person.password.clone()),
            invite_code: None,
            by_operator: true,
        };
        match Box::pin(account::create(&app, new)).await {
            Ok(made) => {
                let answer = AccountAnswer::Made { did: made.did.clone(), handle: made.handle.clone() };
                self.change(|answers| answers.account = Some(answer)).await.map_err(WorkError::from)?;
                Ok((made.did, made.handle))
            }
            Err(err) => {
                self.change(|answers| answers.recovery_key = None).await.map_err(WorkError::from)?;
                Err(AccountFault::Create(Box::new(err)))
            }
        }
    }

    /// Finds the account that was made by an earlier attempt, which was cut off before it could write that down; its key is there.
    async fn made_before(&self, app: &AppState, handle: &Handle) -> Option<Did> {
        self.answers().await.recovery_key?;
        let accounts = operator::list(app).await.ok()?;
        let did = accounts.into_iter().find(|account| account.handle == *handle)?.did;
        let answer = AccountAnswer::Made { did: did.clone(), handle: handle.clone() };
        self.change(|answers| answers.account = Some(answer)).await.ok()?;
        Some(did)
    }

    /// Forgets the recovery key, which the person has now.
    pub(crate) async fn recovery_key_is_saved(&self) -> Result<(), WorkError> {
        Ok(self.change(|answers| answers.recovery_key = None).await?)
    }

    /// Returns the key of the backups, which is made when there is none.
    pub(crate) fn backup_key(&self) -> Result<String, WorkError> {
        let path = self.place.data_dir.join(BACKUP_KEY);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                let text = BackupKey::generate().to_text();
                self.place.keep_secret(BACKUP_KEY, &text)?;
                Ok(text.to_string())
            }
            Err(err) => Err(KeepError::Read { path, reason: err.to_string() }.into()),
        }
    }

    /// Takes where backups go.
    pub(crate) async fn set_backup(&self, answer: BackupAnswer) -> Result<(), WorkError> {
        if let BackupAnswer::To(folder) = &answer {
            let refused = |reason| WorkError::Backup { folder: folder.display().to_string(), reason };
            try_folder(folder).map_err(refused)?;
            let own = self.config().await?.server.public_url;
            if let Some(other) = backup::owner_of_folder(folder).filter(|other| *other != own.as_str()) {
                return Err(refused(format!("it has the backups of another server, {other}; name a folder of its own")));
            }
            self.backup_key()?;
        }
        // The server that runs was started without it.
        self.stop().await;
        Ok(self.change(|answers| answers.backup = Some(answer)).await?)
    }

    /// Makes a link that signs the owner of the first account in on the server itself, where a passkey can be added; `None` when
    /// there is no account yet. The password does without it, so what hinders it is only written down.
    pub(crate) async fn passkey_link(&self) -> Option<String> {
        let Some(AccountAnswer::Made { did, .. }) = self.answers().await.account else { return None };
        let app = self.app().await.ok()?;
        if !app.passkeys.are_available() {
            return None;
        }
        match sign_in_link::make(&app, &did).await {
            Ok(link) => Some(link),
            Err(err) => {
                tracing::warn!(error = &err as &dyn std::error::Error, "no link for adding a passkey could be made");
                None
            }
        }
    }

    /// Looks whether all that the server stands on is well.
    pub(crate) async fn look_at_all(&self) -> Result<Vec<Finding>, WorkError> {
        let app = self.app().await?;
        self.back_up_first(&app).await;
        let accounts = operator::list(&app).await.map_err(|err| err.describe());
        let milestones = crate::status::milestones(&app).await.unwrap_or_default();
        let known = Known { running: true, accounts, milestones, ..Known::default() };
        let facts = Box::pin(probe::gather(&app.config, &app.identity, &app.mail, &self.clock, known)).await;
        Ok(doctor::evaluate(&facts))
    }

    /// Makes the first backup and restores it on trial, so that a place that does not do is told now. What takes longer goes on,
    /// and the server makes up for what is cut off.
    async fn back_up_first(&self, app: &AppState) {
        let done = crate::status::milestones(app).await.unwrap_or_default().contains_key(Milestone::Backup.name());
        if done || app.backups.is_empty() {
            return;
        }
        let app = app.clone();
        let work = tokio::spawn(async move {
            told::back_up_everywhere(&app).await;
            told::drill_everywhere(&app).await;
        });
        if tokio::time::timeout(FIRST_BACKUP, work).await.is_err() {
            tracing::info!("the first backup is still being made");
        }
    }

    /// Returns the server, which is started when it does not run.
    pub(crate) async fn app(&self) -> Result<AppState, WorkError> {
        let mut live = self.live.lock().await;
        if live.is_none() {
            let config = self.config().await?;
            *live = Some(Box::pin(Live::start(config, Arc::clone(&self.clock))).await?);
        }
        Ok(live.as_ref().expect("it was started").server().app().clone())
    }

    /// Returns the server if it runs.
    pub(crate) fn running(&self) -> Option<AppState> {
        let live: MutexGuard<'_, _> = self.live.try_lock().ok()?;
        live.as_ref().map(|live| live.app().clone())
    }

    /// Ends the server that ran meanwhile.
    pub(crate) async fn stop(&self) {
        if let Some(live) = self.live.lock().await.take() {
            live.stop().await;
        }
    }

    /// Writes the configuration, after which another process may take over.
    pub(crate) async fn complete(&self) -> Result<(), WorkError> {
        let answers = self.answers().await;
        self.config_of(&answers)?;
        self.stop().await;
        Ok(self.place.complete(&answers, &self.besides)?)
    }
}

/// Tells the error with what led to it: the person is the operator, and may see that.
fn with_cause(err: &CreateError) -> String {
    let mut text = err.to_string();
    let mut source = std::error::Error::source(err);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Puts the handle together; people write it with its domain, or with an @, as they see handles.
fn handle_of(app: &AppState, name: &str) -> Option<Handle> {
    let name = name.trim().trim_start_matches('@').to_lowercase();
    let domains = &app.config.identity.handle_domains;
    if domains.iter().any(|domain| domain.strip(&name).is_some()) {
        return name.parse().ok();
    }
    if name.contains('.') {
        return None;
    }
    format!("{name}{}", domains.first()?.as_str()).parse().ok()
}

fn new_key() -> SigningKey {
    loop {
        if let Ok(key) = SigningKey::from_bytes(Curve::K256, &crate::random::bytes()) {
            return key;
        }
    }
}

/// Looks whether a folder takes files; makes it if need be.
fn try_folder(folder: &Path) -> Result<(), String> {
    if !folder.is_absolute() {
        return Err("it has to be a whole path, such as /mnt/disk/relay".to_owned());
    }
    crate::data_dir::make_private_dir(folder).map_err(|err| err.to_string())?;
    tempfile::NamedTempFile::new_in(folder).map(drop).map_err(|err| err.to_string())
}
