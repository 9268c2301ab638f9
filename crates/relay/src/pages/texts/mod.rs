//! Every word of the pages: one value of [`Texts`] for each language, so that a missing text does not compile.
//!
//! Where a text has something in the middle, it is a function.

mod account;
mod de;
mod doctor;
mod en;
mod moving;
mod setup;

pub(crate) use account::AccountTexts;
pub(crate) use de::TEXTS as GERMAN;
pub(crate) use doctor::DoctorTexts;
pub(crate) use en::TEXTS as ENGLISH;
pub(crate) use moving::MovingTexts;
pub(crate) use setup::SetupTexts;

/// A text with one thing in it.
pub(crate) type With = fn(&str) -> String;

/// All texts in one language.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) common: Common,
    pub(crate) error: ErrorTexts,
    pub(crate) sign_in: SignIn,
    pub(crate) sign_in_code: SignInCode,
    pub(crate) sign_in_link: SignInLink,
    pub(crate) sign_up: SignUp,
    pub(crate) authorize: Authorize,
    pub(crate) forgot_password: ForgotPassword,
    pub(crate) reset_password: ResetPassword,
    pub(crate) home: Home,
    pub(crate) front: Front,
    pub(crate) public: Public,
    pub(crate) account: AccountTexts,
    pub(crate) setup: SetupTexts,
    pub(crate) moving: MovingTexts,
    pub(crate) doctor: DoctorTexts,
}

/// What several pages say.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) skip_to_content: &'static str,
    pub(crate) language: &'static str,
    pub(crate) support: &'static str,
    pub(crate) privacy_policy: &'static str,
    pub(crate) terms: &'static str,
    pub(crate) contact: &'static str,
    /// With the name of an app.
    pub(crate) to_go_on_to: With,
    pub(crate) back_to: With,
    /// In front of a page's title when something is wrong.
    pub(crate) error_prefix: &'static str,
}

#[derive(Debug)]
pub(crate) struct ErrorTexts {
    pub(crate) stale_title: &'static str,
    pub(crate) stale_text: &'static str,
    pub(crate) not_found_title: &'static str,
    pub(crate) not_found_text: &'static str,
    pub(crate) too_many_title: &'static str,
    pub(crate) too_many_text: &'static str,
    pub(crate) busy_title: &'static str,
    pub(crate) busy_text: &'static str,
    pub(crate) invalid_title: &'static str,
    pub(crate) invalid_text: &'static str,
    pub(crate) internal_title: &'static str,
    pub(crate) internal_text: &'static str,
    pub(crate) detail: &'static str,
    pub(crate) to_account: &'static str,
}

#[derive(Debug)]
pub(crate) struct SignIn {
    pub(crate) title: &'static str,
    pub(crate) lead: With,
    pub(crate) identifier: &'static str,
    pub(crate) identifier_hint: &'static str,
    pub(crate) password: &'static str,
    pub(crate) remember: &'static str,
    pub(crate) remember_hint: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) wrong: &'static str,
    pub(crate) app_password: &'static str,
    pub(crate) taken_down: &'static str,
    pub(crate) busy: &'static str,
    pub(crate) too_many: &'static str,
    pub(crate) too_many_accounts: &'static str,
    pub(crate) changed: &'static str,
    pub(crate) forgot: &'static str,
    pub(crate) no_account: &'static str,
    pub(crate) sign_up: &'static str,
    pub(crate) password_was_reset: &'static str,
    pub(crate) passkey: &'static str,
    pub(crate) or: &'static str,
    pub(crate) passkey_wrong: &'static str,
    pub(crate) passkey_failed: &'static str,
}

/// A link that signs in.
#[derive(Debug)]
pub(crate) struct SignInLink {
    pub(crate) title: &'static str,
    /// With the handle.
    pub(crate) lead: With,
    pub(crate) token: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) over_title: &'static str,
    pub(crate) over: &'static str,
    pub(crate) password: &'static str,
}

