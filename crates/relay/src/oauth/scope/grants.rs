//! What a session may do, all scopes together.

use common::Nsid;

use super::{AccountAttribute, Audience, IdentityAttribute, Permission, RepoAction, parse_known};
use crate::auth::methods;

/// The permissions of a session. Sets ([`Permission::Include`]) allow nothing by themselves: what they stand for is beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grants(Vec<Permission>);

impl Grants {
    pub(crate) fn parse(scopes: &str) -> Self {
        Self(parse_known(scopes).into_iter().map(|(_, permission)| permission).collect())
    }

    pub(crate) fn allows_repo(&self, action: RepoAction, collection: &Nsid) -> bool {
        self.any(|permission| match permission {
            Permission::TransitionGeneric => true,
            Permission::Repo { collections, actions } => actions.contains(action) && collections.contains(collection),
            _ => false,
        })
    }

    /// Whether a method of a service may be called; the method is `None` for a token that is good for all of them.
    pub(crate) fn allows_rpc(&self, method: Option<&Nsid>, service: &str) -> bool {
        self.any(|permission| match permission {
            Permission::TransitionGeneric => method.is_none_or(|method| !methods::is_chat(method.as_str())),
            Permission::TransitionChat => method.is_some_and(|method| methods::is_chat(method.as_str())),
            Permission::Rpc { methods, audience } => {
                let method_fits = match (methods, method) {
                    (super::Names::All, _) => true,
                    (super::Names::Some(_), None) => false,
                    (names, Some(method)) => names.contains(method),
                };
                method_fits && (*audience == Audience::Any || *audience == Audience::Service(service.to_owned()))
            }
            _ => false,
        })
    }

    pub(crate) fn allows_blob(&self, media_type: &str) -> bool {
        let media_type = media_type.to_ascii_lowercase();
        self.any(|permission| match permission {
            Permission::TransitionGeneric => true,
            Permission::Blob { accept } => accept.iter().any(|range| fits(range, &media_type)),
            _ => false,
        })
    }

    pub(crate) fn allows_account(&self, attribute: AccountAttribute, manage: bool) -> bool {
        self.any(|permission| match permission {
            Permission::TransitionEmail => attribute == AccountAttribute::Email && !manage,
            Permission::Account { attribute: granted, manage: may_manage } => *granted == attribute && (*may_manage || !manage),
            _ => false,
        })
    }

    pub(crate) fn allows_identity(&self, attribute: IdentityAttribute) -> bool {
        self.any(|permission| match permission {
            Permission::Identity(granted) => *granted == IdentityAttribute::All || *granted == attribute,
            _ => false,
        })
    }

    fn any(&self, allows: impl Fn(&Permission) -> bool) -> bool {
        self.0.iter().any(allows)
    }
}

fn fits(range: &str, media_type: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(kind) => media_type.starts_with(kind),
        None => range == media_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nsid(text: &str) -> Nsid {
        text.parse().unwrap()
    }

    const SERVICE: &str = "did:web:api.example.com#svc";

    #[test]
    fn signing_in_alone_allows_nothing() {
        let grants = Grants::parse("atproto include:app.bsky.authFullApp");
        assert!(!grants.allows_repo(RepoAction::Create, &nsid("a.b.c")));
        assert!(!grants.allows_rpc(Some(&nsid("a.b.c")), SERVICE));
        assert!(!grants.allows_rpc(None, SERVICE));
        assert!(!grants.allows_blob("image/png"));
        assert!(!grants.allows_account(AccountAttribute::Email, false));
        assert!(!grants.allows_identity(IdentityAttribute::Handle));
    }

    #[test]
    fn the_generic_scope_is_that_of_an_app_password() {
        let grants = Grants::parse("atproto transition:generic");
        assert!(grants.allows_repo(RepoAction::Delete, &nsid("a.b.c")));
        assert!(grants.allows_rpc(Some(&nsid("a.b.c")), SERVICE) && grants.allows_rpc(None, SERVICE));
        assert!(!grants.allows_rpc(Some(&nsid("chat.bsky.convo.getMessages")), SERVICE));
        assert!(!grants.allows_rpc(Some(&nsid("Chat.bsky.convo.getMessages")), SERVICE));
        assert!(grants.allows_blob("video/mp4"));
        assert!(!grants.allows_account(AccountAttribute::Email, false));
        assert!(!grants.allows_account(AccountAttribute::Repo, true));
        assert!(!grants.allows_identity(IdentityAttribute::Handle));
        let chat = Grants::parse("atproto transition:chat.bsky transition:email");
        assert!(chat.allows_rpc(Some(&nsid("chat.bsky.convo.getMessages")), SERVICE));
        assert!(!chat.allows_rpc(Some(&nsid("app.bsky.feed.getTimeline")), SERVICE) && !chat.allows_rpc(None, SERVICE));
        assert!(chat.allows_account(AccountAttribute::Email, false) && !chat.allows_account(AccountAttribute::Email, true));
    }

    #[test]
    fn narrow_scopes_are_narrow() {
        let grants =
            Grants::parse("atproto repo:a.b.c?action=create rpc:a.b.get?aud=did:web:api.example.com%23svc blob:image/*");
        assert!(grants.allows_repo(RepoAction::Create, &nsid("a.b.c")));
        assert!(!grants.allows_repo(RepoAction::Update, &nsid("a.b.c")));
        assert!(!grants.allows_repo(RepoAction::Create, &nsid("a.b.d")));
        assert!(grants.allows_rpc(Some(&nsid("a.b.get")), SERVICE));
        assert!(!grants.allows_rpc(Some(&nsid("a.b.get")), "did:web:api.example.com#other"));
        assert!(!grants.allows_rpc(Some(&nsid("a.b.put")), SERVICE) && !grants.allows_rpc(None, SERVICE));
        assert!(grants.allows_blob("image/png") && grants.allows_blob("Image/PNG") && !grants.allows_blob("video/mp4"));
        assert!(!grants.allows_blob("imagepng"));
        let manage = Grants::parse("account:email?action=manage identity:*");
        assert!(manage.allows_account(AccountAttribute::Email, false) && manage.allows_account(AccountAttribute::Email, true));
        assert!(!manage.allows_account(AccountAttribute::Status, false));
        assert!(manage.allows_identity(IdentityAttribute::Handle) && manage.allows_identity(IdentityAttribute::All));
        assert!(!Grants::parse("identity:handle").allows_identity(IdentityAttribute::All));
    }
}
