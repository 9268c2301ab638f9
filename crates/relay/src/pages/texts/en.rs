//! English.

use super::{Common, ErrorTexts, Home, SignIn, Texts};

pub(crate) const TEXTS: Texts = Texts {
    common: Common {
        skip_to_content: "Skip to content",
        language: "Language",
        support: "Help",
        privacy_policy: "Privacy policy",
        terms: "Terms of service",
        contact: "Contact",
        back: "Back",
        cancel: "Cancel",
        continue_: "Continue",
        error_prefix: "Error: ",
        optional: "optional",
    },
    error: ErrorTexts {
        stale_title: "This page is out of date",
        stale_text: "Nothing was changed. Go back, load the page again, and repeat your last step. \
                     If this keeps happening, check that your browser accepts cookies.",
        too_many_title: "Too many attempts",
        too_many_text: "To keep accounts safe, only so many attempts are allowed. Wait a few minutes, then try again.",
        busy_title: "The server is busy",
        busy_text: "Nothing was changed. Wait a moment, then try again.",
        invalid_title: "That did not work",
        invalid_text: "The server did not understand this request. Go back and try again.",
        internal_title: "Something went wrong",
        internal_text: "This is a fault of the server, not yours. Try again in a few minutes. \
                        If it keeps happening, tell whoever runs this server.",
        detail: "Details for support",
        to_account: "Go to your account",
    },
    sign_in: SignIn {
        title: "Sign in",
        lead: |service| format!("to your account at {service}"),
        identifier: "Handle or e-mail address",
        identifier_hint: "For example alice.example.com",
        password: "Password",
        remember: "Stay signed in",
        remember_hint: "Leave this off on a computer that others use too.",
        submit: "Sign in",
        wrong: "The name or the password is wrong. Check both and try again.",
        app_password: "This looks like an app password. Those are for apps; sign in here with the password of your account.",
        taken_down: "This account was closed by whoever runs this server. Ask them what you can do.",
        busy: "Too many people are signing in right now. Wait a moment, then try again.",
        too_many: "Too many attempts to sign in. Wait a few minutes, then try again.",
        too_many_accounts: "Too many accounts are signed in in this browser. Sign out of one of them first.",
        changed: "Your account or its password was changed just now. Sign in again.",
    },
    home: Home {
        title: "Your account",
        signed_in_as: "Signed in as",
        did: "Permanent identifier (DID)",
        sign_out: "Sign out",
        other_accounts: "Other accounts in this browser",
        switch_to: |handle| format!("Switch to {handle}"),
        add_account: "Sign in to another account",
        signed_out: "You are signed out.",
    },
};
