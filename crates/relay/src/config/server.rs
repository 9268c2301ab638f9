//! `[server]`: where the server listens, its public name, and what it tells visitors about itself.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use url::Url;

use super::{
    reader::{Reader, Shown},
    sources::read_bounded,
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
    /// Texts that the server shows itself.
    pub documents: Documents,
    /// Whether everyone may know how many accounts there are.
    pub show_account_count: bool,
    /// The app that people are sent to.
    pub app_url: Url,
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

/// What the operator wrote for visitors, in files.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    /// The terms of service.
    pub terms: Option<Document>,
    /// The privacy policy.
    pub privacy_policy: Option<Document>,
}

/// A text in one language or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// The text of the file that was named.
    pub text: String,
    /// The translations that lie beside it, by language tag.
    pub translations: BTreeMap<&'static str, String>,
}

/// The languages that a translation is looked for in: those of the pages.
const LANGUAGES: [&str; 2] = ["en", "de"];

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
        let documents = Documents {
            terms: read_document(reader, "server.terms_file", "server.terms_url"),
            privacy_policy: read_document(reader, "server.privacy_policy_file", "server.privacy_policy_url"),
        };
        // Where there is a text, the link leads to it.
        let own = |document: &Option<Document>, path: &str| {
            document.as_ref().and_then(|_| Url::parse(&format!("{}{path}", public_url.as_str())).ok())
        };
        let (own_terms, own_policy) = (own(&documents.terms, "/terms"), own(&documents.privacy_policy, "/privacy"));
        Self {
            public_url,
            bind: bind.unwrap_or_default(),
            service_name,
            links: Links {
                home: reader.optional("server.home_url", parse_link),
                logo: reader.optional("server.logo_url", parse_link),
                support: reader.optional("server.support_url", parse_link),
                privacy_policy: reader.optional("server.privacy_policy_url", parse_link).or(own_policy),
                terms: reader.optional("server.terms_url", parse_link).or(own_terms),
                contact_email: reader.optional("server.contact_email", MailAddress::parse),
            },
            documents,
            show_account_count: reader.flag("server.show_account_count"),
            app_url: reader.value("server.app_url", parse_link),
            header_timeout: reader.duration("server.header_timeout", timeout.clone()),
            idle_timeout: reader.duration("server.idle_timeout", timeout.clone()),
            request_timeout: reader.duration("server.request_timeout", timeout),
            max_connections: reader.number("server.max_connections", 1..=1_000_000) as usize,
        }
    }
}

/// Reads the file of a text, and its translations: `terms.de.md` beside `terms.md`.
fn read_document(reader: &mut Reader, path: &'static str, link: &'static str) -> Option<Document> {
    let file = reader.optional_path(path)?;
    if reader.is_given(link) {
        reader.complain(path, &format!("is set besides {link}"), "Keep one of them.");
    }
    let mut failed = |err: &std::io::Error, file: &Path| {
        let why = format!("cannot be read: {}: {err}", file.display());
        reader.complain(path, &why, "Check the path, and that the user of the server may read the file.");
    };
    let text = read_bounded(&file).map_err(|err| failed(&err, &file)).ok()?;
    let mut translations = BTreeMap::new();
    for language in LANGUAGES {
        let extension = file.extension().and_then(|extension| extension.to_str());
        let beside = file.with_extension(extension.map_or_else(|| language.to_owned(), |known| format!("{language}.{known}")));
        match read_bounded(&beside) {
            Ok(text) => drop(translations.insert(language, text)),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
            Err(err) => failed(&err, &beside),
        }
    }
    Some(Document { text, translations })
}