#[derive(Debug)]
pub(crate) struct SignInCode {
    pub(crate) title: &'static str,
    pub(crate) totp: &'static str,
    pub(crate) mail: &'static str,
    pub(crate) code: &'static str,
    pub(crate) backup: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) send_mail: &'static str,
    pub(crate) send_again: &'static str,
    pub(crate) back: &'static str,
    pub(crate) wrong: &'static str,
    pub(crate) too_many: &'static str,
}

/// Letting an app in.
#[derive(Debug)]
pub(crate) struct Authorize {
    pub(crate) choose_title: &'static str,
    pub(crate) other_account: &'static str,
    /// With the name of the app.
    pub(crate) title: With,
    pub(crate) development: &'static str,
    pub(crate) as_account: &'static str,
    pub(crate) not_you: &'static str,
    pub(crate) untick: &'static str,
    /// With the host of the app.
    pub(crate) trust: With,
    pub(crate) trust_development: &'static str,
    pub(crate) allow: &'static str,
    pub(crate) deny: &'static str,
    pub(crate) technical: &'static str,
    pub(crate) app_policy: &'static str,
    pub(crate) app_terms: &'static str,
    pub(crate) broken_title: &'static str,
    pub(crate) broken_text: &'static str,
    pub(crate) over_title: &'static str,
    pub(crate) over_text: &'static str,
    pub(crate) other_device_title: &'static str,
    pub(crate) other_device_text: &'static str,
    pub(crate) no_account_title: &'static str,
    pub(crate) no_account_text: &'static str,
    /// A bundle of permissions could not be looked up.
    pub(crate) set_title: &'static str,
    pub(crate) set_text: &'static str,
    pub(crate) scopes: Scopes,
}

/// What an app may do.
#[derive(Debug)]
pub(crate) struct Scopes {
    pub(crate) basics: &'static str,
    pub(crate) sets: &'static str,
    pub(crate) data: &'static str,
    pub(crate) messages: &'static str,
    pub(crate) account: &'static str,
    pub(crate) services: &'static str,
    pub(crate) atproto: &'static str,
    pub(crate) atproto_hint: &'static str,
    pub(crate) generic: &'static str,
    pub(crate) generic_hint: &'static str,
    pub(crate) chat: &'static str,
    pub(crate) email_read: &'static str,
    pub(crate) email_manage: &'static str,
    pub(crate) email_manage_warning: &'static str,
    pub(crate) repo_read: &'static str,
    pub(crate) repo_manage: &'static str,
    pub(crate) repo_manage_warning: &'static str,
    pub(crate) status_read: &'static str,
    pub(crate) status_manage: &'static str,
    pub(crate) status_manage_warning: &'static str,
    pub(crate) handle: &'static str,
    pub(crate) handle_warning: &'static str,
    pub(crate) identity: &'static str,
    pub(crate) identity_warning: &'static str,
    pub(crate) create: &'static str,
    pub(crate) update: &'static str,
    pub(crate) delete: &'static str,
    pub(crate) and: &'static str,
    /// With what is done: create, change, delete.
    pub(crate) repo_all: With,
    pub(crate) repo_all_hint: &'static str,
    pub(crate) repo_some: With,
    pub(crate) posts: &'static str,
    pub(crate) likes: &'static str,
    pub(crate) reposts: &'static str,
    pub(crate) follows: &'static str,
    pub(crate) blocks: &'static str,
    pub(crate) lists: &'static str,
    pub(crate) list_blocks: &'static str,
    pub(crate) starter_packs: &'static str,
    pub(crate) feeds: &'static str,
    pub(crate) gates: &'static str,
    pub(crate) profile: &'static str,
    pub(crate) status: &'static str,
    pub(crate) any_service: &'static str,
    /// With the name of a service.
    pub(crate) rpc_all: With,
    pub(crate) rpc_some: With,
    pub(crate) upload_any: &'static str,
    /// With kinds of files.
    pub(crate) upload: With,
    pub(crate) pictures: &'static str,
    pub(crate) videos: &'static str,
    pub(crate) sound: &'static str,
}

