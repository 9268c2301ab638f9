//! Signing in at the old server, and the account here that waits for what it has there.

use common::{Did, Handle};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::look::handle_here;
use super::{Fault, OldServer, Plan, Server, State, look};
use crate::account::{self, Claim, NewAccount};
use crate::auth::service;
use crate::state::AppState;
use crate::store::account as accounts;
use crate::store::account::Account;
use crate::store::move_in;

/// What the person says.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignIn {
    /// The handle or DID of the account.
    pub(crate) account: String,
    /// The main password there.
    pub(crate) password: String,
    /// The code that was mailed to sign in with.
    pub(crate) factor: Option<String>,
    /// The handle here, or what stands in front of the server's domain in it; without, the one that [`look`] proposes.
    pub(crate) handle: Option<String>,
    /// The mail address; without, the one there.
    pub(crate) email: Option<String>,
    /// The password here; without, the one there.
    pub(crate) new_password: Option<String>,
}

impl Drop for SignIn {
    fn drop(&mut self) {
        self.password.zeroize();
        self.new_password.zeroize();
    }
}

/// Signs in at the old server and makes the account here. Where that was done, the session is a new one, and nothing else.
pub(crate) async fn begin(app: &AppState, given: SignIn) -> Result<State, Fault> {
    let plan = look(app, &given.account).await?;
    let did = plan.did.clone();
    let (task, did_here) = (app.clone(), did.clone());
    // A browser that goes away must not leave an account without its session.
    let begun = async move {
        let _turn = task.moves.begin(&did_here)?;
        carry_out(&task, &plan, &given).await
    };
    app.to_end(begun).await?;
    super::state(app, &did).await
}

async fn carry_out(app: &AppState, plan: &Plan, given: &SignIn) -> Result<(), Fault> {
    let Plan { did, old_url, .. } = plan;
    let server = Server::new(app, old_url)?;
    let factor = given.factor.as_deref().filter(|code| !code.trim().is_empty());
    let signed_in = server.sign_in(did, &given.password, factor).await?;
    let old = OldServer::new(app, server, did.clone(), None, signed_in.tokens);
    let known = app.db.read(|conn| accounts::find_by_did(conn, did)).await?;
    let account = if let Some(account) = known {
        account
    } else {
        let email = given.email.clone().filter(|email| !email.trim().is_empty()).or(signed_in.email);
        make(app, &old, plan, given, email).await?
    };
    let (sealed, url, handle) = (old.sealed().await, old_url.clone(), plan.old_handle.clone());
    app.db.write::<_, Fault>(move |tx| Ok(move_in::begin(tx, account.id, &url, handle.as_ref(), &sealed)?)).await
}

/// Makes the account, deactivated, once the old server has signed that the DID is the person's.
async fn make(app: &AppState, old: &OldServer, plan: &Plan, given: &SignIn, email: Option<String>) -> Result<Account, Fault> {
    let handle = wanted_handle(app, plan, given.handle.as_deref())?;
    let token = old.proof().await?;
    let refused = |err: crate::error::XrpcError| Fault::Refused {
        server: old.name(),
        message: format!("its proof that the account is yours is not good ({})", err.message()),
    };
    let issuer = service::verify(app, &token, "com.atproto.server.createAccount").await.map_err(refused)?;
    if issuer != plan.did {
        return Err(Fault::OtherAccount { found: issuer });
    }
    let password = given.new_password.clone().filter(|password| !password.is_empty());
    let new = NewAccount {
        claim: Claim::Moving(plan.did.clone()),
        handle,
        email: email.map(|email| email.trim().to_owned()),
        password: Some(password.unwrap_or_else(|| given.password.clone())),
        invite_code: None,
        by_operator: true,
    };
    account::create(app, new).await?;
    find(app, &plan.did).await
}

async fn find(app: &AppState, did: &Did) -> Result<Account, Fault> {
    let found = app.db.read(|conn| accounts::find_by_did(conn, did)).await?;
    found.ok_or_else(|| Fault::NotUnderWay { did: did.clone() })
}

fn wanted_handle(app: &AppState, plan: &Plan, given: Option<&str>) -> Result<Handle, Fault> {
    let given = given.map(str::trim).filter(|given| !given.is_empty());
    let handle = match given {
        Some(given) => handle_here(app, given),
        None => plan.new_handle.clone(),
    };
    let handle =
        handle.ok_or_else(|| Fault::Handle { message: "it has letters, digits and dashes, as in alice".to_owned() })?;
    // Only the person's own domain can come along.
    let hosted = app.config.identity.handle_domains.iter().any(|domain| domain.strip(handle.as_str()).is_some());
    if !hosted && plan.old_handle.as_ref() == Some(&handle) && !plan.keeps_handle {
        let message = format!("{handle} belongs to {}, and stays there", plan.old_server);
        return Err(Fault::Handle { message });
    }
    Ok(handle)
}
