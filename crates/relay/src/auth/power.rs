//! What the session of a caller may do, and what apps need in order to call a method.

use http::StatusCode;

use super::Scope;
use crate::error::XrpcError;
use crate::oauth::scope::{AccountAttribute, Actions, Grants, IdentityAttribute, Permission};

/// What a session may do.
#[derive(Clone, Debug)]
pub(crate) enum Power {
    /// A session of a password or app password.
    Session(Scope),
    /// An app that the account's owner let in.
    App(Grants),
}

impl Power {
    /// Whether this is a session of the account's own password.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Session(Scope::Access))
    }

    pub(crate) fn is(&self, scope: Scope) -> bool {
        matches!(self, Self::Session(own) if *own == scope)
    }

    /// Refuses an app that `allows` says no to; sessions are judged by their scope elsewhere.
    pub(super) fn check_app(
        &self,
        allows: impl FnOnce(&Grants) -> bool,
        needed: impl FnOnce() -> Permission,
    ) -> Result<(), XrpcError> {
        match self {
            Self::App(grants) if !allows(grants) => Err(missing_scope(&needed())),
            Self::App(_) | Self::Session(_) => Ok(()),
        }
    }
}

/// Tells an app what it would have had to be granted.
pub(crate) fn missing_scope(needed: &Permission) -> XrpcError {
    XrpcError::new(StatusCode::FORBIDDEN, "ScopeMissingError", format!("Missing required scope \"{needed}\""))
}

/// What an app must have been granted to call a method.
pub(crate) trait AppRule: Send + Sync {
    fn check(grants: &Grants) -> Result<(), XrpcError>;
}

/// Apps may not call the method.
#[derive(Debug)]
pub(crate) struct NoApps;

impl AppRule for NoApps {
    fn check(_: &Grants) -> Result<(), XrpcError> {
        Err(XrpcError::forbidden("Forbidden", "OAuth credentials are not supported for this endpoint"))
    }
}

/// Any app that the owner let in may call the method.
#[derive(Debug)]
pub(crate) struct AnyApp;

impl AppRule for AnyApp {
    fn check(_: &Grants) -> Result<(), XrpcError> {
        Ok(())
    }
}

macro_rules! account_rule {
    ($(#[$meta:meta])* $name:ident, $attribute:ident) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl AppRule for $name {
            fn check(grants: &Grants) -> Result<(), XrpcError> {
                let attribute = AccountAttribute::$attribute;
                let granted = grants.allows_account(attribute, true);
                if granted { Ok(()) } else { Err(missing_scope(&Permission::Account { attribute, manage: true })) }
            }
        }
    };
}

account_rule!(
    /// `account:email?action=manage`
    ManagesEmail,
    Email
);
account_rule!(
    /// `account:repo?action=manage`
    ManagesRepo,
    Repo
);
account_rule!(
    /// `account:status?action=manage`
    ManagesStatus,
    Status
);

macro_rules! identity_rule {
    ($(#[$meta:meta])* $name:ident, $attribute:ident) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl AppRule for $name {
            fn check(grants: &Grants) -> Result<(), XrpcError> {
                let granted = grants.allows_identity(IdentityAttribute::$attribute);
                if granted { Ok(()) } else { Err(missing_scope(&Permission::Identity(IdentityAttribute::$attribute))) }
            }
        }
    };
}

identity_rule!(
    /// `identity:handle`
    ChangesHandle,
    Handle
);
identity_rule!(
    /// `identity:*`
    ChangesIdentity,
    All
);

/// Returns the actions that consist of one.
pub(super) fn only(action: crate::oauth::scope::RepoAction) -> Actions {
    use crate::oauth::scope::RepoAction;
    let mut actions = Actions { create: false, update: false, delete: false };
    match action {
        RepoAction::Create => actions.create = true,
        RepoAction::Update => actions.update = true,
        RepoAction::Delete => actions.delete = true,
    }
    actions
}
