//! Apps that act for users: the OAuth authorization server, and what it protects.
//!
//! An app pushes what it asks (a [`Request`]) and sends its user here with a reference to that. The pages sign the user in and
//! ask for consent ([`authorize`]), which makes a session of the app, known by a code at first. The app redeems the code for
//! tokens that are bound to its key, and gets new ones for as long as the session lasts. What a session may do is told by its
//! scopes ([`scope`]); an access token names its session, which is looked up at each call, so that what is revoked is over.
//!
//! Spec: <https://atproto.com/specs/oauth>

pub(crate) mod authorize;
pub(crate) mod grants;
mod request;
pub(crate) mod scope;

pub(crate) use request::{Client, ClientAuth, Prompt, Request, ResponseMode};
