//! The checks, each a pure function of the facts and of what was found before.

pub(super) mod accounts;
pub(super) mod acme;
pub(super) mod address;
pub(super) mod backup;
pub(super) mod clock;
pub(super) mod crawlers;
pub(super) mod dns;
pub(super) mod folder;
pub(super) mod machine;
pub(super) mod mail;
pub(super) mod public;
pub(super) mod release;
pub(super) mod renewal;
pub(super) mod router;
pub(super) mod secrets;
pub(super) mod server;
pub(super) mod services;
