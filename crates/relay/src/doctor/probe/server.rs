//! The server's process and its address.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use crate::config::Config;
use crate::doctor::facts::ServerFacts;

pub(super) async fn look(config: &Config, running: bool) -> ServerFacts {
    if running {
        return ServerFacts::Answers;
    }
    let addresses = config.addresses();
    let first = *addresses.first().expect("a server without an address to listen on is refused");
    let look = move || {
        let mut all = addresses.into_iter().map(free);
        all.find(|facts| !matches!(facts, ServerFacts::Stopped { .. }))
            .unwrap_or_else(|| ServerFacts::Stopped { address: first.to_string() })
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|err| refused(first, &err.to_string()))
}

/// Looks whether a server could have the address.
pub(crate) fn free(bind: SocketAddr) -> ServerFacts {
    let address = bind.to_string();
    match TcpListener::bind(bind) {
        Ok(_) => ServerFacts::Stopped { address },
        Err(err) if err.kind() == ErrorKind::AddrInUse => {
            ServerFacts::Occupied { address, by: super::owner::of_port(bind.port()) }
        }
        Err(err) => refused(bind, &err.to_string()),
    }
}

fn refused(bind: SocketAddr, reason: &str) -> ServerFacts {
    ServerFacts::Refused { address: bind.to_string(), reason: reason.to_owned() }
}
