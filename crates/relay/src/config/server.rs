//! `[server]`: where the server listens, its public name, and what it tells visitors about itself.

use std::{net::SocketAddr, time::Duration};

use url::Url;

use super::{
    reader::{Reader, Shown},
    values::{MailAddress, PublicUrl, hours, parse_link, parse_socket_addr, parse_text},
};

/// The section `[server]`.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address that the world reaches the server by.
    pub public_url: PublicUrl,
    /// The addresses to listen on, at least one.
    pub bind: Vec<SocketAddr>,
    /// The server's name in pages and mail.
    pub service_name: String,
    /// Links and the contact shown to visitors.
    pub links: Links,
    /// How long a client may take to send headers.
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// How long an ordinary request may take.
    pub request_timeout: Duration,
    /// How many connections may be open at once.
    pub max_connections: usize,
}

/// What a server tells visitors about its operator.
#[derive(Debug, Clone, Default)]
pub struct Links {
    /// The operator's home page.
    pub home: Option<Url>,
    /// A picture that stands for the server.
    pub logo: Option<Url>,
    /// Where people find help.
    pub support: Option<Url>,
    /// The privacy policy.
    pub privacy_policy: Option<Url>,
    /// The terms of service.
    pub terms: Option<Url>,
    /// The operator's public mail address.
    pub contact_email: Option<MailAddress>,
}

impl Server {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let public_url = reader.optional("server.public_url", PublicUrl::parse);
        if public_url.is_none() && !reader.is_given("server.public_url") {
            reader.complain(
                "server.public_url",
                "is not set",
                "Write the address that people reach this server by, such as \"https://pds.example.com\".",
            );
        }
        // Reading goes on after a mistake, so that the other sections' are found as well; the value is never returned.
        let public_url = public_url.unwrap_or_else(|| PublicUrl::parse("http://localhost").expect("the stand-in is a URL"));
        let bind = reader.list("server.bind", parse_socket_addr);
        if bind.as_ref().is_some_and(Vec::is_empty) {
            reader.complain("server.bind", "has no address", "Write at least one, such as \"127.0.0.1:2583\".");
        }
        let named = reader.optional("server.service_name", parse_text);
        let service_name = named.unwrap_or_else(|| format!("{} PDS", public_url.host()));
        reader.derived("server.service_name", Shown::One(service_name.clone()));
        let timeout = Duration::from_millis(100)..=hours(1);
        Self {
            public_url,
            bind: bind.unwrap_or_default(),
            service_name,
            links: Links {
                home: reader.optional("server.home_url", parse_link),
                logo: reader.optional("server.logo_url", parse_link),
                support: reader.optional("server.support_url", parse_link),
                privacy_policy: reader.optional("server.privacy_policy_url", parse_link),
                terms: reader.optional("server.terms_url", parse_link),
                contact_email: reader.optional("server.contact_email", MailAddress::parse),
            },
            header_timeout: reader.duration("server.header_timeout", timeout.clone()),
            idle_timeout: reader.duration("server.idle_timeout", timeout.clone()),
            request_timeout: reader.duration("server.request_timeout", timeout),
            max_connections: reader.number("server.max_connections", 1..=1_000_000) as usize,
        }
    }
}
