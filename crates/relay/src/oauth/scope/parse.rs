//! Reads and writes scopes: `resource:value?name=value&...`.
//!
//! Spec: <https://atproto.com/specs/permission#scope-string-syntax>

use std::fmt::{self, Write as _};

use common::{Did, Nsid};

use super::{AccountAttribute, Actions, Audience, IdentityAttribute, Names, Permission};

/// A scope that is longer is nobody's.
const MAX_BYTES: usize = 4096;

/// Reads one scope; `None` when it is not one that is known.
pub(crate) fn parse(text: &str) -> Option<Permission> {
    match text {
        super::ATPROTO => return Some(Permission::Atproto),
        "transition:generic" => return Some(Permission::TransitionGeneric),
        "transition:email" => return Some(Permission::TransitionEmail),
        "transition:chat.bsky" => return Some(Permission::TransitionChat),
        _ => {}
    }
    let parts = Parts::split(text)?;
    match parts.resource {
        "repo" => {
            parts.knows(&["collection", "action"])?;
            let actions = match parts.named("action") {
                actions if actions.is_empty() => Actions::ALL,
                actions => read_actions(actions.iter().copied())?,
            };
            Some(Permission::Repo { collections: read_names(&parts.values("collection")?)?, actions })
        }
        "rpc" => {
            parts.knows(&["lxm", "aud"])?;
            let (methods, audience) = (read_names(&parts.values("lxm")?)?, read_audience(parts.single("aud")?)?);
            // Everything, in everyone's eyes, is more than a person can agree to.
            (methods != Names::All || audience != Audience::Any).then_some(Permission::Rpc { methods, audience })
        }
        "blob" => {
            parts.knows(&["accept"])?;
            let accept = parts.values("accept")?;
            let good = accept.iter().all(|range| is_media_range(range));
            good.then(|| Permission::Blob { accept: accept.iter().map(|range| range.to_ascii_lowercase()).collect() })
        }
        "account" => {
            parts.knows(&["attr", "action"])?;
            let attribute = match one(&parts.values("attr")?)? {
                "email" => AccountAttribute::Email,
                "repo" => AccountAttribute::Repo,
                "status" => AccountAttribute::Status,
                _ => return None,
            };
            let actions = parts.named("action");
            if !actions.iter().all(|action| matches!(*action, "read" | "manage")) {
                return None;
            }
            Some(Permission::Account { attribute, manage: actions.contains(&"manage") })
        }
        "identity" => {
            parts.knows(&["attr"])?;
            match one(&parts.values("attr")?)? {
                "handle" => Some(Permission::Identity(IdentityAttribute::Handle)),
                "*" => Some(Permission::Identity(IdentityAttribute::All)),
                _ => None,
            }
        }
        "include" => {
            parts.knows(&["nsid", "aud"])?;
            let set = one(&parts.values("nsid")?)?.parse().ok()?;
            let audience = match parts.named("aud").as_slice() {
                [] => None,
                [audience] if is_service(audience) => Some((*audience).to_owned()),
                _ => return None,
            };
            Some(Permission::Include { set, audience })
        }
        _ => None,
    }
}

/// Reads a list of scopes with spaces between them, without those that are not known and those that come again.
pub(crate) fn parse_known(scopes: &str) -> Vec<(String, Permission)> {
    let mut known: Vec<(String, Permission)> = Vec::new();
    for text in scopes.split(' ').filter(|text| !text.is_empty()) {
        if known.iter().all(|(seen, _)| seen != text)
            && let Some(permission) = parse(text)
        {
            known.push((text.to_owned(), permission));
        }
    }
    known
}

