//! What the rest of the server asks about identities.

use std::sync::Arc;

use common::{AtIdentifier, Clock, Did, Handle};

use super::ResolveError;
use super::did::DidResolver;
use super::dns::{Dns, DnsFailure};
use super::document::DidDocument;
use super::handle::{HandleFault, HandleResolver};
use super::http::{ClientError, HttpClients, HttpOptions};
use super::lookups::CacheOptions;
use super::plc::PlcClient;
use crate::config::Config;

/// Resolves identities; cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity {
    dids: DidResolver,
    handles: HandleResolver,
    dns: Dns,
    plc: PlcClient,
    clients: HttpClients,
}

/// A DID with its document, and the handle that leads back to it.
#[derive(Debug, Clone)]
pub struct IdentityInfo {
    pub did: Did,
    /// `handle.invalid` when the document's handle does not lead to the DID.
    pub handle: Handle,
    pub document: Arc<DidDocument>,
}

/// Why outgoing connections could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the DNS resolver cannot be set up")]
    Dns(#[source] DnsFailure),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Sets resolution up as configured. Nothing is asked yet.
pub fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Identity, OpenError> {
    let timeout = config.identity.resolver_timeout;
    let nameservers = config.network.dns_servers.as_deref().unwrap_or_default();
    let dns = Dns::new(nameservers, timeout).map_err(OpenError::Dns)?;
    let protect = config.network.protect_private_addresses;
    let extra_roots = config.network.roots().to_vec();
    let clients = HttpClients::new(&HttpOptions { protect, extra_roots, ..HttpOptions::default() }, dns.clone())?;
    let plc = PlcClient::new(clients.trusted.clone(), config.identity.plc_url.url());
    let options = CacheOptions {
        fresh_for: config.identity.did_cache_stale,
        max_age: config.identity.did_cache_max,
        ..CacheOptions::default()
    };
    Ok(Identity {
        dids: DidResolver::new(plc.clone(), clients.guarded.clone(), !protect, timeout, options, Arc::clone(&clock)),
        handles: HandleResolver::new(dns.clone(), clients.guarded.clone(), !protect, timeout, clock),
        dns,
        plc,
        clients,
    })
}

impl Identity {
    /// Returns the document of a DID, from memory when it is fresh enough.
    pub async fn resolve_did(&self, did: &Did) -> Result<Arc<DidDocument>, ResolveError> {
        self.dids.resolve(did).await
    }

    /// Returns the document of a DID as it is now.
    pub async fn refresh_did(&self, did: &Did) -> Result<Arc<DidDocument>, ResolveError> {
        self.dids.refresh(did).await
    }

    /// Forgets what is known of a DID that this server has just changed.
    pub fn forget_did(&self, did: &Did) {
        self.dids.forget(did);
    }

    /// Resolves a handle by DNS and at its host, as it is now. Handles of accounts here are for the caller to look up first.
    pub async fn resolve_handle(&self, handle: &Handle) -> Result<Did, ResolveError> {
        self.handles.refresh(handle).await
    }

    /// Asks the DNS and the host of a handle, as they are now, and returns what each says, or why it says nothing.
    pub async fn look_for_handle(&self, handle: &Handle) -> (Result<Did, HandleFault>, Result<Did, HandleFault>) {
        self.handles.look(handle).await
    }

    /// Resolves a handle, from memory when it was asked for lately.
    pub async fn resolve_handle_cached(&self, handle: &Handle) -> Result<Did, ResolveError> {
        self.handles.resolve(handle).await
    }

    /// Resolves a DID or a handle and checks that each leads to the other. `local` answers for handles of accounts here.
    ///
    /// # Errors
    ///
    /// That of the part that was asked for; a handle that does not lead back is no error, but [`Handle::INVALID`].
    pub async fn resolve_identity<L, F>(
        &self,
        identifier: &AtIdentifier,
        fresh: bool,
        local: L,
    ) -> Result<IdentityInfo, ResolveError>
    where
        L: Fn(Handle) -> F,
        F: Future<Output = Option<Did>>,
    {
        let by_handle = async |handle: &Handle| match local(handle.clone()).await {
            Some(did) => Ok(did),
            None if fresh => self.handles.refresh(handle).await,
            None => self.handles.resolve(handle).await,
        };
        let did = match identifier {
            AtIdentifier::Did(did) => did.clone(),
            AtIdentifier::Handle(handle) => by_handle(handle).await?,
        };
        let document = if fresh { self.refresh_did(&did).await? } else { self.resolve_did(&did).await? };
        let handle = match document.handle() {
            Some(handle) if by_handle(handle).await.is_ok_and(|found| found == did) => handle.clone(),
            Some(_) | None => Handle::invalid(),
        };
        Ok(IdentityInfo { did, handle, document })
    }

    /// DNS.
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// The PLC directory.
    pub fn plc(&self) -> &PlcClient {
        &self.plc
    }

    /// The HTTP clients.
    pub fn clients(&self) -> &HttpClients {
        &self.clients
    }
}

/// Makes an identity service over loopback servers.
#[cfg(test)]
pub(super) fn for_tests(server: &super::test_support::DnsServer, plc_url: &url::Url, clock: Arc<dyn Clock>) -> Identity {
    let clients = super::test_support::clients(server, false);
    let plc = PlcClient::new(clients.trusted.clone(), plc_url);
    let (options, timeout) = (CacheOptions::default(), std::time::Duration::from_secs(3));
    Identity {
        dids: DidResolver::new(plc.clone(), clients.guarded.clone(), true, timeout, options, Arc::clone(&clock)),
        handles: HandleResolver::new(server.dns(), clients.guarded.clone(), true, timeout, clock),
        dns: server.dns(),
        plc,
        clients,
    }
}
