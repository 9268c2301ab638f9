//! The accounts of this server: making one, signing in, inviting, leaving.
//!
//! # Tricky bits
//!
//! - A new did:plc is in the directory before its account is in the database: the directory may refuse, and the account must
//!   not be there without it. When the database then refuses, the DID is tombstoned ([`create`]).
//! - Who asks whether an account exists by trying to sign in learns nothing from the answer, nor from when it comes
//!   ([`session`]).

mod app_password;
mod change_handle;
mod create;
mod delete;
mod did_turns;
mod email;
mod handle;
mod invite;
pub(crate) mod operator;
mod password;
mod session;
mod status;
#[cfg(test)]
mod test_support;

pub(crate) use app_password::{create_app_password, revoke_app_password};
pub(crate) use change_handle::change_handle;
pub(crate) use create::{Claim, NewAccount, create};
pub(crate) use did_turns::DidTurns;
pub(crate) use delete::{delete, finish_deletions};
pub(crate) use email::{Email, EmailError};
pub(crate) use invite::{create_codes, list_codes};
pub(crate) use password::Passwords;
pub(crate) use session::{LoginAttempt, Session, log_in, log_out, refresh, sweep_sessions};
pub(crate) use status::{activate, check_did, counts, deactivate};
