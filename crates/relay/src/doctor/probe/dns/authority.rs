//! The servers that a domain has itself, and what they say.

use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::PATIENCE;
use crate::doctor::facts::Authorities;
use crate::identity::dns::{Dns, DnsFailure};

/// Most servers of a domain that are asked.
const MAX_SERVERS: usize = 6;

/// Finds the servers of the domain that `name` is in, through `resolver`, and asks each for the addresses of `name`.
pub(super) async fn ask(resolver: &Dns, name: &str, port: u16) -> Result<Authorities, String> {
    let (zone, servers) = servers(resolver, name).await?;
    let said = join_all(servers.into_iter().map(async |server| {
        let answer = ask_one(resolver, &server, name, port).await;
        (server, answer)
    }));
    Ok(Authorities { zone, said: said.await })
}

/// Returns the nearest domain at or above `name` that has servers, and their names.
async fn servers(resolver: &Dns, name: &str) -> Result<(String, Vec<String>), String> {
    let mut zone = name;
    // A domain of one label is nobody's who runs a server.
    while zone.contains('.') {
        match resolver.records(zone, RecordType::NS).await {
            Ok(records) => {
                let names = records.into_iter().filter_map(|data| match data {
                    RData::NS(server) => Some(server.0.to_utf8().trim_end_matches('.').to_lowercase()),
                    _ => None,
                });
                let mut names: Vec<String> = names.collect();
                names.sort();
                names.truncate(MAX_SERVERS);
                if !names.is_empty() {
                    return Ok((zone.to_owned(), names));
                }
            }
            Err(DnsFailure::Absent) => {}
            Err(err) => return Err(err.to_string()),
        }
        zone = zone.split_once('.').map_or("", |(_, above)| above);
    }
    Err("the domain has no DNS servers that others know".to_owned())
}

/// Returns the addresses that `server` has for `name`, none when it has no such row.
async fn ask_one(resolver: &Dns, server: &str, name: &str, port: u16) -> Result<Vec<IpAddr>, String> {
    let mut addresses = resolver.addresses(server).await.map_err(|err| format!("its own address is not known: {err}"))?;
    // Every server has one of these, and not every machine gets to the others.
    addresses.sort_by_key(IpAddr::is_ipv6);
    let address = addresses.first().ok_or("it has no address")?;
    let direct = Dns::direct(&[SocketAddr::new(*address, port)], PATIENCE).map_err(|err| err.to_string())?;
    match direct.addresses(name).await {
        Ok(found) => Ok(found),
        // A name that stands for another one may lead out of what this server knows.
        Err(failure) => match (direct.records(name, RecordType::CNAME).await, failure) {
            (Ok(_), _) => resolver.addresses(name).await.map_err(|err| err.to_string()),
            (Err(_), DnsFailure::Absent) => Ok(Vec::new()),
            (Err(_), failure) => Err(failure.to_string()),
        },
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::identity::test_support::{DnsServer, Zone};

    /// Others remember what was; only the domain's own servers know what is.
    #[tokio::test]
    async fn the_servers_of_the_domain_are_found_and_asked() {
        let old = || Zone::addresses(&["203.0.114.7"]);
        let resolver = DnsServer::start([
            ("example.com", Zone::servers(&["ns1.provider.example", "ns2.provider.example", "ns3.provider.example"])),
            ("ns1.provider.example", Zone::addresses(&["127.0.0.2"])),
            ("ns2.provider.example", Zone::addresses(&["127.0.0.3"])),
            ("pds.example.com", old()),
            ("away.example.net", Zone::addresses(&["203.0.114.9"])),
        ])
        .await;
        let port = resolver.address.port();
        let new =
            [("pds.example.com", Zone::addresses(&["203.0.114.8"])), ("other.example.com", Zone::alias("away.example.net"))];
        let _first = DnsServer::start_at(([127, 0, 0, 2], port).into(), new).await;
        let _second = DnsServer::start_at(([127, 0, 0, 3], port).into(), [("x.example.com", Zone::default())]).await;

        let found = ask(&resolver.dns(), "pds.example.com", port).await.unwrap();
        assert_eq!(found.zone, "example.com");
        assert_eq!(found.said[0], ("ns1.provider.example".into(), Ok(vec!["203.0.114.8".parse().unwrap()])));
        assert_eq!(found.said[1], ("ns2.provider.example".into(), Ok(Vec::new())), "it does not have the row yet");
        assert_eq!(found.said[2].1, Err("its own address is not known: there is no such DNS record".into()));

        // The resolver knows where the alias leads.
        let resolver = DnsServer::start_at(
            ([127, 0, 0, 4], port).into(),
            [
                ("example.com", Zone::servers(&["ns1.provider.example"])),
                ("ns1.provider.example", Zone::addresses(&["127.0.0.2"])),
                ("other.example.com", Zone::addresses(&["203.0.114.9"])),
            ],
        );
        let found = ask(&resolver.await.dns(), "other.example.com", port).await.unwrap();
        assert_eq!(found.said[0].1, Ok(vec!["203.0.114.9".parse().unwrap()]));
    }

    #[tokio::test]
    async fn a_domain_that_is_not_registered_has_no_servers() {
        let resolver = DnsServer::start([("com", Zone::servers(&["a.gtld.example"]))]).await;
        let err = ask(&resolver.dns(), "pds.example.com", 53).await.unwrap_err();
        assert_eq!(err, "the domain has no DNS servers that others know");
    }
}
