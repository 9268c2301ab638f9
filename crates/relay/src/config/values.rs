//! The kinds of value that settings have, each with its one parser.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use common::Did;
use crypto::VerifyingKey;
use url::{Host, Url};

use super::error::Wrong;

pub(super) fn parse_text(text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::new("has control characters", "Write it on one line, as plain text."));
    }
    Ok(text.to_owned())
}

pub(super) fn parse_bool(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Wrong::new("is neither true nor false", "Write true or false.")),
    }
}

pub(super) fn parse_number(text: &str, range: &RangeInclusive<u64>) -> Result<u64, Wrong> {
    let number =
        text.replace('_', "").parse().map_err(|_| Wrong::new("is not a whole number", "Write digits only, without a unit."))?;
    if range.contains(&number) {
        return Ok(number);
    }
    Err(Wrong::new("is out of range", format!("Write a number from {} to {}.", range.start(), range.end())))
}

/// Returns a duration of so many hours.
pub(super) const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 60 * 60)
}

/// Returns a duration of so many days.
pub(super) const fn days(count: u64) -> Duration {
    hours(count * 24)
}

/// Reads `72h`, `1h30m` or `500ms`; units are ms, s, m, h, d and w.
pub(super) fn parse_duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = || {
        Wrong::new(
            "is not a duration",
            "Write a number with a unit (ms, s, m, h, d or w), such as \"72h\", \"30m\" or \"1h30m\".",
        )
    };
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (digits, after) = split_digits(rest);
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let part = number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after.trim_start();
    }
    Ok(total)
}

pub(super) fn parse_duration_within(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let duration = parse_duration(text)?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (from, to) = (format_duration(*range.start()), format_duration(*range.end()));
    Err(Wrong::new("is out of range", format!("Write a duration from {from} to {to}.")))
}

/// Writes a duration as [`parse_duration`] reads it.
pub(super) fn format_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    for (unit, unit_ms) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms >= unit_ms && ms % unit_ms == 0 {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{ms}ms")
}

/// Reads bytes: `100MB` (decimal), `1GiB` (binary) or `5242880`.
pub(super) fn parse_size(text: &str) -> Result<u64, Wrong> {
    let wrong =
        || Wrong::new("is not a size", "Write a number with a unit (B, kB, MB, GB, KiB, MiB or GiB), such as \"100MB\".");
    let (digits, unit) = split_digits(text.trim());
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1_000,
        "mb" | "m" => 1_000_000,
        "gb" | "g" => 1_000_000_000,
        "tb" | "t" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.replace('_', "").parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len()))
}

pub(super) fn parse_did(text: &str) -> Result<Did, Wrong> {
    text.parse().map_err(|_| Wrong::new("is not a DID", "Write a DID, such as \"did:web:api.bsky.app\"."))
}

pub(super) fn parse_socket_addr(text: &str) -> Result<SocketAddr, Wrong> {
    // "localhost:2583" is what people write first; it means the same everywhere.
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| {
        Wrong::new("is not an IP address with a port", "Write it as \"127.0.0.1:2583\", \"0.0.0.0:2583\" or \"[::]:2583\".")
    })
}

/// Reads the address of a DNS server; port 53 unless it has one.
pub(super) fn parse_dns_server(text: &str) -> Result<SocketAddr, Wrong> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, 53));
    }
    text.parse()
        .map_err(|_| Wrong::new("is not the IP address of a DNS server", "Write it as \"9.9.9.9\" or \"127.0.0.1:5353\"."))
}

/// The URL that people and other servers reach this one by: an origin, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    host: String,
    port: Option<u16>,
    https: bool,
    local: bool,
}

