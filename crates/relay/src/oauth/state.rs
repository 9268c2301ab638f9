//! What the authorization server keeps in memory.

use std::sync::Arc;

use common::Clock;

use super::client::Clients;
use super::dpop::{Nonces, Replays};
use super::token::TokenSecrets;
use crate::identity::Identity;
use crate::secrets::Secrets;

/// The state of the authorization server that is not in the database; none of it has to outlive a restart.
#[derive(Debug)]
pub(crate) struct Oauth {
    pub(crate) nonces: Nonces,
    pub(crate) replays: Replays,
    pub(crate) clients: Clients,
    pub(crate) tokens: TokenSecrets,
}

impl Oauth {
    /// With `plain_hosts`, in development, apps may publish their metadata on this machine.
    pub(crate) fn new(identity: &Identity, secrets: &Secrets, clock: &Arc<dyn Clock>, plain_hosts: bool) -> Self {
        Self {
            nonces: Nonces::new(crate::random::bytes()),
            replays: Replays::default(),
            clients: Clients::new(&identity.clients().guarded, clock, plain_hosts),
            tokens: TokenSecrets::new(secrets),
        }
    }
}
