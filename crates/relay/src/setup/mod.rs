//! The first run: from an empty folder to a server that people reach by its name.
//!
//! [`Answers`] is what the person has said so far, and [`Answers::step`] what is asked next; both are pure, and so is the
//! configuration that follows from them ([`config_text`]). [`Setup`] keeps the answers on the disk, one step at a time, and does
//! what a step asks for: it looks at DNS and at ports, orders the certificate, sends a mail, makes the account. The terminal
//! (`cli::setup`) and the pages ([`web`]) are two faces of it.
//!
//! **Invariants:** until the last step there is no `relay.toml`, so a set-up that was cut off goes on where it was. Passwords are
//! in no file but the one that the server reads them from.

mod answers;
mod dns_rows;
mod file;
mod finish;
mod keeping;
mod live;
mod moving;
mod place;
mod reach;
pub(crate) mod web;
mod work;

pub(crate) use answers::{AccountAnswer, Answers, BackupAnswer, MailAnswer, MailSecurity, Speaker, Step};
pub(crate) use dns_rows::{NameState, Names, Row};
pub(crate) use finish::{Ending, service_is_possible};
pub(crate) use keeping::{KeepError, read_answers};
pub(crate) use moving::MoveFault;
pub(crate) use place::{Machine, Place, is_configured};
pub(crate) use reach::{Location, PortState, Reach};
pub(crate) use work::{AccountFault, MailFault, MailInput, NewPerson, Setup, WorkError};
