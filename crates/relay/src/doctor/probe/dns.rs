//! What DNS servers say about the names of the server.

use std::net::{IpAddr, SocketAddr};

use data_encoding::HEXLOWER;
use futures_util::future::join_all;

use super::PATIENCE;
use crate::config::Config;
use crate::doctor::facts::{DnsFacts, Setup};
use crate::identity::dns::Dns;

/// Resolvers that anybody may ask, of two operators: what they say is what most of the world hears.
const PUBLIC_RESOLVERS: [[u8; 4]; 2] = [[1, 1, 1, 1], [9, 9, 9, 9]];

pub(super) async fn look(setup: &Setup, config: &Config) -> DnsFacts {
    let public = || PUBLIC_RESOLVERS.map(|ip| SocketAddr::new(IpAddr::from(ip), 53)).to_vec();
    let servers = config.network.dns_servers.clone().unwrap_or_else(public);
    let host = join_all(servers.iter().map(async |server| (server.to_string(), ask(*server, &setup.host).await)));
    let first = servers.first().copied();
    let wildcards = join_all(setup.handle_domains.iter().map(async |domain| {
        // A name that nobody has written a row for.
        let name = format!("doctor-{}{domain}", HEXLOWER.encode(&crate::random::bytes::<5>()));
        let answer = match first {
            Some(server) => ask(server, &name).await,
            None => Err("there is no DNS server to ask".to_owned()),
        };
        (name, answer)
    }));
    let (host, wildcards) = tokio::join!(host, wildcards);
    DnsFacts { host, wildcards }
}

async fn ask(server: SocketAddr, name: &str) -> Result<Vec<IpAddr>, String> {
    let dns = Dns::new(&[server], PATIENCE).map_err(|err| err.to_string())?;
    dns.addresses(name).await.map_err(|err| err.to_string())
}
