//! The words of moving an account here.

mod de;
mod en;

pub(super) use de::TEXTS as GERMAN;
pub(super) use en::TEXTS as ENGLISH;

use super::With;

#[derive(Debug)]
pub(crate) struct MovingTexts {
    pub(crate) title: &'static str,
    /// On the page of a new account.
    pub(crate) offer: &'static str,
    pub(crate) offer_text: &'static str,
    pub(crate) account: &'static str,
    pub(crate) find: &'static str,
    pub(crate) comes: &'static str,
    pub(crate) messages: &'static str,
    pub(crate) handle_comes: &'static str,
    /// With the old server.
    pub(crate) handle_stays: With,
    /// With the old server.
    pub(crate) nothing_yet: With,
    /// With the old server.
    pub(crate) password: With,
    pub(crate) password_hint: &'static str,
    pub(crate) handle: &'static str,
    pub(crate) new_password: &'static str,
    pub(crate) new_password_hint: &'static str,
    pub(crate) email_hint: &'static str,
    pub(crate) begin: &'static str,
    /// With the old server.
    pub(crate) factor_lead: With,
    pub(crate) code: &'static str,
    /// With an amount of data.
    pub(crate) copying_repo: With,
    /// With how many, and of how many.
    pub(crate) copying_blobs: fn(&str, &str) -> String,
    pub(crate) copying_hint: &'static str,
    pub(crate) stopped: &'static str,
    pub(crate) again: &'static str,
    /// With the numbers of records and blobs.
    pub(crate) copied: fn(&str, &str) -> String,
    /// With the old server and how many.
    pub(crate) missing: fn(&str, &str) -> String,
    /// With the old server.
    pub(crate) last_step: With,
    pub(crate) document: &'static str,
    pub(crate) send_code: &'static str,
    pub(crate) another_code: &'static str,
    /// With the old server.
    pub(crate) code_of: With,
    pub(crate) move_now: &'static str,
    pub(crate) end: &'static str,
    pub(crate) back: &'static str,
    pub(crate) give_up: &'static str,
    /// With the old server.
    pub(crate) give_up_hint: With,
    pub(crate) unknown: &'static str,
    pub(crate) already_here: &'static str,
    pub(crate) unreachable: &'static str,
    pub(crate) rate_limited: &'static str,
    pub(crate) wrong_password: &'static str,
    pub(crate) app_password: &'static str,
    pub(crate) needs_factor: &'static str,
    pub(crate) wrong_code: &'static str,
    pub(crate) session_over: &'static str,
    pub(crate) document_wrong: &'static str,
    pub(crate) busy: &'static str,
    pub(crate) refused: &'static str,
    pub(crate) handle_wrong: &'static str,
    pub(crate) email_wrong: &'static str,
    pub(crate) password_wrong: &'static str,
    pub(crate) too_large: &'static str,
    pub(crate) bad_repo: &'static str,
    pub(crate) directory: &'static str,
    pub(crate) too_late: &'static str,
    pub(crate) stopping: &'static str,
    pub(crate) failed: &'static str,
}
