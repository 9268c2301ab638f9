//! `com.atproto.temp.*`: methods that the protocol tries out.

pub(crate) mod add_reserved_handle;
pub(crate) mod check_handle_availability;
pub(crate) mod check_signup_queue;
pub(crate) mod dereference_scope;
pub(crate) mod revoke_account_credentials;
