//! `relay adopt`: takes over the data folder of the official PDS, in place of moving its accounts one by one.
//!
//! # How
//!
//! What the old server kept is read only ([`folder`]), and must belong to nobody meanwhile. Each account is one transaction:
//! its row, sessions, passwords and preferences, its repo as it is, head and rev included, and its blobs, whose bytes are durable
//! before ([`carry`]). Before a repo is stored it is read as a stranger's would be: every block is hashed, the tree is built anew
//! from its records, the commit's signature is checked ([`repo`]). One that fails is set aside, and the rest goes on.
//!
//! The note of [`mark`] says what was begun. So a run that was cut off goes on where it was, and a server does not start on half
//! of the accounts.
//!
//! # What the network sees
//!
//! Nothing but a short silence: heads, revs and keys are the same, and DIDs lead where they led. The old server's last events are
//! kept with their `seq` ([`events`]), and ours are above them, so a consumer goes on from its cursor.

mod account;
mod apps;
mod blobs;
mod carry;
mod env_file;
mod error;
mod events;
mod folder;
mod look;
mod mark;
mod repo;
mod report;
mod settings;

pub(crate) use carry::{Request, carry, rotation_key};
pub(crate) use env_file::EnvFile;
pub(crate) use error::AdoptError;
pub(crate) use folder::Folder;
pub(crate) use look::look;
pub(crate) use mark::is_unfinished;
pub(crate) use report::{Problem, Report, Severity};
pub(crate) use settings::{Correspondence, correspond, disagreements};

/// Is told how far it is: bytes that are done, and all.
pub(crate) type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);
