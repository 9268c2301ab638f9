//! `[mail]`: the servers that mail is sent through.

use std::net::IpAddr;

use url::Url;

use super::{
    error::Wrong,
    reader::{Reader, Shown},
    secret::{Secret, parse_any},
    values::{MailAddress, parse_number, parse_text},
};

/// The section `[mail]`.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Mail to account holders; `None` when the server sends no mail.
    pub ordinary: Option<MailRoute>,
    /// Mail by moderators, the ordinary route unless it has its own.
    pub moderation: Option<MailRoute>,
    /// Whether mail for which there is no server goes to a mailbox in memory, which a page shows to anyone: `relay dev`.
    pub outbox: bool,
}

/// A mail server and the sender to use there.
#[derive(Debug, Clone)]
pub struct MailRoute {
    /// The server.
    pub server: MailServer,
    /// The sender.
    pub from: MailAddress,
}

/// How to reach a mail server.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: MailTls,
    /// User and password.
    pub login: Option<MailLogin>,
}

/// Who logs in at a mail server.
#[derive(Debug, Clone)]
pub struct MailLogin {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// How the connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// TLS from the start.
    Implicit,
    /// STARTTLS, required.
    StartTls,
    /// Not at all.
    None,
}

impl MailTls {
    fn word(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::StartTls => "starttls",
            Self::None => "none",
        }
    }
}

impl Mail {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let server = read_server(reader);
        let from = reader.optional("mail.from", MailAddress::parse);
        let ordinary = match (server, from) {
            (Some(server), Some(from)) => Some(MailRoute { server, from }),
            (Some(_), None) => {
                if !reader.is_given("mail.from") {
                    reader.complain(
                        "mail.from",
                        "is not set, though there is a mail server",
                        "Write the sender, such as \"pds@example.com\".",
                    );
                }
                None
            }
            (None, _) => {
                if reader.is_given("mail.from") && !reader.is_given("mail.host") && !reader.is_given("mail.url") {
                    reader.complain("mail.from", "is set without a mail server", "Set mail.host or mail.url as well.");
                }
                None
            }
        };

        let own_server = reader.optional("mail.moderation_url", parse_server);
        let own_from = reader.optional("mail.moderation_from", MailAddress::parse);
        let server = own_server.or_else(|| ordinary.as_ref().map(|route| route.server.clone()));
        let from = own_from.or_else(|| ordinary.as_ref().map(|route| route.from.clone()));
        let moderation = match (server, from) {
            (Some(server), Some(from)) => Some(MailRoute { server, from }),
            (Some(_), None) => {
                reader.complain(
                    "mail.moderation_url",
                    "is set without a sender",
                    "Set mail.moderation_from or mail.from as well.",
                );
                None
            }
            (None, _) => None,
        };
        Self { ordinary, moderation, outbox: false }
    }
}

fn read_server(reader: &mut Reader) -> Option<MailServer> {
    let tls_words = [("implicit", MailTls::Implicit), ("starttls", MailTls::StartTls), ("none", MailTls::None)];
    let from_url = reader.optional("mail.url", parse_server);
    let host = reader.optional("mail.host", parse_text);
    let port = reader.optional("mail.port", |text| parse_number(text, &(1..=65_535)).map(|port| port as u16));
    let user = reader.optional("mail.user", parse_text);
    let password = reader.optional("mail.password", parse_any);
    let tls = reader.optional_choice("mail.tls", &tls_words);

    if reader.is_given("mail.url") {
        for path in ["mail.host", "mail.port", "mail.user", "mail.password", "mail.tls"] {
            if reader.is_given(path) {
                reader.complain(
                    path,
                    "is set beside mail.url",
                    "Keep one of the two forms: mail.url, or host, port, user, password and tls.",
                );
            }
        }
        return from_url;
    }
    let Some(host) = host else {
        if !reader.is_given("mail.host") {
            for path in ["mail.port", "mail.user", "mail.password", "mail.tls"] {
                if reader.is_given(path) {
                    reader.complain(path, "is set without mail.host", "Set mail.host as well.");
                }
            }
        }
        return None;
    };
    let tls = tls.unwrap_or_else(|| default_tls(&host, port));
    let port = port.unwrap_or_else(|| default_port(tls));
    reader.derived("mail.tls", Shown::One(tls.word().to_owned()));
    reader.derived("mail.port", Shown::One(port.to_string()));
    let login = match (user, password) {
        (Some(user), Some(password)) => Some(MailLogin { user, password }),
        (Some(_), None) => {
            reader.complain("mail.user", "is set without a password", "Set mail.password or mail.password_file as well.");
            None
        }
        (None, Some(_)) => {
            reader.complain("mail.password", "is set without a user", "Set mail.user as well.");
            None
        }
        (None, None) => None,
    };
    Some(MailServer { host, port, tls, login })
}