impl PublicUrl {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        const REMEDY: &str = "Write the address that people reach this server by, such as \"https://pds.example.com\".";
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Err(Wrong::new("is not a URL that begins with https://", REMEDY));
        }
        let url = Url::parse(text).map_err(|_| Wrong::new("is not a URL", REMEDY))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong::new("has a user name or password", REMEDY));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(Wrong::new(
                "has a path",
                "Write the scheme, host and port only; the server answers at the root of its host.",
            ));
        }
        let host = url.host().ok_or_else(|| Wrong::new("has no host", REMEDY))?;
        let (local, ip) = match host {
            Host::Domain(name) => (name == "localhost", false),
            Host::Ipv4(ip) => (ip == Ipv4Addr::LOCALHOST, true),
            Host::Ipv6(ip) => (ip == Ipv6Addr::LOCALHOST, true),
        };
        let https = url.scheme() == "https";
        if !https && !local {
            return Err(Wrong::new(
                "is plain http for a host other than localhost",
                "Write https://; the network refuses servers without it. Behind a proxy that speaks TLS, write the address \
                 of the proxy.",
            ));
        }
        if ip && !local {
            return Err(Wrong::new(
                "is an IP address",
                "Write a domain name; handles, certificates and the server's DID need one.",
            ));
        }
        let host = url.host_str().expect("a URL whose host parsed has one").to_owned();
        let is_name = |host: &str| {
            let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
            plain && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
        };
        if !local && !is_name(&host) {
            return Err(Wrong::new("has a host that is not a domain name", REMEDY));
        }
        Ok(Self { origin: url.origin().ascii_serialization(), host, port: url.port(), https, local })
    }

    /// Reads `https://` with this host; `None` when that is no address of a server.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        Self::parse(&format!("https://{host}")).ok()
    }

    /// Returns the URL without a slash at its end: `https://pds.example.com`.
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// Returns the host without its port; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, if it is not the scheme's own.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Tells whether browsers reach the server by TLS, so that cookies may be `Secure`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Tells whether the host is `localhost`, `127.0.0.1` or `::1`.
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// Returns the DID that the server has unless it is given another: `did:web` of its host.
    // https://w3c-ccg.github.io/did-method-web/#web-did-method-specific-identifier
    pub fn service_did(&self) -> Did {
        // An IPv6 address cannot stand in a DID; it is local, so it goes by that name.
        let host = if self.host.starts_with('[') { "localhost" } else { &self.host };
        let port = self.port.map_or_else(String::new, |port| format!("%3A{port}"));
        format!("did:web:{host}{port}").parse().expect("a host name with a port makes a did:web")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// The URL of a service that this server calls: an origin, perhaps with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

impl ServiceUrl {
    /// Reads an `https` URL, or an `http` one where `allow_plain` or the host is this machine.
    pub(super) fn parse(text: &str, allow_plain: bool) -> Result<Self, Wrong> {
        const REMEDY: &str = "Write the address of the service, such as \"https://api.example.com\".";
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Err(Wrong::new("is not a URL that begins with https://", REMEDY));
        }
        let url = Url::parse(text).map_err(|_| Wrong::new("is not a URL", REMEDY))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(Wrong::new("has more than a host and a path", REMEDY));
        }
        let this_machine = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => return Err(Wrong::new("has no host", REMEDY)),
        };
        if url.scheme() == "http" && !allow_plain && !this_machine {
            return Err(Wrong::new(
                "is plain http",
                "Write https://. Plain http works for this machine, and for others when network.protect_private_addresses \
                 is false.",
            ));
        }
        Ok(Self(url))
    }

    /// Returns the URL without a slash at its end, so that `/xrpc/...` can follow.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Returns the URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Returns the host without its port, which is what `requestCrawl` and logs name a crawler by.
    pub fn host(&self) -> &str {
        self.0.host_str().expect("parsing refused a URL without a host")
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads a link for people: http or https, with any path.
pub(super) fn parse_link(text: &str) -> Result<Url, Wrong> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| {
        Wrong::new("is not a link", "Write a URL that begins with https://, such as \"https://example.com/privacy\".")
    })
}

/// A domain that this server gives handles under, such as `.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HandleDomain(String);

/// Top-level domains that no handle may have, so that none can be given under them.
// https://atproto.com/specs/handle#additional-non-syntax-restrictions
const RESERVED_TLDS: [&str; 7] = ["alt", "arpa", "internal", "invalid", "local", "localhost", "onion"];

