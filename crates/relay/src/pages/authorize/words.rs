//! What scopes allow, in the words of people.

use common::Nsid;

use crate::oauth::authorize::{ScopeItem, ScopeKind};
use crate::oauth::scope::{AccountAttribute, Actions, Audience, IdentityAttribute, Names, Permission};
use crate::pages::texts::{Authorize, Scopes};

/// Scopes about the same thing.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line>,
}

/// A scope, in words.
pub(super) struct Line {
    /// A number on the page.
    pub(super) id: usize,
    /// The scope's own name, where it can be left out.
    pub(super) scope: Option<String>,
    pub(super) text: String,
    pub(super) hint: Option<String>,
    pub(super) warning: Option<&'static str>,
    /// What it stands for, bit by bit.
    pub(super) parts: Vec<String>,
}

impl Line {
    pub(super) fn has_more(&self) -> bool {
        self.hint.is_some() || self.warning.is_some() || !self.parts.is_empty()
    }
}

/// What a scope is about; the order is that of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Basics,
    Set,
    Data,
    Messages,
    Account,
    Services,
}

const SUBJECTS: [Subject; 6] =
    [Subject::Basics, Subject::Set, Subject::Data, Subject::Messages, Subject::Account, Subject::Services];

/// Puts scopes into words, grouped.
pub(super) fn groups(t: &Authorize, scopes: &[ScopeItem]) -> Vec<Group> {
    let t = &t.scopes;
    let group = |subject: Subject| {
        let about = scopes.iter().enumerate().filter(|(_, item)| subject_of(&item.kind) == subject);
        let lines: Vec<Line> = about.map(|(id, item)| line(t, id, item)).collect();
        let title = match subject {
            Subject::Basics => t.basics,
            Subject::Set => t.sets,
            Subject::Data => t.data,
            Subject::Messages => t.messages,
            Subject::Account => t.account,
            Subject::Services => t.services,
        };
        (!lines.is_empty()).then_some(Group { title, lines })
    };
    SUBJECTS.into_iter().filter_map(group).collect()
}

fn subject_of(kind: &ScopeKind) -> Subject {
    match kind {
        ScopeKind::Set { .. } => Subject::Set,
        ScopeKind::One(permission) => match permission {
            Permission::Atproto => Subject::Basics,
            Permission::TransitionGeneric | Permission::Repo { .. } | Permission::Blob { .. } => Subject::Data,
            Permission::TransitionChat => Subject::Messages,
            Permission::TransitionEmail | Permission::Account { .. } | Permission::Identity(_) => Subject::Account,
            Permission::Rpc { .. } => Subject::Services,
            Permission::Include { .. } => Subject::Set,
        },
    }
}

fn line(t: &Scopes, id: usize, item: &ScopeItem) -> Line {
    let scope = item.optional.then(|| item.scope.clone());
    match &item.kind {
        ScopeKind::One(permission) => {
            let Words { text, hint, warning, parts } = words(t, permission);
            Line { id, scope, text, hint, warning, parts }
        }
        ScopeKind::Set { title, detail, permissions } => Line {
            id,
            scope,
            text: title.clone().unwrap_or_else(|| item.scope.trim_start_matches("include:").to_owned()),
            hint: detail.clone(),
            warning: None,
            parts: permissions.iter().map(|permission| words(t, permission).in_a_line()).collect(),
        },
    }
}

/// A permission in words.
#[derive(Default)]
struct Words {
    text: String,
    hint: Option<String>,
    warning: Option<&'static str>,
    parts: Vec<String>,
}

impl Words {
    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    fn warning(self, warning: &'static str) -> Self {
        Self { warning: Some(warning), ..self }
    }

    fn in_a_line(self) -> String {
        if self.parts.is_empty() { self.text } else { format!("{}: {}", self.text, self.parts.join(", ")) }
    }
}

fn words(t: &Scopes, permission: &Permission) -> Words {
    match permission {
        Permission::Atproto => Words::of(t.atproto).hint(t.atproto_hint),
        Permission::TransitionGeneric => Words::of(t.generic).hint(t.generic_hint),
        Permission::TransitionEmail | Permission::Account { attribute: AccountAttribute::Email, manage: false } => {
            Words::of(t.email_read)
        }
        Permission::TransitionChat => Words::of(t.chat),
        Permission::Repo { collections, actions } => repo(t, collections, *actions),
        Permission::Rpc { methods, audience } => rpc(t, methods, audience),
        Permission::Blob { accept } => Words::of(sentence(&blob(t, accept))),
        Permission::Account { attribute: AccountAttribute::Email, manage: true } => {
            Words::of(t.email_manage).warning(t.email_manage_warning)
        }
        Permission::Account { attribute: AccountAttribute::Repo, manage: false } => Words::of(t.repo_read),
        Permission::Account { attribute: AccountAttribute::Repo, manage: true } => {
            Words::of(t.repo_manage).warning(t.repo_manage_warning)
        }
        Permission::Account { attribute: AccountAttribute::Status, manage: false } => Words::of(t.status_read),
        Permission::Account { attribute: AccountAttribute::Status, manage: true } => {
            Words::of(t.status_manage).warning(t.status_manage_warning)
        }
        Permission::Identity(IdentityAttribute::Handle) => Words::of(t.handle).warning(t.handle_warning),
        Permission::Identity(IdentityAttribute::All) => Words::of(t.identity).warning(t.identity_warning),
        Permission::Include { set, .. } => Words::of(set.as_str()),
    }
}

