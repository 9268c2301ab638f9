//! Who signed in lately, and a mail to the owner when that was on a new device.
//!
//! A browser is known by its device cookie. An app that signs in with the password has none; it is known by what it calls
//! itself and the network that it comes from, so that a script which signs in at every run makes one mail and not a thousand.

use std::net::IpAddr;

use common::{Clock as _, Datetime};
use sha2::{Digest as _, Sha256};

use crate::mail::{Delivery, sign_in_letter};
use crate::state::{App, AppState};
use crate::store::account::{self, Account};
use crate::store::sign_in::{self, SignIn};
use crate::store::{AccountId, BatchTx, StoreError};

/// Sign-ins of an account that are remembered.
const KEPT: usize = 50;
/// And for how long.
const KEPT_MILLIS: i64 = 90 * 24 * 3600 * 1000;

/// Where someone signs in from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// What the browser or app calls itself.
    pub(crate) user_agent: String,
    pub(crate) ip: String,
    /// The name of the browser, which its cookie holds; apps have none.
    pub(crate) browser: Option<[u8; 16]>,
}

impl Origin {
    /// Returns by what the device is known.
    fn device(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        if let Some(browser) = &self.browser {
            hash.update(b"browser ");
            hash.update(browser);
        } else {
            hash.update(b"app ");
            hash.update(network(&self.ip));
            hash.update(&self.user_agent);
        }
        hash.finalize().into()
    }
}

/// Returns the part of an address that stays when a provider gives out another one.
fn network(ip: &str) -> Vec<u8> {
    match ip.parse() {
        Ok(IpAddr::V4(ip)) => ip.octets()[..3].to_vec(),
        Ok(IpAddr::V6(ip)) => ip.octets()[..6].to_vec(),
        Err(_) => ip.as_bytes().to_vec(),
    }
}

/// A sign-in that the owner should hear of.
#[derive(Debug)]
pub(crate) struct Alarm {
    account: Account,
    origin: Origin,
    at: i64,
}

/// Notes that someone signed in, in the transaction that begins the session. Returns what to tell the owner, if anything: the
/// very first device is new to nobody.
pub(crate) fn note(tx: &BatchTx<'_>, id: AccountId, origin: &Origin) -> Result<Option<Alarm>, StoreError> {
    let (at, device) = (tx.now_millis(), origin.device());
    let known = sign_in::list(tx, id, KEPT)?;
    let new = SignIn { at, user_agent: origin.user_agent.clone(), ip: origin.ip.clone(), device };
    sign_in::insert(tx, id, &new, at - KEPT_MILLIS, KEPT)?;
    if known.is_empty() || known.iter().any(|known| known.device == device) || !account::wants_sign_in_alerts(tx, id)? {
        return Ok(None);
    }
    Ok(account::find(tx, id)?.map(|account| Alarm { account, origin: origin.clone(), at }))
}

/// Mails the owner, without anyone waiting for it.
pub(crate) fn raise(app: &AppState, alarm: Option<Alarm>) {
    let Some(alarm) = alarm.filter(|alarm| alarm.account.email.is_some() && app.mail.can_send()) else { return };
    let place = match app.mail.place() {
        Ok(place) => place,
        Err(err) => {
            let (did, error) = (&alarm.account.did, &err as &dyn std::error::Error);
            tracing::warn!(%did, error, "the owner was not told of a new device");
            return;
        }
    };
    let owned = app.clone();
    app.mail.in_background(async move {
        let Alarm { account, origin, at } = alarm;
        let Some(email) = account.email.as_deref() else { return };
        let name = account.handle.as_ref().map_or_else(|| account.did.to_string(), |handle| format!("@{handle}"));
        let time = Datetime::from_millis(at);
        let letter = sign_in_letter(&owned.config.server, &name, &describe(&origin.user_agent), &origin.ip, time.as_str());
        let did = &account.did;
        match owned.mail.send(place, email, &letter).await {
            Ok(Delivery::Sent) => tracing::info!(%did, "told the owner of a new device"),
            Ok(Delivery::NoServer) => {}
            Err(err) => {
                tracing::warn!(%did, error = &err as &dyn std::error::Error, "the owner was not told of a new device");
            }
        }
    });
}

/// Returns the newest sign-ins of an account.
pub(crate) async fn list(app: &App, id: AccountId, limit: usize) -> Result<Vec<SignIn>, StoreError> {
    let begins = app.clock.millis() - KEPT_MILLIS;
    let found = app.db.read(|conn| sign_in::list(conn, id, limit)).await?;
    Ok(found.into_iter().filter(|sign_in| sign_in.at >= begins).collect())
}

/// Says what a device is, from what it calls itself: its browser and system where they are known, else its own words.
pub(crate) fn describe(user_agent: &str) -> String {
    // In this order, since most browsers also call themselves by the names of others.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Macintosh", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let known =
        |names: &[(&str, &'static str)]| names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    match (known(&BROWSERS), known(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) if user_agent.trim().is_empty() => "?".to_owned(),
        (None, _) => user_agent.split_whitespace().next().unwrap_or("?").chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_described_as_people_know_them() {
        for (user_agent, device) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox, Linux"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.0 \
                 Mobile/15E148 Safari/604.1",
                "Safari, iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 \
                 Edg/130.0",
                "Edge, Windows",
            ),
            ("python-requests/2.32 (bot)", "python-requests/2.32"),
            ("", "?"),
        ] {
            assert_eq!(describe(user_agent), device);
        }
    }

    #[test]
    fn an_app_is_the_same_device_in_its_network() {
        let app = |user_agent: &str, ip: &str| Origin { user_agent: user_agent.into(), ip: ip.into(), browser: None }.device();
        assert_eq!(app("bot/1", "192.0.2.1"), app("bot/1", "192.0.2.77"));
        assert_eq!(app("bot/1", "2001:db8:1::1"), app("bot/1", "2001:db8:1:2::9"));
        assert_ne!(app("bot/1", "192.0.2.1"), app("bot/1", "198.51.100.1"));
        assert_ne!(app("bot/1", "192.0.2.1"), app("bot/2", "192.0.2.1"));
        let browser = |id: u8| Origin { browser: Some([id; 16]), ..Origin::default() }.device();
        assert_ne!(browser(1), browser(2));
    }
}