/// A scope, taken apart and decoded.
struct Parts<'a> {
    resource: &'a str,
    positional: Option<String>,
    named: Vec<(&'a str, String)>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (head, query) = text.split_once('?').map_or((text, None), |(head, query)| (head, Some(query)));
        let (resource, positional) = head.split_once(':').map_or((head, None), |(name, value)| (name, Some(value)));
        let positional = match positional {
            Some(value) => Some(decode(value)?),
            None => None,
        };
        let mut named = Vec::new();
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=')?;
            named.push((name, decode(value)?));
        }
        Some(Self { resource, positional, named })
    }

    /// Checks that no other parameters are there: one that is not understood might narrow what is asked.
    fn knows(&self, names: &[&str]) -> Option<()> {
        self.named.iter().all(|(name, _)| names.contains(name)).then_some(())
    }

    fn named(&self, name: &str) -> Vec<&str> {
        self.named.iter().filter(|(found, _)| *found == name).map(|(_, value)| value.as_str()).collect()
    }

    fn single(&self, name: &str) -> Option<&str> {
        one(&self.named(name))
    }

    /// Returns the values of the parameter that may stand after the colon; at least one.
    fn values(&self, name: &str) -> Option<Vec<&str>> {
        let named = self.named(name);
        match &self.positional {
            Some(value) if named.is_empty() => Some(vec![value]),
            None if !named.is_empty() => Some(named),
            Some(_) | None => None,
        }
    }
}

fn one<'a>(values: &[&'a str]) -> Option<&'a str> {
    match values {
        [value] => Some(value),
        _ => None,
    }
}

fn read_names(values: &[&str]) -> Option<Names> {
    if values.contains(&"*") {
        return Some(Names::All);
    }
    values.iter().map(|value| value.parse::<Nsid>().ok()).collect::<Option<Vec<_>>>().map(Names::Some)
}

pub(super) fn read_actions<'a>(values: impl Iterator<Item = &'a str>) -> Option<Actions> {
    let mut actions = Actions { create: false, update: false, delete: false };
    for value in values {
        match value {
            "create" => actions.create = true,
            "update" => actions.update = true,
            "delete" => actions.delete = true,
            _ => return None,
        }
    }
    Some(actions)
}

pub(super) fn read_audience(text: &str) -> Option<Audience> {
    if text == "*" {
        return Some(Audience::Any);
    }
    is_service(text).then(|| Audience::Service(text.to_owned()))
}

/// Whether text names an entry in a DID document: `did:web:api.bsky.app#bsky_appview`.
fn is_service(text: &str) -> bool {
    let Some((did, id)) = text.split_once('#') else { return false };
    did.parse::<Did>().is_ok() && !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn is_media_range(text: &str) -> bool {
    let part = |part: &str| part == "*" || (!part.is_empty() && part.bytes().all(is_token_char));
    let Some((kind, subtype)) = text.split_once('/') else { return false };
    part(kind) && part(subtype) && (kind != "*" || subtype == "*")
}

const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'#' | b'$' | b'&' | b'^' | b'_' | b'.' | b'+' | b'-')
}

/// Undoes percent-encoding. A plus sign is one, as in `image/svg+xml`.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            decoded.push((high * 16 + low) as u8);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

/// Writes the scope in its shortest form.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atproto => f.write_str(super::ATPROTO),
            Self::TransitionGeneric => f.write_str("transition:generic"),
            Self::TransitionEmail => f.write_str("transition:email"),
            Self::TransitionChat => f.write_str("transition:chat.bsky"),
            Self::Repo { collections, actions } => {
                let mut query = Query::new(f, "repo");
                query.names("collection", collections)?;
                if *actions != Actions::ALL {
                    let all = [(actions.create, "create"), (actions.update, "update"), (actions.delete, "delete")];
                    for (_, name) in all.iter().filter(|(is_in, _)| *is_in) {
                        query.pair("action", name)?;
                    }
                }
                Ok(())
            }
            Self::Rpc { methods, audience } => {
                let mut query = Query::new(f, "rpc");
                query.names("lxm", methods)?;
                query.pair(
                    "aud",
                    match audience {
                        Audience::Any => "*",
                        Audience::Service(service) => service,
                    },
                )
            }
            Self::Blob { accept } => Query::new(f, "blob").list("accept", accept.iter().map(String::as_str), accept.len()),
            Self::Account { attribute, manage } => {
                let action = if *manage { "?action=manage" } else { "" };
                write!(f, "account:{}{action}", attribute.as_str())
            }
            Self::Identity(attribute) => write!(f, "identity:{}", attribute.as_str()),
            Self::Include { set, audience } => {
                let mut query = Query::new(f, "include");
                query.list("nsid", std::iter::once(set.as_str()), 1)?;
                audience.as_ref().map_or(Ok(()), |audience| query.pair("aud", audience))
            }
        }
    }
}

