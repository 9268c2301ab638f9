//! Which addresses of the Internet a stranger may send the PDS to.
//!
//! An address passes when it is global unicast: not in a range of the special-purpose registries of IANA that is private, local,
//! reserved, for documentation, or a wrapping of an IPv4 address (which would carry a private one past the check).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns whether `address` is global unicast, so that a connection to it leaves the operator's own networks.
pub fn is_global_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

/// Whether the customers of a provider share the address (RFC 6598).
pub(crate) fn is_carrier_grade(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    a == 100 && (64..128).contains(&b)
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry/>
fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0                                   // "this network"
        || a == 10                                         // private
        || is_carrier_grade(address)
        || a == 127                                        // loopback
        || (a == 169 && b == 254)                          // link-local, and the metadata services of clouds
        || (a == 172 && (16..32).contains(&b))             // private
        || (a == 192 && b == 0 && (c == 0 || c == 2))      // protocol assignments, documentation
        || (a == 192 && b == 31 && c == 196)               // AS112
        || (a == 192 && b == 52 && c == 193)               // AMT
        || (a == 192 && b == 88 && c == 99)                // 6to4 relays
        || (a == 192 && b == 168)                          // private
        || (a == 192 && b == 175 && c == 48)               // AS112
        || (a == 198 && (b == 18 || b == 19))              // benchmarking
        || (a == 198 && b == 51 && c == 100)               // documentation
        || (a == 203 && b == 0 && c == 113)                // documentation
        || a >= 224; // multicast, reserved, broadcast
    !special
}

/// <https://www.iana.org/assignments/iana-ipv6-special-registry/>
///
/// Only 2000::/3 is given out as global unicast, so everything outside (loopback, `::ffff:0:0/96`, NAT64 `64:ff9b::/96`, unique
/// local, link-local, multicast) is refused at once; what remains are the special ranges within it.
fn is_global_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let given_out = s[0] & 0xe000 == 0x2000;
    let special = match s[0] {
        // Protocol assignments (Teredo, benchmarking, ORCHID), documentation.
        0x2001 => s[1] < 0x0200 || s[1] == 0x0db8,
        // 6to4, which wraps an IPv4 address.
        0x2002 => true,
        // AS112.
        0x2620 => s[1] == 0x004f && s[2] == 0x8000,
        // Documentation.
        0x3fff => s[1] < 0x1000,
        _ => false,
    };
    given_out && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_special_addresses_are_refused() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.1.1",
            "192.175.48.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2620:4f:8000::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456:789a::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ];
        for text in refused {
            assert!(!is_global_unicast(text.parse().unwrap()), "{text} passed");
        }
    }

    #[test]
    fn public_addresses_pass() {
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "3fff:1000::1",
        ];
        for text in public {
            assert!(is_global_unicast(text.parse().unwrap()), "{text} was refused");
        }
    }
}
