//! Whether what is sealed opens.

use crypto::seal;
use crypto::{Curve, SigningKey};

use super::finding::Kind;
use super::{Phase, Run};
use crate::secrets::sealed::{self, Place};

pub(super) fn check(run: &mut Run<'_>) {
    let Some(master) = run.master else { return };
    let total = run.conn.query_row("SELECT count(*) FROM account", [], |row| row.get::<_, i64>(0)).unwrap_or_default();
    run.begin(Phase::Secrets, total as u64);
    let conn = run.conn;
    let result = sealed::each(conn, |value| {
        if run.options.account.is_some() && value.account != run.options.account {
            return Ok(());
        }
        let opened = seal::open(master, &value.context, &value.bytes);
        let is_key =
            |bytes: &[u8]| bytes.try_into().is_ok_and(|bytes: &[u8; 32]| SigningKey::from_bytes(Curve::K256, bytes).is_ok());
        let wrong = match (&opened, &value.place) {
            (Err(err), _) => Some(err.to_string()),
            (Ok(bytes), Place::SigningKey { .. } | Place::PendingSigningKey { .. } | Place::ReservedKey { .. })
                if !is_key(bytes) =>
            {
                Some("it is not a key".to_owned())
            }
            (Ok(_), _) => None,
        };
        if let Some(wrong) = wrong {
            let (kind, what) = match &value.place {
                Place::Meta(name) => (Kind::SecretUnopenable, format!("The server's secret {name}")),
                Place::SigningKey { .. } => (Kind::SigningKeyUnopenable, "The account's signing key".to_owned()),
                Place::PendingSigningKey { did } => {
                    (Kind::SecretUnopenable, format!("The signing key of {did}, whose account was not finished,"))
                }
                Place::ReservedKey { id } => (Kind::SecretUnopenable, format!("The reserved signing key {id}")),
                Place::Totp { .. } => (Kind::SecretUnopenable, "The secret of the authenticator app".to_owned()),
                Place::OldSession { .. } => (Kind::SecretUnopenable, "The session on the old server".to_owned()),
                Place::TlsKey { name } => (Kind::SecretUnopenable, format!("The key of the certificate of {name}")),
                Place::AcmeAccount { directory } => {
                    (Kind::SecretUnopenable, format!("The account at the certificate authority {directory}"))
                }
                Place::Code { purpose, .. } => (Kind::SecretUnopenable, format!("A code for {purpose}")),
            };
            run.find(kind, value.account.as_ref(), format!("{what} cannot be opened: {wrong}."));
        }
        if matches!(value.place, Place::SigningKey { .. }) {
            run.advance(Phase::Secrets, 1);
        }
        Ok(())
    });
    if let Err(err) = result {
        run.unreadable(None, "The sealed secrets", &err);
    }
}
