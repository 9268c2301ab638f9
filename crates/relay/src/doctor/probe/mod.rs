//! Looks at the machine and the network. Each probe is bounded in time and changes nothing but a file of its own, which it
//! removes.

mod accounts;
mod addresses;
mod dns;
mod folder;
mod owner;
mod public;
mod server;
mod services;

use std::time::Duration;

use common::Clock;

use super::facts::{Facts, MailFacts, Setup};
use crate::account::operator::AccountSummary;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::identity::Identity;
use crate::mail::Mailer;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked of the server before the probes, since only the command line knows how.
#[derive(Debug)]
pub(crate) struct Known {
    /// Whether a server has the data folder.
    pub(crate) running: bool,
    pub(crate) accounts: Result<Vec<AccountSummary>, String>,
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
    let folder = folder::look(&config.data.dir).await;
    let server = server::look(&config.server, known.running).await;
    let (dns, acme, public, accounts, (services, clocks), mail) = tokio::join!(
        async { if setup.local { None } else { Some(dns::look(&setup, config).await) } },
        async { if setup.local { None } else { dns::look_at_acme(&setup, config, identity).await } },
        public::look(config, clock.millis()),
        accounts::look(identity, known.accounts),
        services::look(config, identity, clock),
        async {
            match mail.test().await {
                None => MailFacts::NotConfigured,
                Some((host, Ok(()))) => MailFacts::Works { host },
                Some((host, Err(reason))) => MailFacts::Fails { host, reason },
            }
        },
    );
    let addresses = addresses::look();
    Facts { setup, folder, clocks, server, addresses, dns, acme, public: Some(public), accounts, services, mail }
}
