//! What an app may do: the scopes of AT Protocol, as types.
//!
//! [`parse::parse`] reads one scope; [`Grants`] is what a session may do, and answers the questions that the endpoints ask. Scopes
//! that nobody knows are dropped by [`parse_known`], as the network's servers do, so that apps can ask for what is to come.
//!
//! Spec: <https://atproto.com/specs/permission>

mod grants;
mod parse;
mod set;

use common::Nsid;

pub(crate) use grants::Grants;
pub(crate) use parse::parse_known;
pub(crate) use set::expand;

/// The scope that every session has.
pub(crate) const ATPROTO: &str = "atproto";

/// One scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Knowing who the account is.
    Atproto,
    /// All that an app password may do, but chats.
    TransitionGeneric,
    /// Reading the account's mail address.
    TransitionEmail,
    /// Calling the methods of chats.
    TransitionChat,
    /// Writing records.
    Repo { collections: Names, actions: Actions },
    /// Calling services in the account's name.
    Rpc { methods: Names, audience: Audience },
    /// Uploading blobs, of media types such as `image/png`, `image/*` and `*/*`.
    Blob { accept: Vec<String> },
    /// Reading or changing something of the account.
    Account { attribute: AccountAttribute, manage: bool },
    /// Changing who the account is.
    Identity(IdentityAttribute),
    /// A set of permissions that its lexicon lists.
    Include { set: Nsid, audience: Option<String> },
}

/// Collections or methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    All,
    Some(Vec<Nsid>),
}

/// The service that calls may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Any,
    /// A DID, with `#` and the service's entry in its document.
    Service(String),
}

/// What may be done with records; at least one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Actions {
    pub(crate) create: bool,
    pub(crate) update: bool,
    pub(crate) delete: bool,
}

/// What is done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RepoAction {
    Create,
    Update,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountAttribute {
    Email,
    Repo,
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentityAttribute {
    Handle,
    /// The handle, and all else in the DID document.
    All,
}

impl Names {
    fn contains(&self, name: &Nsid) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(name),
        }
    }
}

impl Actions {
    pub(crate) const ALL: Self = Self { create: true, update: true, delete: true };

    const fn contains(self, action: RepoAction) -> bool {
        match action {
            RepoAction::Create => self.create,
            RepoAction::Update => self.update,
            RepoAction::Delete => self.delete,
        }
    }
}

impl AccountAttribute {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Repo => "repo",
            Self::Status => "status",
        }
    }
}

impl IdentityAttribute {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::All => "*",
        }
    }
}
