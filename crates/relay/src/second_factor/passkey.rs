//! Passkeys: keys in a phone, a computer or a stick, which sign instead of a password.
//!
//! Each is made so that its device finds it without a user name, and asks its owner for a PIN or a finger; so a passkey is two
//! factors by itself. It is bound to the server's host name by the browser.
//!
//! Spec: <https://www.w3.org/TR/webauthn-3/>
//!
//! # Tricky bits
//!
//! - What a browser answers holds only against the challenge that it was given. That stays here, in memory, for five minutes
//!   and one try; a restart between the two makes people try again.
//! - The browser's answer names the account by bytes that were derived from its DID; which account it is follows from the
//!   passkey, as it is stored, and both must agree.

use std::sync::Arc;

use common::{Clock, Did};
use data_encoding::BASE64URL_NOPAD;
use quick_cache::sync::Cache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Uuid, Webauthn,
    WebauthnBuilder, WebauthnError,
};

use crate::config::Config;
use crate::error::XrpcError;
use crate::state::App;
use crate::store::account::{self, Account};
use crate::store::passkey::{self, Passkey, PasskeyConflict};
use crate::store::{AccountId, Db, StoreError, WriteFailed};

/// Passkeys that an account may have.
const MAX_PER_ACCOUNT: usize = 50;
const MAX_NAME_CHARS: usize = 100;
/// The longest answer of a browser that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Ceremonies that may be under way; the oldest give way.
const MAX_CEREMONIES: usize = 10_000;
/// How long someone may look for their key.
const PATIENCE_MILLIS: i64 = 5 * 60 * 1000;

/// Why a passkey was neither made nor used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeyError {
    #[error("Passkeys need a server that has a host name; this one is reached by its address")]
    Unavailable,
    #[error("That took too long, or was done already; try again")]
    NoCeremony,
    #[error("What the browser sent is not an answer with a passkey")]
    Malformed,
    #[error("The passkey was not accepted; try again, or use another one")]
    Refused(#[source] WebauthnError),
    #[error("This passkey is not known here; sign in another way and add it")]
    Unknown,
    #[error("This passkey is known here already")]
    Known,
    #[error("The name of a passkey has 1 to {MAX_NAME_CHARS} characters")]
    NameLength,
    #[error("An account has at most {MAX_PER_ACCOUNT} passkeys; remove one that is not used")]
    TooMany,
    #[error("passkeys could not be set up")]
    Library(#[source] WebauthnError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<PasskeyConflict> for PasskeyError {
    fn from(err: PasskeyConflict) -> Self {
        match err {
            PasskeyConflict::Known => Self::Known,
            PasskeyConflict::Store(err) => Self::Store(err),
        }
    }
}

impl From<PasskeyError> for XrpcError {
    fn from(err: PasskeyError) -> Self {
        match err {
            PasskeyError::Refused(_) | PasskeyError::Unknown => {
                Self::unauthorized("AuthenticationRequired", err.to_string()).with_cause(err)
            }
            PasskeyError::Unavailable
            | PasskeyError::NoCeremony
            | PasskeyError::Malformed
            | PasskeyError::Known
            | PasskeyError::NameLength
            | PasskeyError::TooMany => Self::invalid_request(err.to_string()),
            PasskeyError::Library(_) => Self::internal(err),
            PasskeyError::Store(err) => err.into(),
            PasskeyError::Write(err) => err.into(),
        }
    }
}

/// What the browser is asked, and by what its answer is known.
#[derive(Debug)]
pub(crate) struct Begun {
    /// To be sent back with the answer.
    pub(crate) ceremony: String,
    /// The argument of `navigator.credentials.create` or `get`, as JSON for `PublicKeyCredential.parse*OptionsFromJSON`.
    pub(crate) options: Value,
}

/// A ceremony that waits for the browser.
#[derive(Clone)]
enum Waiting {
    Registration(AccountId, Box<PasskeyRegistration>),
    Authentication(Box<DiscoverableAuthentication>),
}

/// Makes passkeys and checks them.
pub(crate) struct Passkeys {
    /// `None` when the server has no host name to bind them to.
    webauthn: Option<Webauthn>,
    waiting: Cache<[u8; 16], (i64, Waiting)>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Passkeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passkeys").finish_non_exhaustive()
    }
}

impl Passkeys {
    pub(crate) fn open(config: &Config, clock: Arc<dyn Clock>) -> Self {
        let (url, name) = (config.server.public_url.as_str(), config.server.service_name.as_str());
        Self { webauthn: webauthn(url, name), waiting: Cache::new(MAX_CEREMONIES), clock }
    }

