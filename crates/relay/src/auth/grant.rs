//! The right to write to a repo, as a value: what writes asks for it, and only a check of the caller makes one.

use axum::extract::FromRequestParts;
use common::{AtIdentifier, Did, Nsid};
use http::request::Parts;

use super::power::only;
use super::session::{self, Policy as _};
use super::{Auth, Full, ManagesRepo, Power, Standard, check_deactivated, check_takedown, not_active};
use crate::error::XrpcError;
use crate::oauth::scope::{Names, Permission, RepoAction};
use crate::state::AppState;
use crate::store::AccountId;
use crate::store::account::{Account, Status};
use crate::xrpc::com_atproto::repo::find_account;

/// A caller that may write to its own repo, which is active.
#[derive(Debug)]
pub(crate) struct RepoAuth {
    account: Account,
    power: Power,
}

/// The right to write to one repo.
#[derive(Clone, Debug)]
pub(crate) struct RepoGrant {
    account: AccountId,
    did: Did,
}

impl FromRequestParts<AppState> for RepoAuth {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        let (account, power) = session::authenticate(parts, app, Standard::SCOPES).await?;
        Ok(Self { account, power })
    }
}

impl RepoAuth {
    /// Grants doing `writes` in `repo`, which must be the caller's own, by DID or handle.
    ///
    /// # Errors
    ///
    /// 403 `ScopeMissingError` when the caller is an app that was not granted one of them.
    pub(crate) async fn grant<'w>(
        &self,
        app: &AppState,
        repo: &AtIdentifier,
        writes: impl IntoIterator<Item = (RepoAction, &'w Nsid)> + Send,
    ) -> Result<RepoGrant, XrpcError> {
        for (action, collection) in writes {
            self.power.check_app(
                |grants| grants.allows_repo(action, collection),
                || Permission::Repo { collections: Names::Some(vec![collection.clone()]), actions: only(action) },
            )?;
        }
        let own = match repo {
            AtIdentifier::Did(did) => *did == self.account.did,
            AtIdentifier::Handle(handle) => self.account.handle.as_ref() == Some(handle),
        };
        if !own {
            if find_account(app, repo).await?.is_none() {
                return Err(XrpcError::forbidden("AccountNotFound", format!("Could not find repo: {repo}")));
            }
            return Err(XrpcError::unauthorized("AuthenticationRequired", "Authentication Required"));
        }
        check_takedown(&self.account)?;
        check_deactivated(&self.account)?;
        Ok(RepoGrant { account: self.account.id, did: self.account.did.clone() })
    }
}

impl RepoGrant {
    /// Grants replacing the caller's own repo, which its owner alone may do, the account deactivated or not.
    pub(crate) fn for_import(auth: &Auth<Full, ManagesRepo>) -> Result<Self, XrpcError> {
        check_takedown(&auth.account)?;
        Ok(Self { account: auth.account.id, did: auth.account.did.clone() })
    }

    /// Grants filling the repo of an account that moves here, which is nobody's to write to before it has arrived.
    pub(crate) fn for_arrival(account: &Account) -> Result<Self, XrpcError> {
        match account.status {
            Status::Deactivated => Ok(Self { account: account.id, did: account.did.clone() }),
            Status::Active | Status::Takendown | Status::Suspended => Err(not_active(account.status)),
        }
    }

    pub(crate) fn account(&self) -> AccountId {
        self.account
    }

    pub(crate) fn did(&self) -> &Did {
        &self.did
    }
}
