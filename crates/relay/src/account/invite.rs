//! Invite codes: made by the operator, or earned by accounts as time goes by.

use common::Did;
use data_encoding::BASE32_NOPAD;
use rusqlite::Connection;

use crate::config::Accounts;
use crate::state::App;
use crate::store::account::Account;
use crate::store::invite::{self, ADMIN, InviteCode, InviteUse};
use crate::store::{AccountId, StoreError, WriteFailed, standing};

/// Earned codes that an account may have open at once.
const MAX_OPEN: usize = 5;

/// Why codes were not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InviteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<InviteError> for crate::error::XrpcError {
    fn from(err: InviteError) -> Self {
        match err {
            InviteError::Store(err) => err.into(),
            InviteError::Write(err) => err.into(),
        }
    }
}

/// Makes a code: the server's name, so that people know what it opens, and 50 random bits.
fn new_code(host: &str) -> String {
    let mut random = BASE32_NOPAD.encode(&crate::random::bytes::<7>());
    random.make_ascii_lowercase();
    format!("{}-{}-{}", host.replace('.', "-"), &random[..5], &random[5..10])
}

/// Makes `count` codes for each of `owners`, by the operator. Each code makes `uses` accounts; an owner is a DID or [`ADMIN`].
pub(crate) async fn create_codes(
    app: &App,
    owners: Vec<String>,
    count: usize,
    uses: u32,
) -> Result<Vec<(String, Vec<String>)>, InviteError> {
    let host = app.config.server.public_url.host().to_owned();
    app.db
        .write(move |tx| {
            let created_at = tx.now_millis();
            let mut made = Vec::with_capacity(owners.len());
            for owner in owners {
                let mut codes = Vec::with_capacity(count);
                for _ in 0..count {
                    let code = new_code(&host);
                    invite::insert(
                        tx,
                        &InviteCode {
                            code: code.clone(),
                            available_uses: uses,
                            disabled: false,
                            for_account: owner.clone(),
                            created_by: ADMIN.into(),
                            created_at,
                        },
                    )?;
                    codes.push(code);
                }
                made.push((owner, codes));
            }
            Ok(made)
        })
        .await
}

/// A code with the accounts that were made with it.
pub(crate) type CodeWithUses = (InviteCode, Vec<InviteUse>);

/// Lists the codes that an account may give away; with `earn`, those that it has earned by now are made before.
pub(crate) async fn list_codes(app: &App, account: &Account, earn: bool) -> Result<Vec<CodeWithUses>, InviteError> {
    let did = account.did.clone();
    let codes = app.db.read(|conn| invite::list_for_account(conn, &did)).await?;
    let (rules, id, created_at) = (app.config.accounts.clone(), account.id, account.created_at);
    if !earn
        || app.db.read(|conn| may_not_earn(conn, account.id)).await?
        || earned(&rules, &did, created_at, &codes, common::Clock::millis(&*app.clock)) == 0
    {
        return Ok(codes);
    }
    let host = app.config.server.public_url.host().to_owned();
    app.db
        .write(move |tx| {
            // Asked again, so that two callers at once earn no more than one.
            let codes = invite::list_for_account(tx, &did)?;
            if may_not_earn(tx, id)? {
                return Ok(codes);
            }
            let now = tx.now_millis();
            for _ in 0..earned(&rules, &did, created_at, &codes, now) {
                let code = InviteCode {
                    code: new_code(&host),
                    available_uses: 1,
                    disabled: false,
                    for_account: did.to_string(),
                    created_by: did.to_string(),
                    created_at: now,
                };
                invite::insert(tx, &code)?;
            }
            Ok(invite::list_for_account(tx, &did)?)
        })
        .await
}

/// Whether the operator ended an account's earning of codes.
fn may_not_earn(conn: &Connection, account: AccountId) -> Result<bool, StoreError> {
    Ok(standing::find(conn, account)?.is_none_or(|standing| standing.invites_disabled))
}

