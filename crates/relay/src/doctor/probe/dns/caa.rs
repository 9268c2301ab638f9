//! The certificate authority, and whether DNS lets it issue for the names of the server.

use futures_util::future::join_all;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::unwritten;
use crate::config::{Config, TlsMode};
use crate::doctor::facts::{AcmeFacts, CaaRecord, Setup};
use crate::identity::Identity;
use crate::identity::dns::{Dns, DnsFailure};

/// A directory is far smaller.
const MAX_BYTES: usize = 64 << 10;

pub(super) async fn look(
    setup: &Setup,
    config: &Config,
    identity: &Identity,
    resolver: Result<Dns, String>,
) -> Option<AcmeFacts> {
    if config.tls.mode != TlsMode::Auto {
        return None;
    }
    let wildcard = config.tls.dns.is_some();
    let handles = setup.handle_domains.iter().map(|domain| if wildcard { format!("*{domain}") } else { unwritten(domain) });
    let names: Vec<String> = std::iter::once(setup.host.clone()).chain(handles).collect();
    let ask = async {
        match resolver {
            Ok(dns) => {
                join_all(names.into_iter().map(async |name| {
                    let found = records(&dns, &name).await;
                    (name, found)
                }))
                .await
            }
            Err(reason) => vec![(setup.host.clone(), Err(reason))],
        }
    };
    let (names, authority) = tokio::join!(ask, authority(config, identity));
    let methods = if wildcard { vec!["dns-01"] } else { vec!["http-01", "tls-alpn-01"] };
    Some(AcmeFacts { url: config.tls.acme.directory.to_string(), authority, methods, names })
}

/// Returns the names by which CAA records know the authority.
// https://www.rfc-editor.org/rfc/rfc8555.html#section-7.1.1
async fn authority(config: &Config, identity: &Identity) -> Result<Vec<String>, String> {
    let url = &config.tls.acme.directory;
    let reply = identity.clients().trusted.get_json(url, MAX_BYTES).await.map_err(|err| err.to_string())?;
    if !reply.status.is_success() {
        return Err(format!("it answers with status {}", reply.status.as_u16()));
    }
    let directory: serde_json::Value =
        serde_json::from_slice(&reply.body).map_err(|_| "what answers there is no certificate authority".to_owned())?;
    let names = directory["meta"]["caaIdentities"].as_array();
    Ok(names.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_lowercase())).collect())
}

/// Returns the records that hold for `name`: those at the nearest name at or above it that has any.
// https://www.rfc-editor.org/rfc/rfc8659.html#section-3
async fn records(dns: &Dns, name: &str) -> Result<Vec<CaaRecord>, String> {
    let mut owner = name.strip_prefix("*.").unwrap_or(name);
    loop {
        match dns.records(owner, RecordType::CAA).await {
            Ok(found) => {
                let found = found.into_iter().filter_map(|data| match data {
                    RData::CAA(record) => Some(CaaRecord {
                        owner: owner.to_owned(),
                        critical: record.issuer_critical,
                        tag: record.tag.to_lowercase(),
                        value: String::from_utf8_lossy(&record.value).into_owned(),
                    }),
                    _ => None,
                });
                let found: Vec<CaaRecord> = found.collect();
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            Err(DnsFailure::Absent) => {}
            Err(err) => return Err(err.to_string()),
        }
        match owner.split_once('.') {
            Some((_, above)) if above.contains('.') => owner = above,
            // What the top-level domains say is not for their customers.
            _ => return Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::test_support::{DnsServer, Zone};

    #[tokio::test]
    async fn the_records_of_the_nearest_name_hold() {
        let server = DnsServer::start([
            ("example.com", Zone::issuers(&["other.example"])),
            ("pds.example.com", Zone::issuers(&["letsencrypt.org", "zerossl.com"])),
            ("example.org", Zone::addresses(&["203.0.114.7"])),
        ])
        .await;
        let dns = server.dns();
        let values = async |name: &str| {
            let found = records(&dns, name).await.unwrap();
            found.into_iter().map(|record| format!("{} {} {}", record.owner, record.tag, record.value)).collect::<Vec<_>>()
        };
        assert_eq!(
            values("*.pds.example.com").await,
            ["pds.example.com issue letsencrypt.org", "pds.example.com issue zerossl.com"]
        );
        assert_eq!(values("other.example.com").await, ["example.com issue other.example"]);
        assert!(values("pds.example.org").await.is_empty());
    }
}
