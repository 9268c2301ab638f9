//! `app.bsky.*`: what a PDS answers itself, or adds to the answers of the AppView.

pub(crate) mod actor;
pub(crate) mod age_assurance;
pub(crate) mod feed;
pub(crate) mod notification;
pub(crate) mod read_after_write;