/// A scope that is being written.
struct Query<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    resource: &'static str,
    begun: bool,
    asked: bool,
}

impl<'a, 'f> Query<'a, 'f> {
    fn new(f: &'a mut fmt::Formatter<'f>, resource: &'static str) -> Self {
        Self { f, resource, begun: false, asked: false }
    }

    fn names(&mut self, name: &str, names: &Names) -> fmt::Result {
        match names {
            Names::All => self.list(name, std::iter::once("*"), 1),
            Names::Some(names) => self.list(name, names.iter().map(Nsid::as_str), names.len()),
        }
    }

    /// Writes the parameter that may stand after the colon, where it does when it has one value.
    fn list<'v>(&mut self, name: &str, mut values: impl Iterator<Item = &'v str>, len: usize) -> fmt::Result {
        if len == 1
            && let Some(value) = values.next()
        {
            self.begun = true;
            write!(self.f, "{}:", self.resource)?;
            return encode(self.f, value);
        }
        values.try_for_each(|value| self.pair(name, value))
    }

    fn pair(&mut self, name: &str, value: &str) -> fmt::Result {
        if !self.begun {
            self.begun = true;
            self.f.write_str(self.resource)?;
        }
        self.f.write_char(if self.asked { '&' } else { '?' })?;
        self.asked = true;
        write!(self.f, "{name}=")?;
        encode(self.f, value)
    }
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':' | b'/' | b'*' | b'+') {
            f.write_char(char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_written_as_it_is_read() {
        for text in [
            "atproto",
            "transition:generic",
            "transition:email",
            "transition:chat.bsky",
            "repo:*",
            "repo:app.bsky.feed.post",
            "repo:app.bsky.feed.post?action=create",
            "repo?collection=app.bsky.feed.post&collection=app.bsky.feed.like&action=create&action=delete",
            "rpc:app.bsky.feed.getTimeline?aud=did:web:api.bsky.app%23bsky_appview",
            "rpc:*?aud=did:web:api.bsky.app%23bsky_appview",
            "rpc:app.bsky.feed.getTimeline?aud=*",
            "rpc?lxm=app.bsky.feed.getTimeline&lxm=app.bsky.feed.getFeed&aud=*",
            "blob:*/*",
            "blob:image/svg+xml",
            "blob?accept=image/*&accept=video/mp4",
            "account:email",
            "account:repo?action=manage",
            "identity:handle",
            "identity:*",
            "include:app.bsky.authFullApp",
            "include:app.bsky.authFullApp?aud=did:web:api.bsky.app%23bsky_appview",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        for (one, other) in [
            ("repo?collection=app.bsky.feed.post", "repo:app.bsky.feed.post"),
            ("repo:a.b.c?action=delete&action=update&action=create", "repo:a.b.c"),
            ("repo?collection=a.b.c&collection=*", "repo:*"),
            ("rpc:a.b.c?aud=did%3Aweb%3Ax.y%23z", "rpc:a.b.c?aud=did:web:x.y%23z"),
            ("account?attr=email&action=read", "account:email"),
            ("blob:IMAGE/PNG", "blob:image/png"),
        ] {
            assert_eq!(parse(one), parse(other));
            assert!(parse(one).is_some(), "{one}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_scope() {
        for text in [
            "openid",
            "transition:everything",
            "repo",
            "repo:",
            "repo:app.bsky.feed.*",
            "repo:a.b.c?collection=d.e.f",
            "repo:a.b.c?action=read",
            "repo:a.b.c?action",
            "repo:a.b.c?until=tomorrow",
            "rpc:a.b.c",
            "rpc:*?aud=*",
            "rpc:a.b.c?aud=did:web:x.y",
            "rpc:a.b.c?aud=x.y%23z",
            "rpc:a.b.c?aud=*&aud=did:web:x.y%23z",
            "blob:image",
            "blob:*/png",
            "blob:image/png%",
            "account:password",
            "account:email?action=write",
            "identity:did",
            "include:nothing",
            "include:a.b.c?aud=*",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn unknown_scopes_are_dropped_from_a_list() {
        let known = parse_known("atproto  openid repo:a.b.c atproto");
        assert_eq!(known.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["atproto", "repo:a.b.c"]);
    }
}
