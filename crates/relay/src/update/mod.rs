//! `relay update`: a new version of the program in the place of this one, and the way back.
//!
//! 1. The index of releases ([`index`]) and the program that it names are fetched ([`fetch`]) and their signatures verified
//!    ([`signature`]). Nothing that is not signed is run.
//! 2. The new program brings a copy of the database to its own form, while the old one serves ([`rehearsal`]).
//! 3. The server stops; database and program are kept ([`keep`]); the new program takes the old one's place in one step.
//! 4. The new one is started and watched ([`watch`]). If the form of the database changed, it takes no writes meanwhile
//!    ([`probation`]). When it is not well, program and data are put back.
//!
//! **Invariant:** an acknowledged write is never lost to an update: data is put back only over a time in which nothing was
//! acknowledged.

mod data;
pub(crate) mod error;
mod fetch;
mod index;
mod installed;
mod keep;
pub(crate) mod probation;
mod rehearsal;
mod run;
mod signature;
mod watch;

pub use data::DataStep;
pub(crate) use data::carry_out as carry_out_step;
pub(crate) use error::UpdateError;
pub(crate) use fetch::{Releases, newest};
pub(crate) use rehearsal::rehearse;
pub(crate) use run::{Service, Updater};
pub use signature::ReleaseKey;

/// The folder, in the data folder, of what an update needs and keeps.
const FOLDER: &str = "update";