fn repo(t: &Scopes, collections: &Names, actions: Actions) -> Words {
    let verbs: Vec<&str> = [(actions.create, t.create), (actions.update, t.update), (actions.delete, t.delete)]
        .into_iter()
        .filter_map(|(may, verb)| may.then_some(verb))
        .collect();
    let verbs = listed(t, &verbs);
    match collections {
        Names::All => Words::of(sentence(&(t.repo_all)(&verbs))).hint(t.repo_all_hint),
        Names::Some(names) => {
            let parts = names.iter().map(|name| collection(t, name)).collect();
            Words { parts, ..Words::of(sentence(&(t.repo_some)(&verbs))) }
        }
    }
}

/// Returns a text with a capital letter at its beginning.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Returns `one, two and three`.
fn listed(t: &Scopes, words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} {} {last}", others.join(", "), t.and),
    }
}

/// Returns what people call the records of a collection; its name where nobody calls them anything.
fn collection(t: &Scopes, name: &Nsid) -> String {
    let known = match name.as_str() {
        "app.bsky.feed.post" => t.posts,
        "app.bsky.feed.like" => t.likes,
        "app.bsky.feed.repost" => t.reposts,
        "app.bsky.graph.follow" => t.follows,
        "app.bsky.graph.block" => t.blocks,
        "app.bsky.graph.list" | "app.bsky.graph.listitem" => t.lists,
        "app.bsky.graph.listblock" => t.list_blocks,
        "app.bsky.graph.starterpack" => t.starter_packs,
        "app.bsky.feed.generator" => t.feeds,
        "app.bsky.feed.threadgate" | "app.bsky.feed.postgate" => t.gates,
        "app.bsky.actor.profile" => t.profile,
        "app.bsky.actor.status" => t.status,
        _ => return name.to_string(),
    };
    format!("{known} ({name})")
}

fn rpc(t: &Scopes, methods: &Names, audience: &Audience) -> Words {
    let service = match audience {
        Audience::Any => t.any_service.to_owned(),
        Audience::Service(service) => service_name(service),
    };
    match methods {
        Names::All => Words::of(sentence(&(t.rpc_all)(&service))),
        Names::Some(names) => {
            let parts = names.iter().map(ToString::to_string).collect();
            Words { parts, ..Words::of(sentence(&(t.rpc_some)(&service))) }
        }
    }
}

/// Returns what a service is known by: its host, if its DID has one.
fn service_name(service: &str) -> String {
    let did = service.split('#').next().unwrap_or(service);
    did.strip_prefix("did:web:").map_or_else(|| service.to_owned(), |host| host.replace("%3A", ":"))
}

fn blob(t: &Scopes, accept: &[String]) -> String {
    if accept.iter().any(|range| range == "*/*") {
        return t.upload_any.to_owned();
    }
    let kinds: Vec<&str> = accept
        .iter()
        .map(|range| match range.as_str() {
            "image/*" => t.pictures,
            "video/*" => t.videos,
            "audio/*" => t.sound,
            other => other,
        })
        .collect();
    (t.upload)(&listed(t, &kinds))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::oauth::scope::parse_known;
    use crate::pages::Language;

    /// The page in one text: groups, then lines with what belongs to them.
    fn page(language: Language, scopes: &str) -> String {
        let items: Vec<ScopeItem> = parse_known(scopes)
            .into_iter()
            .map(|(scope, permission)| ScopeItem {
                scope,
                optional: permission != Permission::Atproto,
                kind: ScopeKind::One(permission),
            })
            .collect();
        let mut out = String::new();
        for group in groups(&language.texts().authorize, &items) {
            out.push_str(group.title);
            out.push('\n');
            for line in group.lines {
                let optional = if line.scope.is_some() { "[ ]" } else { "   " };
                write!(out, "{optional} {}", line.text).unwrap();
                if !line.parts.is_empty() {
                    write!(out, ": {}", line.parts.join("; ")).unwrap();
                }
                out.push_str(if line.warning.is_some() { " (!)\n" } else { "\n" });
            }
        }
        out
    }

    #[test]
    fn scopes_are_told_in_words() {
        let scopes = "atproto transition:generic transition:chat.bsky account:email?action=manage identity:* \
                      repo:app.bsky.feed.post?action=create&action=delete repo?collection=app.bsky.feed.like&collection=com.example.note \
                      rpc:app.bsky.feed.getTimeline?aud=did:web:api.bsky.app%23bsky_appview blob:image/* blob?accept=video/*&accept=text/plain";
        insta::assert_snapshot!(page(Language::English, scopes), @r"
        Always included
            Know who you are
        Your posts and other data
        [ ] Do almost everything in your name
        [ ] Create and delete these kinds of data: posts (app.bsky.feed.post)
        [ ] Create, change and delete these kinds of data: likes (app.bsky.feed.like); com.example.note
        [ ] Upload pictures
        [ ] Upload videos and text/plain
        Private messages
        [ ] Read and send private messages
        Your account
        [ ] See and change your e-mail address (!)
        [ ] Change your handle and your identity (!)
        Other services, in your name
        [ ] These requests to api.bsky.app: app.bsky.feed.getTimeline
        ");
        let german = page(Language::German, scopes);
        assert_eq!(german.lines().count(), page(Language::English, scopes).lines().count());
        assert!(german.contains("E-Mail-Adresse sehen und ändern (!)"), "{german}");
    }
}