    /// Whether people can have passkeys here.
    pub(crate) fn are_available(&self) -> bool {
        self.webauthn.is_some()
    }

    fn webauthn(&self) -> Result<&Webauthn, PasskeyError> {
        self.webauthn.as_ref().ok_or(PasskeyError::Unavailable)
    }

    fn wait(&self, waiting: Waiting) -> String {
        let id = crate::random::bytes::<16>();
        self.waiting.insert(id, (self.clock.millis() + PATIENCE_MILLIS, waiting));
        BASE64URL_NOPAD.encode(&id)
    }

    /// Takes a ceremony, so that it is tried once.
    fn take(&self, ceremony: &str) -> Result<Waiting, PasskeyError> {
        let id = BASE64URL_NOPAD.decode(ceremony.as_bytes()).map_err(|_| PasskeyError::NoCeremony)?;
        let id: [u8; 16] = id.try_into().map_err(|_| PasskeyError::NoCeremony)?;
        let (_, (good_until, waiting)) = self.waiting.remove(&id).ok_or(PasskeyError::NoCeremony)?;
        if self.clock.millis() < good_until { Ok(waiting) } else { Err(PasskeyError::NoCeremony) }
    }

    fn begin_registration(&self, account: &Account, known: &[Passkey]) -> Result<Begun, PasskeyError> {
        if known.len() >= MAX_PER_ACCOUNT {
            return Err(PasskeyError::TooMany);
        }
        let name = account.handle.as_ref().map_or(account.did.as_str(), common::Handle::as_str);
        let known = known.iter().map(|known| known.credential.cred_id().clone()).collect();
        let (asked, state) = self
            .webauthn()?
            .start_passkey_registration(user_handle(&account.did), name, name, Some(known))
            .map_err(PasskeyError::Library)?;
        let mut options = json(&asked);
        // The library leaves it to the device whether the key can be found without a user name.
        let selection = &mut options["publicKey"]["authenticatorSelection"];
        selection["residentKey"] = "required".into();
        selection["requireResidentKey"] = true.into();
        Ok(Begun { ceremony: self.wait(Waiting::Registration(account.id, Box::new(state))), options })
    }

    fn finish_registration(
        &self,
        account: &Account,
        ceremony: &str,
        name: &str,
        answer: &str,
    ) -> Result<Passkey, PasskeyError> {
        let name = name.trim();
        if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
            return Err(PasskeyError::NameLength);
        }
        let answer: RegisterPublicKeyCredential = parse(answer)?;
        let state = match self.take(ceremony)? {
            Waiting::Registration(id, state) if id == account.id => state,
            Waiting::Registration(..) | Waiting::Authentication(_) => return Err(PasskeyError::NoCeremony),
        };
        let credential = self.webauthn()?.finish_passkey_registration(&answer, &state).map_err(PasskeyError::Refused)?;
        let created_at = self.clock.millis();
        Ok(Passkey { account: account.id, name: name.to_owned(), credential, created_at, last_used_at: None })
    }

    fn begin_authentication(&self) -> Result<Begun, PasskeyError> {
        let (asked, state) = self.webauthn()?.start_discoverable_authentication().map_err(PasskeyError::Library)?;
        let mut options = json(&asked);
        // Whether the browser offers keys in a field or in a dialog is for the page to say.
        options.as_object_mut().and_then(|options| options.remove("mediation"));
        Ok(Begun { ceremony: self.wait(Waiting::Authentication(Box::new(state))), options })
    }

    async fn finish_authentication(&self, db: &Db, ceremony: &str, answer: &str) -> Result<Account, PasskeyError> {
        let answer: PublicKeyCredential = parse(answer)?;
        let state = match self.take(ceremony)? {
            Waiting::Authentication(state) => state,
            Waiting::Registration(..) => return Err(PasskeyError::NoCeremony),
        };
        let webauthn = self.webauthn()?;
        let (user, id) = webauthn.identify_discoverable_authentication(&answer).map_err(PasskeyError::Refused)?;
        let read = |conn: &rusqlite::Connection| {
            let Some(passkey) = passkey::find(conn, id)? else { return Ok::<_, StoreError>(None) };
            Ok(account::find(conn, passkey.account)?.map(|account| (account, passkey)))
        };
        let (account, passkey) = db.read(read).await?.ok_or(PasskeyError::Unknown)?;
        if user != user_handle(&account.did) {
            return Err(PasskeyError::Unknown);
        }
        let mut credential = passkey.credential;
        let result =
            webauthn.finish_discoverable_authentication_v2(&answer, *state, &credential).map_err(PasskeyError::Refused)?;
        credential.update_credential(&result);
        db.write::<_, PasskeyError>(move |tx| Ok(passkey::note_use(tx, &credential, tx.now_millis())?)).await?;
        Ok(account)
    }
}

