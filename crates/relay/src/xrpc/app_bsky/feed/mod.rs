//! `app.bsky.feed.*`: feeds that others make.

pub(crate) mod get_feed;
