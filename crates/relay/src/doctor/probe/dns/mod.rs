//! What DNS servers say about the names of the server.

mod authority;
mod caa;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::join_all;

use super::PATIENCE;
use crate::config::Config;
use crate::doctor::facts::{AcmeFacts, DnsFacts, Setup};
use crate::identity::Identity;
use crate::identity::dns::Dns;

/// Resolvers that anybody may ask, of two operators: what they say is what most of the world hears.
const PUBLIC_RESOLVERS: [[u8; 4]; 2] = [[1, 1, 1, 1], [9, 9, 9, 9]];
/// Where the servers of domains listen.
const PORT: u16 = 53;

pub(crate) async fn look(setup: &Setup, config: &Config) -> DnsFacts {
    let servers = resolvers(config);
    let host = join_all(servers.iter().map(async |server| {
        let answer = ask(*server, &setup.host).await;
        (server.to_string(), answer)
    }));
    let first = servers.first().copied();
    let wildcards = join_all(setup.handle_domains.iter().map(async |domain| {
        let name = unwritten(domain);
        let answer = match first {
            Some(server) => ask(server, &name).await.map(|(addresses, _)| addresses),
            None => Err("there is no DNS server to ask".to_owned()),
        };
        (name, answer)
    }));
    let authorities = async { authority::ask(&resolver(config)?, &setup.host, PORT).await };
    let (host, wildcards, authorities) = tokio::join!(host, wildcards, authorities);
    let remembered = host.iter().filter_map(|(server, answer)| Some((server.clone(), answer.as_ref().ok()?.1)));
    let remembered_for = remembered.collect();
    let host = host.into_iter().map(|(server, answer)| (server, answer.map(|(addresses, _)| addresses))).collect();
    DnsFacts { authorities, host, remembered_for, wildcards }
}

/// Looks whether the certificate authority answers and may issue for the names of the server.
pub(super) async fn look_at_acme(setup: &Setup, config: &Config, identity: &Identity) -> Option<AcmeFacts> {
    caa::look(setup, config, identity, resolver(config)).await
}

fn resolvers(config: &Config) -> Vec<SocketAddr> {
    let public = || PUBLIC_RESOLVERS.map(|ip| SocketAddr::new(IpAddr::from(ip), PORT)).to_vec();
    config.network.dns_servers.clone().unwrap_or_else(public)
}

/// Returns what asks all resolvers, until one answers.
pub(super) fn resolver(config: &Config) -> Result<Dns, String> {
    Dns::new(&resolvers(config), PATIENCE).map_err(|err| err.to_string())
}

/// Returns a name under `domain`, which begins with a dot, that nobody has written a row for.
fn unwritten(domain: &str) -> String {
    format!("doctor-{}{domain}", HEXLOWER.encode(&crate::random::bytes::<5>()))
}

async fn ask(server: SocketAddr, name: &str) -> Result<(Vec<IpAddr>, Duration), String> {
    let dns = Dns::observing(&[server], PATIENCE).map_err(|err| err.to_string())?;
    dns.addresses_and_ttl(name).await.map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::test_support::{DnsServer, Zone};

    #[tokio::test]
    async fn what_a_resolver_says_comes_with_how_long_it_will_say_it() {
        let server = DnsServer::start([("pds.example.com", Zone::addresses(&["203.0.114.7"]).lasting(7200))]).await;
        let (addresses, ttl) = ask(server.address, "pds.example.com").await.unwrap();
        assert_eq!((addresses, ttl.as_secs()), (vec!["203.0.114.7".parse().unwrap()], 7200));
        assert_eq!(ask(server.address, "other.example.com").await.unwrap_err(), "there is no such DNS record");
    }
}
