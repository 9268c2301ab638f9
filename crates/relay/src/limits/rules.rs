//! What is limited, and how much. The table is the official PDS's.

use std::fmt::Write as _;

/// Points that a write costs.
pub(crate) const CREATE_POINTS: u32 = 3;
pub(crate) const UPDATE_POINTS: u32 = 2;
pub(crate) const DELETE_POINTS: u32 = 1;

/// A span of time in which so many points may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    /// All requests of an address.
    Requests,
    /// `sync.getRepo`, which [`Window::Requests`] does not count: a crawler has many repos to fetch.
    Exports,
    WritesPerHour,
    WritesPerDay,
    CreateAccount,
    CreateSession,
    CreateSessionPerDay,
    DeleteAccount,
    ResetPassword,
    RequestPasswordReset,
    RequestPasswordResetPerDay,
    RequestAccountDelete,
    RequestAccountDeletePerDay,
    RequestEmailConfirmation,
    RequestEmailConfirmationPerDay,
    RequestEmailUpdate,
    RequestEmailUpdatePerDay,
    UpdateHandle,
    UpdateHandlePerDay,
    UploadBlobPerDay,
    ReserveSigningKey,
    SetUpFactor,
    BeginPasskey,
    Join,
    PushRequest,
    Token,
    EndToken,
}

/// How many points a window has, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) points: u32,
    pub(crate) seconds: u32,
    /// Both, as the `RateLimit-Policy` header has them.
    pub(crate) policy: &'static str,
}

macro_rules! quota {
    ($points:literal in $seconds:literal) => {
        Quota { points: $points, seconds: $seconds, policy: concat!($points, ";w=", $seconds) }
    };
}

impl Window {
    pub(crate) const fn quota(self) -> Quota {
        match self {
            Self::Requests => quota!(3000 in 300),
            Self::Exports => quota!(6000 in 300),
            Self::WritesPerHour => quota!(5000 in 3600),
            Self::WritesPerDay => quota!(35000 in 86400),
            // A passkey that is asked for waits in memory, where the oldest make room.
            Self::CreateAccount | Self::BeginPasskey => quota!(100 in 300),
            Self::CreateSession | Self::SetUpFactor => quota!(30 in 300),
            Self::CreateSessionPerDay => quota!(300 in 86400),
            Self::DeleteAccount | Self::ResetPassword | Self::ReserveSigningKey => quota!(50 in 300),
            Self::RequestPasswordReset => quota!(15 in 3600),
            Self::RequestAccountDelete | Self::RequestEmailConfirmation | Self::RequestEmailUpdate => quota!(5 in 3600),
            Self::RequestAccountDeletePerDay | Self::RequestEmailConfirmationPerDay | Self::RequestEmailUpdatePerDay => {
                quota!(15 in 86400)
            }
            Self::UpdateHandle => quota!(10 in 300),
            // Among them those who guess codes.
            Self::Join => quota!(60 in 300),
            // Each leaves a row, and the oldest rows go.
            Self::RequestPasswordResetPerDay | Self::UpdateHandlePerDay => quota!(50 in 86400),
            Self::UploadBlobPerDay => quota!(1000 in 86400),
            // Apps that run on a server ask for all of their users from one address.
            Self::PushRequest | Self::EndToken => quota!(600 in 300),
            Self::Token => quota!(2000 in 300),
        }
    }
}

/// By what a method's calls are counted, and so where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// When the request comes.
    Address,
    /// When the caller is known.
    Account,
    /// By the handler, from the body: the sum of the points of its writes.
    AccountAndWrites,
    /// By the handler, from the body: the name that someone tries to sign in by, together with their address.
    Login,
}

/// The limits of a method, besides those of all requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) by: By,
    /// What a call costs; where the handler counts, it knows better.
    pub(crate) points: u32,
    pub(crate) windows: &'static [Window],
}

/// The windows of writes, which all methods that write share.
pub(super) const WRITES: &[Window] = &[Window::WritesPerHour, Window::WritesPerDay];
/// The windows of attempts to sign in.
pub(super) const LOGINS: &[Window] = &[Window::CreateSession, Window::CreateSessionPerDay];