/// Begins to add a passkey to an account.
pub(crate) async fn begin_registration(app: &App, account: &Account) -> Result<Begun, PasskeyError> {
    let known = app.db.read(|conn| passkey::list(conn, account.id)).await?;
    app.passkeys.begin_registration(account, &known)
}

/// Adds a passkey to an account, from what the browser answered.
pub(crate) async fn finish_registration(
    app: &App,
    account: &Account,
    ceremony: &str,
    name: &str,
    answer: &str,
) -> Result<(), PasskeyError> {
    let new = app.passkeys.finish_registration(account, ceremony, name, answer)?;
    add(&app.db, new).await
}

async fn add(db: &Db, new: Passkey) -> Result<(), PasskeyError> {
    db.write(move |tx| {
        if passkey::count(tx, new.account)? >= MAX_PER_ACCOUNT {
            return Err(PasskeyError::TooMany);
        }
        Ok(passkey::insert(tx, &new)?)
    })
    .await
}

/// Begins to sign in with whatever passkey the person has for this server.
pub(crate) fn begin_authentication(app: &App) -> Result<Begun, PasskeyError> {
    app.passkeys.begin_authentication()
}

/// Returns the account whose passkey signed. Its status is for the caller to look at.
pub(crate) async fn finish_authentication(app: &App, ceremony: &str, answer: &str) -> Result<Account, PasskeyError> {
    app.passkeys.finish_authentication(&app.db, ceremony, answer).await
}

/// Gives a passkey another name.
pub(crate) async fn rename(app: &App, account: AccountId, credential_id: Vec<u8>, name: &str) -> Result<(), PasskeyError> {
    let name = name.trim().to_owned();
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Err(PasskeyError::NameLength);
    }
    let renamed = app.db.write(move |tx| Ok::<_, PasskeyError>(passkey::rename(tx, account, &credential_id, &name)?));
    if renamed.await? { Ok(()) } else { Err(PasskeyError::Unknown) }
}

/// Removes a passkey. Nothing happens when it is gone.
pub(crate) async fn remove(app: &App, account: AccountId, credential_id: Vec<u8>) -> Result<(), PasskeyError> {
    app.db.write(move |tx| Ok::<_, PasskeyError>(passkey::delete(tx, account, &credential_id)?)).await?;
    Ok(())
}

fn webauthn(public_url: &str, service_name: &str) -> Option<Webauthn> {
    let url = Url::parse(public_url).ok()?;
    let host = url.domain()?;
    // The host is the URL's own, so what remains to refuse is an address, which has no domain.
    WebauthnBuilder::new(host, &url).ok()?.rp_name(service_name).build().ok()
}

/// Returns the bytes that stand for an account in its passkeys, always the same.
fn user_handle(did: &Did) -> Uuid {
    let digest = Sha256::digest(format!("passkeys of {did}"));
    Uuid::from_slice(&digest[..16]).expect("16 bytes are a UUID")
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("what browsers are asked consists of what JSON can hold")
}

