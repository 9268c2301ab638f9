//! `relay doctor --fix`: what can be mended without harm, since one change is plainly right and none can lose anything. It
//! does what the findings say that it does ([`Finding::fixable`](super::Finding)).

mod files;
mod server;
mod service;

use std::collections::BTreeSet;

use super::evaluate;
use super::facts::{Facts, FolderState};

/// What was mended, as a sentence; or what could not be, and why.
pub(crate) type Mended = Result<String, String>;

/// Mends what can be, and tells of each thing.
pub(crate) async fn fix(facts: &Facts) -> Vec<Mended> {
    let findings = evaluate(facts);
    let ids: BTreeSet<&str> = findings.iter().filter(|finding| finding.fixable).map(|finding| finding.id).collect();
    let mut mended = Vec::new();
    if let FolderState::Writable { open, foreign, .. } = &facts.folder.state {
        if ids.contains("disk.owner") {
            mended.extend(foreign.iter().map(|path| files::give_back(&facts.folder.path, path)));
        }
        if ids.contains("disk.perm") {
            mended.extend(open.iter().map(|(path, mode)| files::close(path, *mode, 0o700)));
        }
    }
    if ids.contains("secrets.perm") {
        let ours = facts.secrets.iter().filter(|file| file.ours);
        mended.extend(ours.map(|file| files::close(&file.path, file.mode, 0o770)));
    }
    if let Some(installed) = &facts.service {
        if ids.contains("service") {
            mended.push(service::enable(installed));
        }
        if ids.contains("server") {
            mended.push(service::start(installed, &facts.folder.path).await);
        }
    }
    if ids.contains("crawler.reading") || ids.contains("crawler.told") {
        mended.extend(server::tell_crawlers(&facts.folder.path).await);
    }
    if ids.contains("backup.age") {
        mended.push(server::back_up(&facts.folder.path).await);
    }
    mended
}
