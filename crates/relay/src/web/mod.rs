//! The pages that people see.

pub(crate) mod dev_mail;
pub(crate) mod home;
pub(crate) mod not_found;
pub(crate) mod robots;
pub(crate) mod tls_check;
