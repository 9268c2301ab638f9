//! Callers whose call another service answers, or might.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use common::Nsid;
use http::request::Parts;

use super::session::{self, Policy};
use super::{Power, Standard};
use crate::error::XrpcError;
use crate::oauth::scope::{Audience, Names, Permission};
use crate::state::AppState;
use crate::store::account::Account;

/// A caller with an access token that the policy `P` accepts. Its account is reached by [`RpcAuth::permit`] alone, since what an app
/// may call depends on the service.
#[derive(Debug)]
pub(crate) struct RpcAuth<P = Standard> {
    account: Account,
    power: Power,
    policy: PhantomData<P>,
}

impl<P: Policy> FromRequestParts<AppState> for RpcAuth<P> {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, XrpcError> {
        let (account, power) = session::authenticate(parts, app, P::SCOPES).await?;
        Ok(Self { account, power, policy: PhantomData })
    }
}

impl<P> RpcAuth<P> {
    pub(crate) fn power(&self) -> &Power {
        &self.power
    }

    /// Permits calling `method` of `service` (a DID, with `#` and the entry in its document), and returns who calls. A method that is
    /// `None` stands for all of them.
    ///
    /// # Errors
    ///
    /// 403 `ScopeMissingError` when the caller is an app that was not granted this.
    pub(crate) fn permit(&self, method: Option<&Nsid>, service: &str) -> Result<&Account, XrpcError> {
        self.power.check_app(
            |grants| grants.allows_rpc(method, service),
            || Permission::Rpc {
                methods: method.map_or(Names::All, |method| Names::Some(vec![method.clone()])),
                audience: Audience::Service(service.to_owned()),
            },
        )?;
        Ok(&self.account)
    }
}