/// Returns how many codes an account has earned that it does not have: one in each interval since it was made, or since the
/// operator began to count, as long as no more than [`MAX_OPEN`] are open.
fn earned(rules: &Accounts, did: &Did, created_at: i64, codes: &[CodeWithUses], now: i64) -> usize {
    let Some(interval) = rules.invite_interval else { return 0 };
    let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let since = created_at.max(rules.invite_epoch_ms);
    let could_have = usize::try_from((now - since) / interval).unwrap_or(0);
    let own = || codes.iter().filter(|(code, _)| code.created_by == did.as_str());
    let have = own().filter(|(code, _)| code.created_at >= since).count();
    let open = own().filter(|(code, uses)| !code.disabled && (code.available_uses as usize) > uses.len()).count();
    could_have.saturating_sub(have).min(MAX_OPEN.saturating_sub(open))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;

    fn rules() -> Accounts {
        Accounts {
            invite_required: true,
            invite_interval: Some(Duration::from_secs(24 * 3600)),
            invite_epoch_ms: 0,
            accept_disposable_mail: false,
            deletion_grace: Duration::ZERO,
            did_doc_in_session: false,
        }
    }

    fn did() -> Did {
        "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap()
    }

    fn codes(count: usize, created_by: &str, used: bool) -> Vec<CodeWithUses> {
        let code = InviteCode {
            code: "x".into(),
            available_uses: 1,
            disabled: false,
            for_account: did().to_string(),
            created_by: created_by.into(),
            created_at: DAY,
        };
        let uses = if used { vec![InviteUse { used_by: did(), used_at: DAY }] } else { Vec::new() };
        vec![(code, uses); count]
    }

    #[test]
    fn codes_are_earned_with_time_up_to_five_open_ones() {
        let earned = |codes: &[CodeWithUses], now| earned(&rules(), &did(), 0, codes, now);
        assert_eq!(earned(&[], DAY - 1), 0);
        assert_eq!(earned(&[], 2 * DAY), 2);
        assert_eq!(earned(&[], 100 * DAY), 5);
        assert_eq!(earned(&codes(3, did().as_str(), false), 100 * DAY), 2);
        assert_eq!(earned(&codes(3, did().as_str(), true), 4 * DAY), 1);
        // What the operator gave does not count.
        assert_eq!(earned(&codes(5, ADMIN, false), 2 * DAY), 2);
        // A clock that stepped back earns nothing.
        assert_eq!(earned(&[], -DAY), 0);
    }

    #[test]
    fn a_code_names_the_server() {
        let code = new_code("pds.example.com");
        let random = code.strip_prefix("pds-example-com-").unwrap();
        assert_eq!((random.len(), random.as_bytes()[5]), (11, b'-'));
    }

    #[tokio::test]
    async fn a_code_makes_as_many_accounts_as_it_says_however_many_come_at_once() {
        let (_dir, db, _clock) = crate::account::test_support::db();
        let code = InviteCode {
            code: "pds-abcde-fghij".into(),
            available_uses: 2,
            disabled: false,
            for_account: ADMIN.into(),
            created_by: ADMIN.into(),
            created_at: 0,
        };
        db.write::<_, InviteError>(move |tx| Ok(invite::insert(tx, &code)?)).await.unwrap();
        let take = |code: &'static str, number: usize| {
            let who: Did = format!("did:web:user{number}.test").parse().unwrap();
            db.write::<_, InviteError>(move |tx| Ok(invite::take(tx, code, &who, 1)?))
        };
        assert!(!take("pds-other-code0", 0).await.unwrap());
        let taken = futures_util::future::join_all((0..50).map(|number| take("pds-abcde-fghij", number))).await;
        assert_eq!(taken.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 2);
        let uses = db.read::<_, StoreError>(|conn| invite::list_uses(conn, "pds-abcde-fghij")).await.unwrap();
        assert_eq!(uses.len(), 2);
    }
}