impl HandleDomain {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        const REMEDY: &str = "Write it with a dot in front, such as \".example.com\".";
        let Some(name) = text.strip_prefix('.') else {
            return Err(Wrong::new("does not begin with a dot", format!("Write \".{}\".", text.trim_start_matches('*'))));
        };
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A handle has 253 bytes at most, and needs at least one label in front.
        if name.len() > 250 || !name.split('.').all(label_ok) {
            return Err(Wrong::new("is not a domain", REMEDY));
        }
        let name = name.to_ascii_lowercase();
        let tld = name.rsplit('.').next().expect("a split has a part");
        if RESERVED_TLDS.contains(&tld) || tld.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Wrong::new("ends in a name that the network allows in no handle", REMEDY));
        }
        Ok(Self(format!(".{name}")))
    }

    /// Returns the domain, with the dot that it begins with.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the labels of `handle` in front of this domain, or `None` when it is not under it.
    pub fn strip<'h>(&self, handle: &'h str) -> Option<&'h str> {
        let at = handle.len().checked_sub(self.0.len())?;
        let (name, domain) = handle.split_at_checked(at)?;
        (domain.eq_ignore_ascii_case(&self.0) && !name.is_empty()).then_some(name)
    }
}

impl fmt::Display for HandleDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A range of IP addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpRange {
    address: IpAddr,
    prefix: u8,
}

impl IpRange {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = || Wrong::new("is not an IP address or range", "Write it as \"10.1.2.3\", \"10.0.0.0/8\" or \"fd00::/8\".");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| wrong())?;
        if prefix > bits { Err(wrong()) } else { Ok(Self { address, prefix }) }
    }

    /// Tells whether `address` is in the range; an IPv4 address in IPv6 form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// A public key as `did:key`, which the server only passes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidKey(String);

impl DidKey {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        match VerifyingKey::from_did_key(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(Wrong::new(
                "is not a did:key of a secp256k1 or P-256 public key",
                "Write the public key as \"did:key:zQ3s...\" or \"did:key:zDna...\".",
            )),
        }
    }

    /// Returns the key as `did:key:z...`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An e-mail address, perhaps with a display name: `Example PDS <pds@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress(String);