fn default_tls(host: &str, port: Option<u16>) -> MailTls {
    match port {
        // What never leaves the machine is a mail catcher or the machine's own relay, and those have no certificate.
        _ if is_this_machine(host) => MailTls::None,
        Some(25 | 587 | 2525) => MailTls::StartTls,
        Some(_) | None => MailTls::Implicit,
    }
}

fn default_port(tls: MailTls) -> u16 {
    match tls {
        MailTls::Implicit => 465,
        MailTls::StartTls => 587,
        MailTls::None => 25,
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads `smtps://user:password@host:465`.
fn parse_server(text: &str) -> Result<MailServer, Wrong> {
    const REMEDY: &str = "Write it as smtps://user:password@mail.example.com:465, with user and password percent-encoded.";
    let url = Url::parse(text).map_err(|_| Wrong::new("is not a URL", REMEDY))?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| Wrong::new("has no host", REMEDY))?.to_owned();
    if url.query().is_some() || !matches!(url.path(), "" | "/") {
        return Err(Wrong::new("has more than a user, password, host and port", "Leave away what follows the port."));
    }
    let tls = match url.scheme() {
        "smtps" => MailTls::Implicit,
        "smtp" if url.port() == Some(465) => MailTls::Implicit,
        "smtp" if is_this_machine(&host) => MailTls::None,
        "smtp" => MailTls::StartTls,
        _ => return Err(Wrong::new("begins with neither smtps:// nor smtp://", REMEDY)),
    };
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        (user, Some(password)) if !user.is_empty() => {
            let decoded = percent_decode(user).zip(percent_decode(password));
            let (user, password) =
                decoded.ok_or_else(|| Wrong::new("has a user or password that is not percent-encoded", REMEDY))?;
            Some(MailLogin { user, password: Secret::new(password) })
        }
        _ => return Err(Wrong::new("has a user without a password, or the reverse", REMEDY)),
    };
    Ok(MailServer { port: url.port().unwrap_or_else(|| default_port(tls)), host, tls, login })
}

/// Replaces `%40` by `@` and the like; `None` for a `%` without two digits or a result that is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(*data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?.first()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_url_is_taken_apart() {
        let server = parse_server("smtps://me%40example.com:p%3Ass@mail.example.com").unwrap();
        assert_eq!((server.host.as_str(), server.port, server.tls), ("mail.example.com", 465, MailTls::Implicit));
        let login = server.login.unwrap();
        assert_eq!((login.user.as_str(), login.password.expose()), ("me@example.com", "p:ss"));
        let server = parse_server("smtp://localhost:1025").unwrap();
        assert_eq!((server.port, server.tls), (1025, MailTls::None));
        assert_eq!(parse_server("smtp://mail.example.com").unwrap().tls, MailTls::StartTls);
        for text in [
            "smtp:///?sendmail=true",
            "https://mail.example.com",
            "smtp://me@mail.example.com",
            "smtp://m:%zz@h",
            "mail.example.com",
        ] {
            assert!(parse_server(text).is_err(), "{text}");
        }
    }
}
