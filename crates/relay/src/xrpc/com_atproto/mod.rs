pub(crate) mod admin;
pub(crate) mod identity;
pub(crate) mod moderation;
pub(crate) mod repo;
pub(crate) mod server;
pub(crate) mod sync;
pub(crate) mod temp;
