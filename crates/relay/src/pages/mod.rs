//! The pages that people see in their browser: signing in, agreeing to what an app may do, their account.
//!
//! They are rendered here and work without scripts, passkeys apart. What holds for all of them is in [`guard`]: they are served
//! under the server's own name only, never in a frame, never to another site's scripts, and load nothing from elsewhere.
//!
//! - A handler takes a [`Visitor`] and answers with [`Visitor::page`]; one that is for somebody takes a [`SignedIn`].
//! - What a form sends is taken by a [`CsrfForm`].
//! - All words are in [`texts`], a file for each language.
//!
//! **Architecture Invariant:** a path of a page is added to the router by `Table::form` or `Table::view` alone, which see that
//! the guard knows it.

pub(crate) mod account;
pub(crate) mod assets;
pub(crate) mod authorize;
mod cookies;
mod csrf;
mod destination;
mod device;
mod error_page;
mod frame;
mod guard;
pub(crate) mod language;
pub(crate) mod public;
mod session;
mod step;
pub(crate) mod switch_language;
pub(crate) mod texts;
mod visitor;

pub(crate) use cookies::find as find_cookie;
pub(crate) use csrf::{CsrfForm, CsrfJson};
pub(crate) use destination::{Destination, ShownApp};
pub(crate) use frame::Frame;
pub(crate) use guard::{CallTarget, FormTarget, check_origin, guard, is_page, put_headers};
pub(crate) use language::Language;
pub(crate) use session::{SignedIn, WebSessionError, begin, end, signed_in_accounts, sweep, switch_to};
pub(crate) use visitor::{Visitor, local_path, see_other};
