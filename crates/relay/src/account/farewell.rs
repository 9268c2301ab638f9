//! Deleting an account at the wish of its owner, after some days in which they can change their mind.
//!
//! The account is deactivated and signed out everywhere at once. Whoever signs in before the day has come can keep it; so can an
//! app that activates the account.

use common::Clock as _;

use super::{delete, status};
use crate::error::XrpcError;
use crate::mail::{Delivery, farewell_letter};
use crate::state::AppState;
use crate::store::account::{self, Account};
use crate::store::web_session::DeviceId;
use crate::store::{app_password, session, web_session};

/// Accounts that are deleted in one turn of the task.
const AT_A_TIME: usize = 20;

/// Deactivates an account, to be deleted after the days of the configuration, signs it out but for one browser, and tells the
/// owner by mail.
pub(crate) async fn delete_later(app: &AppState, account: &Account, stays: DeviceId) -> Result<(), XrpcError> {
    let delete_at = app.clock.millis() + app.config.accounts.deletion_grace.as_millis() as i64;
    let id = account.id;
    app.db
        .write::<_, XrpcError>(move |tx| {
            let now = tx.now_millis();
            account::deactivate(tx, id, now, None)?;
            account::set_delete_at(tx, id, Some(delete_at))?;
            app_password::delete_all(tx, id)?;
            session::delete_of_clients(tx, id)?;
            web_session::delete_others(tx, stays, id)?;
            let row =
                account::find(tx, id)?.ok_or_else(|| XrpcError::bad_request("AccountNotFound", "Could not find account"))?;
            Ok(status::announce_status(tx, &row)?)
        })
        .await?;
    tracing::info!(did = %account.did, "the owner deleted the account; it goes after the days of grace");
    tell(app, account, delete_at);
    Ok(())
}

fn tell(app: &AppState, account: &Account, delete_at: i64) {
    let (Some(email), Ok(place)) = (account.email.clone(), app.mail.place()) else { return };
    let name = account.handle.as_ref().map_or_else(|| account.did.to_string(), |handle| format!("@{handle}"));
    let day = common::Datetime::from_millis(delete_at).as_str().chars().take(10).collect::<String>();
    let letter = farewell_letter(&app.config.server, &name, &day);
    let (owned, did) = (app.clone(), account.did.clone());
    app.mail.in_background(async move {
        match owned.mail.send(place, &email, &letter).await {
            Ok(Delivery::Sent | Delivery::NoServer) => {}
            Err(err) => {
                tracing::warn!(%did, error = &err as &dyn std::error::Error, "the owner was not told of the deletion by mail");
            }
        }
    });
}

/// Deletes the accounts whose day has come, and returns how many.
pub(crate) async fn delete_due(app: AppState) -> Result<usize, XrpcError> {
    let now = app.clock.millis();
    let due = app.db.read(|conn| account::list_due(conn, now, AT_A_TIME)).await?;
    let mut deleted = 0;
    for account in &due {
        if app.stop.is_cancelled() {
            break;
        }
        let (id, did) = (account.id, account.did.clone());
        let removed = app
            .db
            .write::<_, XrpcError>(move |tx| {
                // The owner may have come back since the list was made.
                if account::delete_at(tx, id)?.is_none_or(|delete_at| delete_at > now) {
                    return Ok(None);
                }
                Ok(Some(delete::remove(tx, id, &did)?))
            })
            .await?;
        if let Some(deletion) = removed {
            delete::finish_soon(&app, deletion, &account.did).await;
            deleted += 1;
        }
    }
    Ok(deleted)
}
