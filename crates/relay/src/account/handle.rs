//! Which handles an account may have.

use common::Handle;

use crate::config::HandleDomain;

/// Where a handle lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Directly under a domain of this server, which answers for it.
    Hosted,
    /// Under someone else's domain, which must name the account.
    External,
}

/// Why nobody may have a handle here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandleRuleError {
    #[error("Handle TLD is invalid or disallowed")]
    Tld,
    #[error("Invalid characters in handle: it has one part before the domain of the server")]
    Parts,
    #[error("Handle too short: the part before the domain of the server has at least 3 characters")]
    TooShort,
    #[error("Handle too long: the part before the domain of the server has at most 18 characters")]
    TooLong,
    #[error("Reserved handle")]
    Reserved,
}

/// Names that would look official, that mail and the web keep for those who run a domain, or that name a service.
const RESERVED: &[&str] = &[
    "abuse",
    "about",
    "access",
    "account",
    "accounts",
    "admin",
    "administration",
    "administrator",
    "admins",
    "announcements",
    "anonymous",
    "api",
    "app",
    "apps",
    "appview",
    "assets",
    "atproto",
    "auth",
    "autoconfig",
    "autodiscover",
    "backup",
    "billing",
    "blog",
    "bluesky",
    "bot",
    "bsky",
    "cdn",
    "chat",
    "contact",
    "daemon",
    "dashboard",
    "dev",
    "did",
    "dns",
    "docs",
    "download",
    "downloads",
    "email",
    "everyone",
    "example",
    "faq",
    "feed",
    "feedback",
    "feeds",
    "files",
    "firehose",
    "forum",
    "ftp",
    "git",
    "guest",
    "handle",
    "help",
    "home",
    "host",
    "hostmaster",
    "image",
    "images",
    "imap",
    "info",
    "invalid",
    "invite",
    "jobs",
    "labeler",
    "legal",
    "list",
    "lists",
    "local",
    "localhost",
    "login",
    "logout",
    "mail",
    "mailer-daemon",
    "media",
    "moderation",
    "moderator",
    "moderators",
    "monitor",
    "mta-sts",
    "nameserver",
    "news",
    "nobody",
    "noreply",
    "no-reply",
    "notifications",
    "ns1",
    "ns2",
    "null",
    "oauth",
    "official",
    "operator",
    "ops",
    "owner",
    "password",
    "payment",
    "payments",
    "pds",
    "plc",
    "policy",
    "pop",
    "pop3",
    "postmaster",
    "press",
    "privacy",
    "profile",
    "proxy",
    "public",
    "register",
    "relay",
    "report",
    "root",
    "rss",
    "safety",
    "search",
    "security",
    "server",
    "service",
    "services",
    "session",
    "settings",
    "shop",
    "signin",
    "signup",
    "smtp",
    "ssl",
    "sso",
    "staff",
    "static",
    "stats",
    "status",
    "store",
    "support",
    "sysadmin",
    "system",
    "team",
    "terms",
    "test",
    "tls",
    "undefined",
    "unknown",
    "update",
    "upload",
    "user",
    "users",
    "verification",
    "verified",
    "verify",
    "video",
    "webmail",
    "webmaster",
    "well-known",
    "wiki",
    "wpad",
    "www",
    "xrpc",
];

/// Tells where a handle lives, if it is one that an account may have. Whether it is taken is not looked at.
///
/// The operator may give out reserved names (`allow_reserved`).
pub(crate) fn check_handle(handle: &Handle, domains: &[HandleDomain], allow_reserved: bool) -> Result<Place, HandleRuleError> {
    // The operator's own domain may be `.test` and the like; the configuration has seen to the rest.
    let mut under = domains.iter().filter_map(|domain| domain.strip(handle.as_str())).peekable();
    if under.peek().is_none() {
        return if handle.has_disallowed_tld() { Err(HandleRuleError::Tld) } else { Ok(Place::External) };
    }
    // With domains one below the other, a handle may have one part before the one and two before the other.
    let name = under.find(|name| !name.contains('.')).ok_or(HandleRuleError::Parts)?;
    match name.len() {
        0..3 => Err(HandleRuleError::TooShort),
        3..=18 if RESERVED.contains(&name) && !allow_reserved => Err(HandleRuleError::Reserved),
        3..=18 => Ok(Place::Hosted),
        19.. => Err(HandleRuleError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Config, DevOptions};

    fn domains() -> Vec<HandleDomain> {
        let options = DevOptions {
            bind: "127.0.0.1:2583".parse().unwrap(),
            plc_url: "http://localhost:2582".into(),
            data_dir: PathBuf::from("data"),
            admin_password: None,
            settings: Vec::new(),
        };
        Config::dev(&options).unwrap().identity.handle_domains
    }

    #[test]
    fn handles_have_a_place_or_a_fault() {
        let check = |text: &str| check_handle(&text.parse().unwrap(), &domains(), false);
        assert_eq!(check("alice.test"), Ok(Place::Hosted));
        assert_eq!(check("Alice.Test"), Ok(Place::Hosted));
        assert_eq!(check("bob.test"), Ok(Place::Hosted));
        assert_eq!(check("alice.example.com"), Ok(Place::External));
        assert_eq!(check("al.test"), Err(HandleRuleError::TooShort));
        assert_eq!(check("a.alice.test"), Err(HandleRuleError::Parts));
        assert_eq!(check("eighteen-character.test"), Ok(Place::Hosted));
        assert_eq!(check("nineteen-characters.test"), Err(HandleRuleError::TooLong));
        assert_eq!(check("alice.local"), Err(HandleRuleError::Tld));
        assert_eq!(check("handle.invalid"), Err(HandleRuleError::Tld));
    }

    #[test]
    fn reserved_names_are_the_operators() {
        let admin = "admin.test".parse().unwrap();
        assert_eq!(check_handle(&admin, &domains(), false), Err(HandleRuleError::Reserved));
        assert_eq!(check_handle(&admin, &domains(), true), Ok(Place::Hosted));
    }

    #[test]
    fn reserved_names_are_listed_once_and_could_be_handles() {
        let unique: std::collections::HashSet<_> = RESERVED.iter().collect();
        assert_eq!(unique.len(), RESERVED.len());
        for name in RESERVED {
            assert!(format!("{name}.test").parse::<Handle>().is_ok_and(|handle| handle == *format!("{name}.test")), "{name}");
        }
    }
}
