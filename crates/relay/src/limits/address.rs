//! From which address a request comes, behind proxies that are trusted.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Most proxies behind each other that are looked through.
const MAX_HOPS: usize = 16;

/// Returns the address of the client: the socket's, or, where that is a trusted proxy's, what the proxies say.
///
/// Each proxy adds the address that it saw at the end of `X-Forwarded-For`. Going from there to the front, the first address
/// that is not a trusted proxy's is the client's: what stands before it was written by the client.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut address = peer.to_canonical();
    if !trusts(address) {
        return address;
    }
    let values = headers.get_all(FORWARDED_FOR);
    let mut values: Vec<&str> = values.iter().filter_map(|value| value.to_str().ok()).collect();
    values.reverse();
    for hop in values.iter().flat_map(|value| value.rsplit(',')).take(MAX_HOPS) {
        // A proxy that does not say what it saw is the last that is known.
        let Some(seen) = parse(hop.trim()) else { return address };
        address = seen;
        if !trusts(address) {
            return address;
        }
    }
    address
}

/// Parses an address, which some proxies write with a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded_for: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded_for {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let trusts = |address: IpAddr| address.is_loopback() || address.to_string().starts_with("10.");
        client_address(peer.parse().unwrap(), &headers, trusts).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let who = "198.51.100.7";
        assert_eq!(client(who, &["203.0.113.9"]), who, "a stranger says what it likes");
        assert_eq!(client("127.0.0.1", &[who]), who);
        assert_eq!(client("127.0.0.1", &["203.0.113.9, 198.51.100.7"]), who, "the front is the client's own word");
        assert_eq!(client("127.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.1"]), who);
        assert_eq!(client("127.0.0.1", &["203.0.113.9", "198.51.100.7,10.0.0.1"]), who, "headers are one list");
        assert_eq!(client("::ffff:127.0.0.1", &[who]), who);
    }

    #[test]
    fn what_does_not_parse_ends_the_list() {
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["198.51.100.7, unknown, 10.0.0.1"]), "10.0.0.1");
        assert_eq!(client("127.0.0.1", &["10.0.0.2, 10.0.0.1"]), "10.0.0.2", "all are proxies: the outermost");
        assert_eq!(client("127.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client("127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client("127.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client("127.0.0.1", &[&["10.0.0.1"; 40].join(",")]), "10.0.0.1");
    }
}
