//! The operator's verbs against a running server: a socket in the data folder.
//!
//! `relay account ...` needs the data folder to itself, unless a server has it; then the verb goes to that server through
//! `control.sock`, which only the owner of the folder can reach. Requests and answers are JSON over HTTP.

mod client;
mod move_in;
mod server;

pub(crate) use client::{ControlClient, ControlError};
pub(crate) use server::ControlSocket;

/// Name of the socket in the data folder.
const SOCKET: &str = "control.sock";
