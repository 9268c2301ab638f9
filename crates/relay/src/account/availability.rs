//! Whether a handle is free, and which like it are.

use common::Handle;

use super::handle::{HandleRuleError, Place, check_handle};
use crate::error::XrpcError;
use crate::state::App;
use crate::store::{StoreError, account, reserved_handle};

/// Handles that are suggested at most.
const SUGGESTIONS: usize = 3;
/// Numbers that are tried at the end of a name.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=30;

/// Whether someone may have a handle here.
#[derive(Debug)]
pub(crate) enum Availability {
    Free,
    /// It is taken or not to be had; these are free.
    Taken(Vec<Handle>),
}

/// Looks whether a handle is free.
///
/// # Errors
///
/// When no account could have it at all, whoever else has it.
pub(crate) async fn availability(app: &App, handle: &Handle) -> Result<Availability, XrpcError> {
    let domains = &app.config.identity.handle_domains;
    match check_handle(handle, domains, false) {
        Ok(Place::Hosted) | Err(HandleRuleError::Reserved) => {}
        Ok(Place::External) => return Err(XrpcError::bad_request("UnsupportedDomain", "Not a supported handle domain")),
        Err(err) => return Err(XrpcError::bad_request("InvalidHandle", err.to_string())),
    }
    let is_free = |conn: &rusqlite::Connection, handle: &Handle| {
        let allowed = matches!(check_handle(handle, domains, false), Ok(Place::Hosted));
        Ok::<_, StoreError>(
            allowed && account::find_by_handle(conn, handle)?.is_none() && !reserved_handle::covers(conn, handle)?,
        )
    };
    let look = |conn: &rusqlite::Connection| {
        if is_free(conn, handle)? {
            return Ok::<_, StoreError>(Availability::Free);
        }
        let (name, domain) = handle.as_str().split_once('.').expect("a handle has two parts or more");
        let mut free = Vec::new();
        for number in NUMBERS {
            // Too long with a number; then there is nothing to suggest.
            let Ok(candidate) = format!("{name}{number}.{domain}").parse() else { break };
            if is_free(conn, &candidate)? {
                free.push(candidate);
                if free.len() == SUGGESTIONS {
                    break;
                }
            }
        }
        Ok(Availability::Taken(free))
    };
    Ok(app.db.read(look).await?)
}