/// Returns the limits of a method, or of an endpoint by its path, that has any of its own.
pub(crate) fn rule(name: &str) -> Option<Rule> {
    let (by, points, windows): (By, u32, &'static [Window]) = match name {
        "com.atproto.repo.createRecord" => (By::Account, CREATE_POINTS, WRITES),
        "com.atproto.repo.putRecord" => (By::Account, UPDATE_POINTS, WRITES),
        "com.atproto.repo.deleteRecord" => (By::Account, DELETE_POINTS, WRITES),
        "com.atproto.repo.applyWrites" => (By::AccountAndWrites, 0, WRITES),
        "com.atproto.repo.uploadBlob" => (By::Address, 1, &[Window::UploadBlobPerDay]),
        "com.atproto.identity.updateHandle" => (By::Account, 1, &[Window::UpdateHandle, Window::UpdateHandlePerDay]),
        "com.atproto.server.createAccount" => (By::Address, 1, &[Window::CreateAccount]),
        "com.atproto.server.createSession" => (By::Login, 1, LOGINS),
        "com.atproto.server.deleteAccount" => (By::Address, 1, &[Window::DeleteAccount]),
        "com.atproto.server.reserveSigningKey" => (By::Address, 1, &[Window::ReserveSigningKey]),
        "com.atproto.server.resetPassword" => (By::Address, 1, &[Window::ResetPassword]),
        "com.atproto.server.requestPasswordReset" => {
            (By::Address, 1, &[Window::RequestPasswordReset, Window::RequestPasswordResetPerDay])
        }
        "com.atproto.server.requestAccountDelete" => {
            (By::Account, 1, &[Window::RequestAccountDelete, Window::RequestAccountDeletePerDay])
        }
        "com.atproto.server.requestEmailConfirmation" => {
            (By::Account, 1, &[Window::RequestEmailConfirmation, Window::RequestEmailConfirmationPerDay])
        }
        "com.atproto.server.requestEmailUpdate" => {
            (By::Account, 1, &[Window::RequestEmailUpdate, Window::RequestEmailUpdatePerDay])
        }
        "com.atproto.sync.getRepo" => (By::Address, 1, &[Window::Exports]),
        "/account/authenticator" | "/account/passkeys/begin" | "/account/passkeys/finish" => {
            (By::Account, 1, &[Window::SetUpFactor])
        }
        "/account/sign-in/passkey/begin" | "/account/confirm/passkey" => (By::Address, 1, &[Window::BeginPasskey]),
        "/join" | "/account/sign-in/link" => (By::Address, 1, &[Window::Join]),
        "/oauth/par" => (By::Address, 1, &[Window::PushRequest]),
        "/oauth/token" => (By::Address, 1, &[Window::Token]),
        "/oauth/revoke" | "/oauth/introspect" => (By::Address, 1, &[Window::EndToken]),
        _ => return None,
    };
    Some(Rule { by, points, windows })
}

/// Tells the limits of a method or endpoint in words, for the documentation.
pub(crate) fn describe(nsid: &str) -> Option<String> {
    let Rule { by, points, windows } = rule(nsid)?;
    let mut text = String::new();
    for (nth, quota) in windows.iter().map(|window| window.quota()).enumerate() {
        let separator = if nth == 0 { "" } else { " and " };
        let unit = if windows == WRITES { " points" } else { "" };
        let span = match quota.seconds {
            86_400 => "a day".to_owned(),
            3_600 => "an hour".to_owned(),
            seconds => format!("in {} minutes", seconds / 60),
        };
        write!(text, "{separator}{}{unit} {span}", quota.points).expect("a String takes all text");
    }
    Some(match by {
        By::Address => format!("{text} by address"),
        By::Account if points > 1 || windows == WRITES => {
            let plural = if points == 1 { "" } else { "s" };
            format!("{text} by account; a call costs {points} point{plural}")
        }
        By::Account => format!("{text} by account"),
        By::AccountAndWrites => format!(
            "{text} by account; creating costs {CREATE_POINTS} points, updating {UPDATE_POINTS}, deleting {DELETE_POINTS}"
        ),
        By::Login => format!("{text} by identifier and address"),
    })
}