#[derive(Debug)]
pub(crate) struct SignUp {
    pub(crate) title: &'static str,
    pub(crate) lead: With,
    pub(crate) invite: &'static str,
    pub(crate) invite_hint: &'static str,
    pub(crate) invite_missing: &'static str,
    pub(crate) invite_wrong: &'static str,
    pub(crate) handle: &'static str,
    pub(crate) handle_hint: With,
    pub(crate) domain: &'static str,
    pub(crate) handle_characters: &'static str,
    pub(crate) handle_too_short: &'static str,
    pub(crate) handle_too_long: &'static str,
    pub(crate) handle_taken: &'static str,
    /// With handles that are free.
    pub(crate) handle_taken_try: With,
    /// With the handle; `{handle}` is where the script of the page puts it.
    pub(crate) handle_free: &'static str,
    pub(crate) email: &'static str,
    pub(crate) email_hint: &'static str,
    pub(crate) email_wrong: &'static str,
    pub(crate) email_taken: &'static str,
    pub(crate) password: &'static str,
    pub(crate) password_hint: With,
    pub(crate) password_too_short: &'static str,
    pub(crate) password_too_long: &'static str,
    pub(crate) agree: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) have_account: &'static str,
    pub(crate) sign_in: &'static str,
}

#[derive(Debug)]
pub(crate) struct ForgotPassword {
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) email: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) have_code: &'static str,
    pub(crate) back: &'static str,
}

#[derive(Debug)]
pub(crate) struct ResetPassword {
    pub(crate) title: &'static str,
    pub(crate) sent: &'static str,
    pub(crate) code: &'static str,
    pub(crate) code_hint: &'static str,
    pub(crate) wrong_code: &'static str,
    pub(crate) password: &'static str,
    pub(crate) too_short: &'static str,
    pub(crate) too_long: &'static str,
    pub(crate) everywhere: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) again: &'static str,
}

/// The server's front page.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) lead: &'static str,
    /// With the host of an app.
    pub(crate) apps: With,
    pub(crate) account: &'static str,
    pub(crate) sign_up: &'static str,
    pub(crate) sign_up_by_invite: &'static str,
    pub(crate) host: &'static str,
    pub(crate) questions: &'static str,
    pub(crate) programs: &'static str,
}

/// What is for everyone: the state of the server, invitations, and the first steps.
#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) status: &'static str,
    pub(crate) status_title: &'static str,
    pub(crate) status_up: &'static str,
    pub(crate) status_reading: &'static str,
    pub(crate) status_down: &'static str,
    pub(crate) server: &'static str,
    pub(crate) software: &'static str,
    pub(crate) accounts: &'static str,
    pub(crate) sign_up: &'static str,
    pub(crate) open: &'static str,
    pub(crate) by_invite: &'static str,
    pub(crate) to_front: &'static str,
    /// With the name of the server.
    pub(crate) join_title: With,
    pub(crate) join_lead: &'static str,
    pub(crate) join_phone: &'static str,
    pub(crate) join_scan: &'static str,
    pub(crate) join_over_title: &'static str,
    pub(crate) join_over: &'static str,
    pub(crate) welcome: &'static str,
    pub(crate) welcome_lead: &'static str,
    /// With the host of the app.
    pub(crate) welcome_open: With,
    pub(crate) welcome_provider: &'static str,
    pub(crate) welcome_name: &'static str,
    pub(crate) open_app: With,
}

#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) title: &'static str,
    pub(crate) did: &'static str,
    pub(crate) sign_out: &'static str,
    pub(crate) switch_to: With,
    pub(crate) add_account: &'static str,
    pub(crate) signed_out: &'static str,
}
