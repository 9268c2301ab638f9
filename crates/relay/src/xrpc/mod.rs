//! The protocol's methods. An NSID is a path: `com.atproto.repo.getRecord` is `com_atproto/repo/get_record.rs`.

pub(crate) mod app_bsky;
pub(crate) mod com_atproto;
pub(crate) mod health;
pub(crate) mod json;
pub(crate) mod proxy;
