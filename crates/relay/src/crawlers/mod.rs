//! The crawlers that are told of this server, and how far each of them has read.
//!
//! A crawler remembers the `seq` that it read last. When the server's own is smaller, as after an older backup was restored,
//! it takes new events for old ones and ignores them, without a word to anyone. So each is asked now and then
//! (`com.atproto.sync.getHostStatus`), and what it said is kept for the operator ([`Report`], [`Report::judge`]).

mod ask;
mod report;

pub(crate) use ask::ask_all;
pub(crate) use report::{Answer, HostStatus, Report};

use crate::config::Config;

/// Returns the name that crawlers know this server by; `None` for one at localhost, where no crawler gets.
pub(crate) fn own_name(config: &Config) -> Option<String> {
    let public_url = &config.server.public_url;
    if public_url.is_local() {
        return None;
    }
    Some(match public_url.port() {
        Some(port) => format!("{}:{port}", public_url.host()),
        None => public_url.host().to_owned(),
    })
}
