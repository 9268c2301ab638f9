//! `com.atproto.moderation.*`: reports, which moderation services take.

pub(crate) mod create_report;
