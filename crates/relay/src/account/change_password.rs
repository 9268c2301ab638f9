//! Another password, at the wish of an owner who is signed in.

use super::password;
use crate::error::XrpcError;
use crate::state::App;
use crate::store::web_session::DeviceId;
use crate::store::{AccountId, account, oauth_session, session, web_session};

/// Sets a password, and signs out everything that the old one or a browser opened, but for the browser that asks. App passwords
/// have been given out one by one, and stay.
pub(crate) async fn change_password(app: &App, id: AccountId, password: &str, stays: DeviceId) -> Result<(), XrpcError> {
    if !(1..=password::MAX_NEW_CHARS).contains(&password.chars().count()) {
        return Err(XrpcError::invalid_request(format!("A password has 1 to {} characters", password::MAX_NEW_CHARS)));
    }
    let hash = app.passwords.hash(password).await?;
    app.db
        .write::<_, XrpcError>(move |tx| {
            account::set_password_hash(tx, id, &hash)?;
            session::delete_of_password(tx, id)?;
            oauth_session::delete_all(tx, id)?;
            Ok(web_session::delete_others(tx, stays, id)?)
        })
        .await
}