impl MailAddress {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let bare = match text.split_once('<') {
            Some((_, rest)) => rest.strip_suffix('>').unwrap_or(""),
            None => text,
        };
        let (local, domain) = bare.rsplit_once('@').unwrap_or(("", ""));
        let fine = !local.is_empty()
            && !domain.is_empty()
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !local.contains('@')
            && !bare.chars().any(|c| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';'))
            && !text.chars().any(char::is_control);
        if !fine {
            return Err(Wrong::new("is not an e-mail address", "Write it as \"pds@example.com\"."));
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads an address, with a display name or without; `None` when it is none.
    pub fn new(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }

    /// Returns the address without the display name.
    pub fn bare(&self) -> &str {
        self.0.split_once('<').map_or(&*self.0, |(_, rest)| rest.trim_end_matches('>'))
    }

    /// Returns the address as it is written in a header, display name included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("72h").unwrap(), hours(72));
        assert_eq!(parse_duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(parse_duration("500 ms").unwrap_err().why, "is not a duration");
        assert_eq!(parse_duration("500ms").unwrap(), Duration::from_millis(500));
        for text in ["", "72", "h", "-1h", "1.5h", "99999999999999999999h", "18446744073709551615w", "1y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["72h", "90m", "1500ms", "3s", "0ms"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("100MB").unwrap(), 100_000_000);
        assert_eq!(parse_size("1 GiB").unwrap(), 1 << 30);
        assert_eq!(parse_size("5_242_880").unwrap(), 5_242_880);
        for text in ["", "MB", "1.5GB", "1XB", "99999999999999999999", "99999999TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn public_urls() {
        let url = PublicUrl::parse("https://PDS.example.com/").unwrap();
        assert_eq!((url.as_str(), url.host(), url.port()), ("https://pds.example.com", "pds.example.com", None));
        assert_eq!(url.service_did().to_string(), "did:web:pds.example.com");
        let url = PublicUrl::parse("http://localhost:2583").unwrap();
        assert!(url.is_local() && !url.is_https());
        assert_eq!(url.service_did().to_string(), "did:web:localhost%3A2583");
        assert_eq!(
            PublicUrl::parse("https://pds.example.com:8443").unwrap().service_did().to_string(),
            "did:web:pds.example.com%3A8443"
        );
        assert_eq!(PublicUrl::parse("http://[::1]:2583").unwrap().service_did().to_string(), "did:web:localhost%3A2583");
        for text in [
            "htp://example.com",
            "example.com",
            "http://example.com",
            "https://example.com/pds",
            "https://me:you@example.com",
            "https://192.0.2.1",
            "https://",
            "http://127.0.0.2",
            "https://pds",
            "https://pds.example.com.",
            "https://p!ds.example.com",
        ] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "(https?://)?\\PC{0,40}", unit in "[0-9_]{0,30}(ms|s|h|kB|GiB|TiB)?") {
            if let Ok(url) = PublicUrl::parse(&text) {
                url.service_did();
            }
            let _ = (ServiceUrl::parse(&text, true), HandleDomain::parse(&text), IpRange::parse(&text));
            let _ = (MailAddress::parse(&text), parse_link(&text), parse_socket_addr(&text), parse_dns_server(&text));
            let _ = (parse_duration(&text), parse_size(&text), parse_duration(&unit), parse_size(&unit), DidKey::parse(&text));
        }
    }

    #[test]
    fn service_urls() {
        assert_eq!(ServiceUrl::parse("https://api.bsky.app/", false).unwrap().as_str(), "https://api.bsky.app");
        assert!(ServiceUrl::parse("http://127.0.0.1:2582", false).is_ok());
        assert!(ServiceUrl::parse("http://plc:2582", false).is_err());
        assert!(ServiceUrl::parse("http://plc:2582", true).is_ok());
        assert!(ServiceUrl::parse("https://a.example/?q", true).is_err());
    }

    #[test]
    fn handle_domains() {
        let domain = HandleDomain::parse(".Example.com").unwrap();
        assert_eq!(domain.as_str(), ".example.com");
        assert_eq!(domain.strip("alice.example.com"), Some("alice"));
        assert_eq!(domain.strip("alice.EXAMPLE.com"), Some("alice"));
        assert_eq!(domain.strip(".example.com"), None);
        assert_eq!(domain.strip("éxample.com"), None);
        assert!(HandleDomain::parse(".test").is_ok());
        for text in ["example.com", ".", "..com", ".exa mple.com", ".-a.com", ".home.local", ".10.0.0.1"] {
            assert!(HandleDomain::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ip_ranges() {
        let range = IpRange::parse("10.0.0.0/8").unwrap();
        assert!(range.contains("10.255.0.1".parse().unwrap()) && range.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!range.contains("11.0.0.1".parse().unwrap()) && !range.contains("::1".parse().unwrap()));
        assert!(IpRange::parse("0.0.0.0/0").unwrap().contains("192.0.2.1".parse().unwrap()));
        assert!(!IpRange::parse("192.0.2.1").unwrap().contains("192.0.2.2".parse().unwrap()));
        assert!(IpRange::parse("fd00::/8").unwrap().contains("fd12::1".parse().unwrap()));
        for text in ["10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "proxy"] {
            assert!(IpRange::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mail_addresses_and_keys() {
        assert!(MailAddress::parse("pds@example.com").is_ok());
        assert!(MailAddress::parse("Example <pds@example.com>").is_ok());
        for text in ["pds", "@example.com", "a@b\r\nBcc: c@d", "a b@c.d", "x <a@b.c", "a@b@c"] {
            assert!(MailAddress::parse(text).is_err(), "{text:?}");
        }
        assert!(DidKey::parse("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme").is_ok());
        assert!(DidKey::parse("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK").is_err());
    }

    #[test]
    fn addresses() {
        assert_eq!(parse_socket_addr("localhost:80").unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(parse_dns_server("9.9.9.9").unwrap(), "9.9.9.9:53".parse().unwrap());
        assert_eq!(parse_dns_server("[::1]:5353").unwrap(), "[::1]:5353".parse().unwrap());
        assert!(parse_socket_addr("2583").is_err());
    }
}
