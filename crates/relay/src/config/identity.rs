//! `[identity]`: DIDs, handles and their resolution.

use std::time::Duration;

use common::Did;

use super::{
    reader::{Reader, Shown},
    values::{DidKey, HandleDomain, PublicUrl, ServiceUrl, days, parse_did},
};

/// The section `[identity]`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The DID of this server.
    pub service_did: Did,
    /// The domains that handles are given under, at least one.
    pub handle_domains: Vec<HandleDomain>,
    /// The PLC directory.
    pub plc_url: ServiceUrl,
    /// A rotation key that new accounts get above the server's.
    pub recovery_did_key: Option<DidKey>,
    /// After this time a cached DID document is refreshed in the background.
    pub did_cache_stale: Duration,
    /// After this time a cached DID document is not used.
    pub did_cache_max: Duration,
    /// How long a resolution may take.
    pub resolver_timeout: Duration,
}

impl Identity {
    pub(super) fn read(reader: &mut Reader, public_url: &PublicUrl, allow_plain: bool) -> Self {
        let service_did = reader.optional("identity.service_did", parse_did).unwrap_or_else(|| public_url.service_did());
        reader.derived("identity.service_did", Shown::One(service_did.to_string()));

        let handle_domains = reader.list("identity.handle_domains", HandleDomain::parse).unwrap_or_else(|| {
            let domain = if public_url.is_local() { ".test".to_owned() } else { format!(".{}", public_url.host()) };
            HandleDomain::parse(&domain).into_iter().collect()
        });
        reader.derived("identity.handle_domains", Shown::Many(handle_domains.iter().map(ToString::to_string).collect()));
        if handle_domains.is_empty() {
            reader.complain(
                "identity.handle_domains",
                "has no domain that the network allows in handles",
                "Write at least one, such as \".example.com\".",
            );
        }

        let any = Duration::ZERO..=days(365);
        let did_cache_stale = reader.duration("identity.did_cache_stale", any.clone());
        let did_cache_max = reader.duration("identity.did_cache_max", any);
        if did_cache_stale > did_cache_max {
            reader.complain(
                if reader.is_given("identity.did_cache_stale") { "identity.did_cache_stale" } else { "identity.did_cache_max" },
                "makes identity.did_cache_stale longer than identity.did_cache_max",
                "Make the time until a refresh shorter than the time until removal.",
            );
        }
        Self {
            service_did,
            handle_domains,
            plc_url: reader.value("identity.plc_url", |text| ServiceUrl::parse(text, allow_plain)),
            recovery_did_key: reader.optional("identity.recovery_did_key", DidKey::parse),
            did_cache_stale,
            did_cache_max,
            resolver_timeout: reader
                .duration("identity.resolver_timeout", Duration::from_millis(10)..=Duration::from_secs(300)),
        }
    }
}
