//! The accounts of this server: making one, signing in, inviting, leaving.
//!
//! # Tricky bits
//!
//! - A new did:plc is in the directory before its account is in the database: the directory may refuse, and the account must
//!   not be there without it. So a DID is noted first, and tombstoned when it gets no account ([`pending_did`]).
//! - Who asks whether an account exists by trying to sign in learns nothing from the answer, nor from when it comes
//!   ([`session`]).

mod app_password;
pub(crate) mod archive;
mod availability;
mod change_email;
mod change_handle;
mod change_password;
mod create;
mod delete;
mod did_operations;
mod did_turns;
mod directory;
mod email;
mod email_token;
mod farewell;
mod handle;
mod invite;
mod moderate;
pub(crate) mod operator;
mod password;
mod pending_did;
mod publish_key;
mod reset_password;
mod rotate_rotation_key;
mod rotate_signing_key;
mod session;
pub(crate) mod sign_in_link;
pub(crate) mod sign_ins;
mod signing_key;
mod status;
#[cfg(test)]
pub(crate) mod test_support;
mod zip;

pub(crate) use app_password::{AppPasswordError, create_app_password, revoke_app_password};
pub(crate) use availability::{Availability, availability};
pub(crate) use change_email::{ChangeEmailError, EmailChange, confirm_email, update_email};
pub(crate) use change_handle::change_handle;
pub(crate) use change_password::change_password;
pub(crate) use create::{Claim, CreateError, NewAccount, create};
pub(crate) use delete::{delete, delete_own, finish_deletions};
pub(crate) use did_operations::{DidChange, DidOperationError, recommended_did, sign_did_change, submit_did_change};
pub(crate) use did_turns::DidTurns;
pub(crate) use directory::DirectoryError;
pub(crate) use email::{Email, EmailError};
pub(crate) use email_token::{MailCodeError, ShownCode, WrongCode, mail_code, take_code};
pub(crate) use farewell::{delete_due, delete_later};
pub(crate) use handle::HandleRuleError;
pub(crate) use invite::{create_codes, list_codes};
pub(crate) use moderate::{Takedown, judge_account, judge_blob, judge_record};
pub(crate) use password::{MAX_NEW_CHARS as MAX_NEW_PASSWORD_CHARS, Passwords};
pub(crate) use pending_did::{Creations, settle_pending_dids};
pub(crate) use publish_key::publish_key;
pub(crate) use reset_password::{ResetPasswordError, request_password_reset, reset_password};
pub(crate) use rotate_rotation_key::rotate_rotation_key;
pub(crate) use rotate_signing_key::{RotateSigningKey, RotatedSigningKey, rotate_for_operator};
pub(crate) use session::{
    LoginAttempt, Session, SessionError, check_password, log_in, log_out, looks_like_app_password, refresh, sweep_sessions,
};
pub(crate) use sign_ins::Origin;
pub(crate) use signing_key::reserve_signing_key;
pub(crate) use status::{ActivateError, activate, check_did, counts, deactivate};
