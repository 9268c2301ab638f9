//! Signing in at the old server, and the account here that waits for what it has there.

use common::{Did, Handle};
use crypto::VerifyingKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::look::handle_here;
use super::{Fault, OldServer, Plan, Server, State, UnderWay, look};
use crate::account::{self, Claim, MAX_NEW_PASSWORD_CHARS, NewAccount};
use crate::auth::service;
use crate::pages::account::{MIN_PASSWORD_CHARS, PasswordFault, password_fault};
use crate::state::AppState;
use crate::store::account as accounts;
use crate::store::account::Account;
use crate::store::move_in::{self, NewMoveIn};

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
    let email = given.email.clone().filter(|email| !email.trim().is_empty()).or(signed_in.email);
    let before = UnderWay::find(app, did).await.ok();
    let kept = keep(app, plan, given, email, &old).await;
    // Of the sessions there, only the one that is kept stays.
    match (&kept, before) {
        (Err(_), _) => old.sign_out().await,
        (Ok(()), Some(before)) => {
            if let Ok(before) = before.old(app) {
                before.sign_out().await;
            }
        }
        (Ok(()), None) => {}
    }
    kept
}

/// Keeps the session, for the account that is here or is made.
async fn keep(app: &AppState, plan: &Plan, given: &SignIn, email: Option<String>, old: &OldServer) -> Result<(), Fault> {
    let Plan { did, old_url, .. } = plan;
    let known = app.db.read(|conn| accounts::find_by_did(conn, did)).await?;
    let was_here = known.is_some();
    let account = match known {
        Some(account) => account,
        None => make(app, old, plan, given, email).await?,
    };
    // The log of a did:plc has it.
    let document = if did.is_plc() { None } else { app.identity.resolve_did(did).await.ok() };
    let old_key = document.and_then(|document| document.signing_key().map(VerifyingKey::to_did_key));
    let (sealed, url, handle) = (old.sealed().await, old_url.clone(), plan.old_handle.clone());
    app.db
        .write::<_, Fault>(move |tx| {
            let new = NewMoveIn {
                old_server: &url,
                old_handle: handle.as_ref(),
                old_key: old_key.as_deref(),
                was_here,
                sealed_session: &sealed,
            };
            Ok(move_in::begin(tx, account.id, &new)?)
        })
        .await
}

/// Makes the account, deactivated, once the old server has signed that the DID is the person's.
async fn make(app: &AppState, old: &OldServer, plan: &Plan, given: &SignIn, email: Option<String>) -> Result<Account, Fault> {
    let handle = wanted_handle(app, plan, given.handle.as_deref())?;
    let password = given.new_password.as_ref().filter(|password| !password.is_empty()).unwrap_or(&given.password);
    check_password(password)?;
    let token = old.proof().await?;
    let refused = |err: crate::error::XrpcError| Fault::Refused {
        server: old.name(),
        message: format!("its proof that the account is yours is not good ({})", err.message()),
    };
    let issuer = service::verify(app, &token, "com.atproto.server.createAccount").await.map_err(refused)?;
    if issuer != plan.did {
        return Err(Fault::OtherAccount { found: issuer });
    }
    let new = NewAccount {
        claim: Claim::Moving(plan.did.clone()),
        handle,
        email: email.map(|email| email.trim().to_owned()),
        password: Some(password.clone()),
        invite_code: None,
        by_operator: true,
    };
    account::create(app, new).await?;
    find(app, &plan.did).await
}

/// Checks a password as the pages of this server do. The one there may be of other rules.
fn check_password(password: &str) -> Result<(), Fault> {
    let message = match password_fault(password) {
        None => return Ok(()),
        Some(PasswordFault::TooShort) => format!("one for here has {MIN_PASSWORD_CHARS} characters or more"),
        Some(PasswordFault::TooLong) => format!("one for here has at most {MAX_NEW_PASSWORD_CHARS} characters"),
    };
    Err(Fault::Password { message })
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
