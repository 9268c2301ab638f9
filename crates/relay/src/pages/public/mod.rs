//! What everyone may see of the server: how it is, what its operator wrote, and invitations.

pub(crate) mod document;
pub(crate) mod join;
mod prose;
pub(crate) mod status;
