//! The PDS: everything with an effect. The map of the modules:
//!
//! - [`cli`] and [`config`]: what the operator says; [`server`] and `state`: how it runs; [`router`]: every route.
//! - `xrpc`: the protocol's methods, one file each, by NSID; `auth`: who calls; `extract`: with what; `error`: what they are told.
//! - `oauth`: apps that act for users, and what those let them do.
//! - `layers` and `limits`: what applies to every request, and how much a client may ask.
//! - `lexicon`: schemas that are not compiled in, from the network.
//! - `crawlers`: how far those have read whom the server is announced to.
//! - `account`, `repo`, `blob`, `firehose`, [`identity`]: the use cases behind the methods.
//! - `pages`: what people see in their browser.
//! - `second_factor`: what signing in takes besides the password, and passkeys.
//! - `gateway`: the router in front of this machine, and its ports.
//! - `move_in`: moves an account here from another server.
//! - `setup`: the first run, in the terminal and in the browser.
//! - [`tls`]: certificates and how connections begin with them.
//! - `update`: a new version of the program, and the way back.
//! - `backup`: copies of everything, and the way back.
//! - `store`: SQLite. `tasks`: periodic work. `telemetry`, `status`, `notice`: how the operator sees and hears how it goes.
//!   [`plc_directory`]: the did:plc directory of `relay dev`.

mod account;
mod adopt;
mod auth;
mod background;
mod backup;
mod blob;
mod bulk;
pub mod cli;
pub mod clock;
pub mod config;
mod control;
mod crawlers;
mod data_dir;
mod digest;
mod doctor;
mod error;
mod extract;
mod file_limit;
mod firehose;
mod gateway;
pub mod identity;
mod layers;
mod lexicon;
mod limits;
mod mail;
mod move_in;
mod notice;
mod oauth;
mod pages;
pub mod plc_directory;
mod qr;
mod random;
mod repo;
pub mod router;
mod s3;
mod second_factor;
mod secrets;
pub mod server;
mod service;
mod service_manager;
mod setup;
pub mod state;
mod status;
mod store;
mod support_bundle;
mod tasks;
mod telemetry;
pub mod tls;
mod update;
mod verify;
mod web;
mod well_known;
mod work;
mod xrpc;
