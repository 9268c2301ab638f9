//! Someone who has given the right password and shall give a code yet.
//!
//! Nothing of it is kept here: the form for the code carries it along, sealed to the browser and to the password, for ten
//! minutes. It opens nothing by itself, and codes are limited where they are checked.

use common::Clock as _;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::device::Device;
use crate::state::App;
use crate::store::account::{self, Account};
use crate::store::{AccountId, StoreError};

const LIFE_MILLIS: i64 = 10 * 60 * 1000;
/// The account, when it ends, whether to remember.
const BODY_BYTES: usize = 8 + 8 + 1;

/// Makes the text that a form carries along.
pub(super) fn seal(app: &App, device: &Device, account: AccountId, password_hash: &str, remember: bool) -> String {
    let mut text = Vec::with_capacity(BODY_BYTES + 32);
    text.extend_from_slice(&account.0.to_be_bytes());
    text.extend_from_slice(&(app.clock.millis() + LIFE_MILLIS).to_be_bytes());
    text.push(u8::from(remember));
    let tag = mac(app, device, &text, password_hash).finalize().into_bytes();
    text.extend_from_slice(&tag);
    BASE64URL_NOPAD.encode(&text)
}

/// Who gave the right password, and which it was.
pub(super) struct Step {
    pub(super) account: Account,
    pub(super) password_hash: String,
    pub(super) remember: bool,
}

/// Opens the text; `None` when it is of another browser, too old, or the password has changed.
pub(super) async fn open(app: &App, device: &Device, text: &str) -> Result<Option<Step>, StoreError> {
    let Ok(text) = BASE64URL_NOPAD.decode(text.as_bytes()) else { return Ok(None) };
    let Some((body, tag)) = text.split_at_checked(BODY_BYTES) else { return Ok(None) };
    let number = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).unwrap_or_default();
    let (id, ends_at, remember) = (AccountId(number(&body[..8])), number(&body[8..16]), body[16] == 1);
    let find = |conn: &rusqlite::Connection| Ok::<_, StoreError>((account::find(conn, id)?, account::password_hash(conn, id)?));
    let (Some(account), Some(password_hash)) = app.db.read(find).await? else { return Ok(None) };
    let is_good = mac(app, device, body, &password_hash).verify_slice(tag).is_ok() && ends_at > app.clock.millis();
    Ok(is_good.then_some(Step { account, password_hash, remember }))
}

fn mac(app: &App, device: &Device, body: &[u8], password_hash: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(app.secrets.jwt_secret()).expect("HMAC takes a key of any length");
    mac.update(b"right password, code to come\0");
    mac.update(&device.id.0);
    mac.update(device.secret());
    mac.update(&Sha256::digest(password_hash));
    mac.update(body);
    mac
}