fn parse<T: serde::de::DeserializeOwned>(answer: &str) -> Result<T, PasskeyError> {
    if answer.len() > MAX_ANSWER_BYTES {
        return Err(PasskeyError::Malformed);
    }
    serde_json::from_str(answer).map_err(|_| PasskeyError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::second_factor::test_authenticator::Authenticator;
    use crate::second_factor::test_support::Fixture;

    const URL: &str = "https://pds.example.com";

    fn passkeys(here: &Fixture) -> Passkeys {
        Passkeys { webauthn: webauthn(URL, "Example"), waiting: Cache::new(10), clock: Arc::clone(&here.clock) as _ }
    }

    /// Adds the passkey of `device` to the account.
    async fn added(here: &Fixture, passkeys: &Passkeys, device: &mut Authenticator) {
        let begun = passkeys.begin_registration(&here.account, &[]).unwrap();
        let answer = device.create(&begun.options, URL);
        let new = passkeys.finish_registration(&here.account, &begun.ceremony, " My phone ", &answer).unwrap();
        assert_eq!(new.name, "My phone");
        add(&here.db, new).await.unwrap();
    }

    #[tokio::test]
    async fn a_passkey_is_made_and_signs_in_without_a_user_name() {
        let here = Fixture::new().await;
        let (passkeys, mut phone) = (passkeys(&here), Authenticator::new(1));
        added(&here, &passkeys, &mut phone).await;

        let begun = passkeys.begin_authentication().unwrap();
        assert_eq!(begun.options.get("mediation"), None);
        assert_eq!(begun.options["publicKey"]["userVerification"], "required");
        let answer = phone.get(&begun.options, URL);
        let account = passkeys.finish_authentication(&here.db, &begun.ceremony, &answer).await.unwrap();
        assert_eq!(account.did, here.account.did);
        let known = here.db.read(|conn| passkey::list(conn, account.id)).await.unwrap();
        assert!(known[0].last_used_at.is_some());

        // Once only.
        let again = passkeys.finish_authentication(&here.db, &begun.ceremony, &answer).await;
        assert!(matches!(again, Err(PasskeyError::NoCeremony)));
    }

    #[tokio::test]
    async fn an_answer_for_another_challenge_site_or_key_is_refused() {
        let here = Fixture::new().await;
        let (passkeys, mut phone, mut other) = (passkeys(&here), Authenticator::new(1), Authenticator::new(2));
        added(&here, &passkeys, &mut phone).await;
        let try_with = async |answer: &dyn Fn(&Value) -> String| {
            let begun = passkeys.begin_authentication().unwrap();
            let answer = answer(&begun.options);
            passkeys.finish_authentication(&here.db, &begun.ceremony, &answer).await.map(|account| account.did)
        };
        let old = passkeys.begin_authentication().unwrap();
        let phone = std::cell::RefCell::new(phone);
        let wrong = try_with(&|_| phone.borrow_mut().get(&old.options, URL)).await;
        assert!(matches!(wrong, Err(PasskeyError::Refused(_))), "{wrong:?}");
        let wrong = try_with(&|asked| phone.borrow_mut().get(asked, "https://pds.example.com.evil.example")).await;
        assert!(matches!(wrong, Err(PasskeyError::Refused(_))), "{wrong:?}");
        let wrong = try_with(&|asked| phone.borrow_mut().without_verification().get(asked, URL)).await;
        assert!(matches!(wrong, Err(PasskeyError::Refused(_))), "{wrong:?}");
        // A key that nobody added here.
        let begun = passkeys.begin_registration(&here.account, &[]).unwrap();
        other.create(&begun.options, URL);
        let other = std::cell::RefCell::new(other);
        let wrong = try_with(&|asked| other.borrow_mut().get(asked, URL)).await;
        assert!(matches!(wrong, Err(PasskeyError::Unknown)), "{wrong:?}");
        for rubbish in ["", "{}", "null", "[1]"] {
            let wrong = try_with(&|_| rubbish.to_owned()).await;
            assert!(matches!(wrong, Err(PasskeyError::Malformed)), "{wrong:?}");
        }
        try_with(&|asked| phone.borrow_mut().get(asked, URL)).await.unwrap();
    }

    #[tokio::test]
    async fn a_ceremony_is_for_one_account_and_five_minutes() {
        let here = Fixture::new().await;
        let (passkeys, mut phone) = (passkeys(&here), Authenticator::new(1));
        let begun = passkeys.begin_registration(&here.account, &[]).unwrap();
        let answer = phone.create(&begun.options, URL);
        let other = Account { id: AccountId(here.account.id.0 + 1), ..here.account.clone() };
        let wrong = passkeys.finish_registration(&other, &begun.ceremony, "phone", &answer);
        assert!(matches!(wrong, Err(PasskeyError::NoCeremony)));

        let begun = passkeys.begin_registration(&here.account, &[]).unwrap();
        let answer = phone.create(&begun.options, URL);
        here.clock.shift_micros(PATIENCE_MILLIS * 1000);
        let late = passkeys.finish_registration(&here.account, &begun.ceremony, "phone", &answer);
        assert!(matches!(late, Err(PasskeyError::NoCeremony)));
    }

    #[tokio::test]
    async fn ten_thousand_ceremonies_do_not_pile_up() {
        let here = Fixture::new().await;
        let passkeys = passkeys(&here);
        for _ in 0..1000 {
            passkeys.begin_authentication().unwrap();
        }
        assert!(passkeys.waiting.len() <= 10);
    }

    #[test]
    fn a_server_without_a_name_has_no_passkeys() {
        assert!(webauthn("http://127.0.0.1:2583", "Example").is_none());
        assert!(webauthn("http://localhost:2583", "Example").is_some());
    }
}
