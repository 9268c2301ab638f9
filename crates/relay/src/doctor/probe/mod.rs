//! Looks at the machine and the network. Each probe is bounded in time and changes nothing but a file of its own, which it
//! removes.

mod accounts;
pub(crate) mod addresses;
pub(crate) mod dns;
mod folder;
mod machine;
mod mail;
mod owner;
mod public;
mod secrets;
pub(crate) mod server;
mod services;
mod uses;

use std::collections::BTreeMap;
use std::time::Duration;

use common::Clock;

pub(crate) use self::accounts::signing_keys;
use super::facts::{BackupFacts, Facts, Inside, Setup};
use crate::account::operator::AccountSummary;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::identity::Identity;
use crate::mail::Mailer;
use crate::service::Installed;
use crate::status::milestone::{Milestone, Outcome};
use crate::telemetry::room::RoomHistory;
use crate::update;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked of the server before the probes, since only the command line knows how.
#[derive(Debug)]
pub(crate) struct Known {
    /// Whether a server has the data folder.
    pub(crate) running: bool,
    pub(crate) accounts: Result<Vec<AccountSummary>, String>,
    pub(crate) inside: Option<Inside>,
    /// The last backup, drill and verification.
    pub(crate) milestones: BTreeMap<String, Outcome>,
    /// How the room on the disk went.
    pub(crate) room: RoomHistory,
    /// The keys that the server signs with for the first accounts, by DID.
    pub(crate) signing_keys: BTreeMap<String, String>,
    /// The service of the system that the server is.
    pub(crate) service: Option<Installed>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            running: false,
            accounts: Ok(Vec::new()),
            inside: None,
            milestones: BTreeMap::new(),
            room: RoomHistory::default(),
            signing_keys: BTreeMap::new(),
            service: None,
        }
    }
}

/// Gathers all facts.
pub(crate) async fn gather(config: &Config, identity: &Identity, mail: &Mailer, clock: &SystemClock, known: Known) -> Facts {
    let url = &config.server.public_url;
    let setup = Setup {
        public_url: url.as_str().to_owned(),
        host: url.host().to_owned(),
        local: url.is_local(),
        handle_domains: config.identity.handle_domains.iter().map(ToString::to_string).collect(),
    };
    let folder = folder::look(config, &known.room, clock.millis()).await;
    let server = server::look(config, known.running).await;
    let (dns, acme, public, accounts, (services, clocks), mail) = tokio::join!(
        async { if setup.local { None } else { Some(dns::look(&setup, config).await) } },
        async { if setup.local { None } else { dns::look_at_acme(&setup, config, identity).await } },
        public::look(config),
        accounts::look(identity, known.accounts, &known.signing_keys),
        services::look(config, identity, clock),
        mail::look(config, mail, &setup),
    );
    let machine = machine::look(&config.data.dir, known.inside.as_ref().map(|inside| inside.process_id));
    let release = async {
        let newest = update::newest(config, &identity.clients().trusted).await?;
        let newest = newest.map(|index| index.version.to_string()).map_err(|err| err.to_string());
        Some((env!("CARGO_PKG_VERSION").to_owned(), newest))
    };
    let (machine, release) = tokio::join!(machine, release);
    let mut milestones = known.milestones;
    let mut milestone = |milestone: Milestone| milestones.remove(milestone.name());
    let backups = BackupFacts {
        every: (!config.backup.to.is_empty()).then_some(config.backup.every),
        backup: milestone(Milestone::Backup),
        drill: milestone(Milestone::Drill),
    };
    let addresses = addresses::look();
    Facts {
        setup,
        folder,
        secrets: secrets::look(config),
        clocks,
        server,
        service: known.service,
        addresses,
        dns,
        acme,
        public: Some(public),
        accounts,
        services,
        mail,
        machine,
        backups,
        inside: known.inside,
        release,
        now_millis: clock.millis(),
    }
}
