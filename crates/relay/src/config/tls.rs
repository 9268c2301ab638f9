//! `[tls]`: who speaks TLS to the world, and where certificates come from.

use std::{net::SocketAddr, path::PathBuf};

use url::Url;

use super::{
    error::Wrong,
    reader::{Reader, Shown},
    secret::{Secret, parse_any},
    server::Server,
    values::{MailAddress, parse_dns_server, parse_socket_addr, parse_text},
};

/// The section `[tls]`.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Who speaks TLS.
    pub mode: TlsMode,
    /// The addresses that speak TLS.
    pub https_bind: Vec<SocketAddr>,
    /// The addresses that send browsers on to https and answer HTTP-01 challenges.
    pub http_bind: Vec<SocketAddr>,
    /// The files of mode `files`.
    pub files: Option<CertificateFiles>,
    /// How certificates are had in mode `auto`.
    pub acme: Acme,
    /// Where DNS-01 challenges are answered, so that there is one certificate for all handles of a domain.
    pub dns: Option<DnsProvider>,
}

/// Who speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// This server, with certificates that it orders.
    Auto,
    /// This server, with certificates from files.
    Files,
    /// A proxy in front.
    Proxy,
    /// Nobody.
    Off,
}

impl TlsMode {
    /// Tells whether this server speaks TLS itself.
    pub fn serves(self) -> bool {
        matches!(self, Self::Auto | Self::Files)
    }
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, followed by those that lead to its root.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The certificate authority, and how much it is asked.
#[derive(Debug, Clone)]
pub struct Acme {
    /// The URL of its directory.
    pub directory: Url,
    /// Whom it may write to.
    pub contact: Option<MailAddress>,
    /// The most orders within an hour.
    pub orders_per_hour: u64,
    /// The most orders within a week.
    pub orders_per_week: u64,
}

/// Who serves the domain's DNS, and how it is told.
#[derive(Debug, Clone)]
pub enum DnsProvider {
    /// Dynamic updates, signed with TSIG when there is a key.
    Rfc2136 {
        /// The primary server of the zone.
        server: SocketAddr,
        /// The zone, without a dot at its end.
        zone: String,
        /// The name of the key, and its HMAC-SHA256 secret in base64.
        key: Option<(String, Secret)>,
    },
    /// Cloudflare's API.
    Cloudflare {
        /// Where the API is.
        api: Url,
        /// A token that may edit the zone's DNS.
        token: Secret,
    },
    /// The API of deSEC.
    Desec {
        /// Where the API is.
        api: Url,
        /// A token that may write the domain's RRsets.
        token: Secret,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProviderKind {
    None,
    Rfc2136,
    Cloudflare,
    Desec,
}

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

impl Tls {
    pub(super) fn read(reader: &mut Reader, server: &Server) -> Self {
        let modes = [("auto", TlsMode::Auto), ("files", TlsMode::Files), ("proxy", TlsMode::Proxy), ("off", TlsMode::Off)];
        let mode = reader.choice("tls.mode", &modes);
        let https_bind = reader.list("tls.https_bind", parse_socket_addr).unwrap_or_default();
        let http_bind = reader.list("tls.http_bind", parse_socket_addr).unwrap_or_default();
        let certificate = reader.optional_path("tls.certificate");
        let key = reader.optional_path("tls.certificate_key");
        let contact = reader.optional("tls.acme_contact", MailAddress::parse);
        if let Some(contact) = &server.links.contact_email {
            reader.derived("tls.acme_contact", Shown::One(contact.as_str().to_owned()));
        }
        let acme = Acme {
            directory: reader.value("tls.acme_directory", parse_directory),
            contact: contact.or_else(|| server.links.contact_email.clone()),
            orders_per_hour: reader.number("tls.orders_per_hour", 1..=100_000),
            orders_per_week: reader.number("tls.orders_per_week", 1..=1_000_000),
        };
        let dns = read_dns(reader);
        let files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
            (None, Some(_)) => {
                let remedy = "Write the path of the certificate, with those that lead to its root behind it.";
                reader.complain("tls.certificate", "is not set, though tls.certificate_key is", remedy);
                None
            }
            (Some(_), None) => {
                reader.complain("tls.certificate_key", "is not set, though tls.certificate is", "Write the path of the key.");
                None
            }
            (None, None) => None,
        };
        if mode == TlsMode::Files && files.is_none() {
            let remedy = "Set tls.certificate and tls.certificate_key, or let the server order certificates with \"auto\".";
            reader.complain("tls.mode", "needs the files of a certificate", remedy);
        }
        if mode.serves() && !server.public_url.is_https() {
            let remedy = "Write it as \"https://pds.example.com\", or set tls.mode to \"off\".";
            reader.complain("server.public_url", "is not https, though this server speaks TLS", remedy);
        }
        if mode == TlsMode::Auto && server.public_url.is_local() {
            let remedy = "Set server.public_url to a host name that the world knows, or tls.mode to \"files\".";
            reader.complain("tls.mode", "orders certificates, but nobody gives one for this machine's own name", remedy);
        }
        if mode.serves() && https_bind.is_empty() {
            reader.complain("tls.https_bind", "has no address", "Write at least one, such as \"0.0.0.0:443\".");
        }
        Self { mode, https_bind, http_bind, files, acme, dns }
    }
}

fn read_dns(reader: &mut Reader) -> Option<DnsProvider> {
    let kinds = [
        ("none", ProviderKind::None),
        ("rfc2136", ProviderKind::Rfc2136),
        ("cloudflare", ProviderKind::Cloudflare),
        ("desec", ProviderKind::Desec),
    ];
    let kind = reader.choice("tls.dns_provider", &kinds);
    let secret = reader.optional("tls.dns_secret", parse_any);
    let api = reader.optional("tls.dns_api", parse_api);
    let server = reader.optional("tls.dns_server", parse_dns_server);
    let zone = reader.optional("tls.dns_zone", parse_zone);
    let key_name = reader.optional("tls.dns_key_name", parse_zone);
    let mut token = || {
        if secret.is_none() && !reader.is_given("tls.dns_secret") {
            let remedy = "Make a token that may edit the zone's records, and write it to the file tls.dns_secret_file names.";
            reader.complain("tls.dns_secret", "is not set, though the DNS provider needs a token", remedy);
        }
        secret.clone()
    };
    let fixed = |url: &str| Url::parse(url).expect("the address of the API is a URL");
    match kind {
        ProviderKind::None => None,
        ProviderKind::Cloudflare => {
            let api = api.unwrap_or_else(|| fixed("https://api.cloudflare.com/client/v4/"));
            Some(DnsProvider::Cloudflare { api, token: token()? })
        }
        ProviderKind::Desec => {
            let api = api.unwrap_or_else(|| fixed("https://desec.io/api/v1/"));
            Some(DnsProvider::Desec { api, token: token()? })
        }
        ProviderKind::Rfc2136 => {
            for (path, is_set) in [("tls.dns_server", server.is_some()), ("tls.dns_zone", zone.is_some())] {
                if !is_set && !reader.is_given(path) {
                    reader.complain(path, "is not set, though dynamic updates need it", "Write what its description says.");
                }
            }
            let key = match (key_name, secret) {
                (Some(name), Some(secret)) => Some((name, secret)),
                (None, None) => None,
                (Some(_), None) | (None, Some(_)) => {
                    let remedy = "Set both tls.dns_key_name and tls.dns_secret, or neither.";
                    reader.complain("tls.dns_key_name", "and tls.dns_secret belong together", remedy);
                    None
                }
            };
            Some(DnsProvider::Rfc2136 { server: server?, zone: zone?, key })
        }
    }
}

fn parse_directory(text: &str) -> Result<Url, Wrong> {
    let remedy = "Write \"letsencrypt\", \"letsencrypt-staging\", or the https URL of another authority's directory.";
    let text = match text {
        "letsencrypt" => LETS_ENCRYPT,
        "letsencrypt-staging" => LETS_ENCRYPT_STAGING,
        other => other,
    };
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.host().is_some());
    url.ok_or_else(|| Wrong::new("is not the directory of a certificate authority", remedy))
}

fn parse_api(text: &str) -> Result<Url, Wrong> {
    let with_slash = if text.ends_with('/') { text.to_owned() } else { format!("{text}/") };
    let url = Url::parse(&with_slash).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
    url.ok_or_else(|| Wrong::new("is not a URL", "Write it as \"https://api.example.com/v1\"."))
}

fn parse_zone(text: &str) -> Result<String, Wrong> {
    let name = parse_text(text)?.trim_end_matches('.').to_ascii_lowercase();
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() <= 240 && name.split('.').all(label_ok) {
        return Ok(name);
    }
    Err(Wrong::new("is not a name of DNS", "Write it as \"example.com\"."))
}
