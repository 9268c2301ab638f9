//! Why a move does not go on, and what the person does about it.

use common::Did;
use serde::{Deserialize, Serialize};

use crate::account::{CreateError, EmailError};
use crate::identity::fetch::FetchError;
use crate::store::{StoreError, WriteFailed};

/// Why a move does not go on. It is told by one process to another, and to the person in their language by its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(crate) enum Fault {
    #[error("There is no account {account} in the network: {why}. Look how it is written in your app.")]
    Unknown { account: String, why: String },
    #[error("The account {did} is here already.")]
    AlreadyHere { did: Did },
    #[error("No move of {did} is under way here. Begin it anew.")]
    NotUnderWay { did: Did },
    #[error("Another step of this move is being done at this moment. Wait until it is done.")]
    Busy,
    #[error("{server} cannot be reached: {why}. Nothing is lost: go on when it is back.")]
    Unreachable { server: String, why: String },
    #[error("{server} wants fewer requests{}. Nothing is lost: go on after that.", wait(*.seconds))]
    RateLimited { server: String, seconds: Option<u64> },
    #[error("{server} does not know this password. It is the one that you sign in with in the app, not an app password.")]
    WrongPassword { server: String },
    #[error("{server} has mailed you a code to sign in with. Give that as well.")]
    NeedsFactor { server: String },
    #[error("{server} does not take this code to sign in with: {message}. A new one comes when you sign in without a code.")]
    WrongFactor { server: String, message: String },
    #[error("This is an app password. An account is moved with its main password, the one that you sign in with yourself.")]
    AppPassword,
    #[error("This is the password of another account, {found}.")]
    OtherAccount { found: Did },
    #[error("The session at {server} has ended. Sign in there again to go on.")]
    SessionOver { server: String },
    #[error("{server} refuses: {message}. Ask whoever runs it.")]
    Refused { server: String, message: String },
    #[error("The handle will not do: {message}")]
    Handle { message: String },
    #[error("The mail address will not do: {message}")]
    Email { message: String },
    #[error("The password will not do: {message}")]
    Password { message: String },
    #[error("The invite code will not do: {message}")]
    Invite { message: String },
    #[error("The repo has more than {limit} bytes, the most that is taken here. The operator raises limits.import.")]
    TooLarge { limit: u64 },
    #[error("What {server} sent as the repo is not it: {message}. Try again, and else ask whoever runs that server.")]
    BadRepo { server: String, message: String },
    #[error("The code of the mail from {server} is needed.")]
    NeedsCode { server: String },
    #[error("{server} does not take this code: {message}. Look again, or have a new one mailed.")]
    WrongCode { server: String, message: String },
    #[error("The PLC directory did not take the change: {message}. Nothing has changed; have a new code mailed and try again.")]
    Directory { message: String },
    #[error("The DID document of {did} does not lead here yet: {why}.")]
    DidWeb { did: Did, why: String },
    #[error("The code was taken, and the move is being ended: it cannot be given up any more. This server ends it by itself.")]
    TooLate,
    #[error("The server stops. The move goes on where it was.")]
    Stopping,
    #[error("This server could not do it: {message}. Nothing is lost: try again, and look into the log.")]
    Here { message: String },
}

fn wait(seconds: Option<u64>) -> String {
    seconds.map(|seconds| format!(", and none for {seconds} seconds")).unwrap_or_default()
}

impl Fault {
    pub(super) fn fetch(server: &str, err: &FetchError) -> Self {
        Self::Unreachable { server: server.to_owned(), why: err.to_string() }
    }

    pub(super) fn here(err: &dyn std::error::Error) -> Self {
        Self::Here { message: crate::error::with_causes(err) }
    }

    /// Whether the same may do in a moment.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::RateLimited { .. })
    }
}

impl From<StoreError> for Fault {
    fn from(err: StoreError) -> Self {
        Self::here(&err)
    }
}

impl From<WriteFailed> for Fault {
    fn from(err: WriteFailed) -> Self {
        Self::here(&err)
    }
}

impl From<EmailError> for Fault {
    fn from(err: EmailError) -> Self {
        Self::Email { message: err.to_string() }
    }
}

impl From<CreateError> for Fault {
    fn from(err: CreateError) -> Self {
        let message = match &err {
            CreateError::NoEmail => "the old server told none; give one".to_owned(),
            CreateError::EmailTaken(_) => "an account here has it already".to_owned(),
            CreateError::HandleTaken(handle) => format!("somebody here has {handle} already"),
            CreateError::UnsupportedDomain => "it is below no domain of this server".to_owned(),
            CreateError::ExternalHandle(_) => {
                "it does not lead to this account: its DNS row, or its file, says otherwise".to_owned()
            }
            CreateError::Email(_)
            | CreateError::Password
            | CreateError::NoInvite
            | CreateError::Invite
            | CreateError::Handle(_)
            | CreateError::DidTaken
            | CreateError::Plc(_)
            | CreateError::Hash(_)
            | CreateError::Secret(_)
            | CreateError::Session(_)
            | CreateError::Store(_)
            | CreateError::Write(_) => crate::error::with_causes(&err),
        };
        match err {
            CreateError::NoEmail | CreateError::Email(_) | CreateError::EmailTaken(_) => Self::Email { message },
            CreateError::Password | CreateError::Hash(_) => Self::Password { message },
            CreateError::NoInvite | CreateError::Invite => Self::Invite { message },
            CreateError::Handle(_)
            | CreateError::UnsupportedDomain
            | CreateError::ExternalHandle(_)
            | CreateError::HandleTaken(_) => Self::Handle { message },
            CreateError::DidTaken
            | CreateError::Plc(_)
            | CreateError::Secret(_)
            | CreateError::Session(_)
            | CreateError::Store(_)
            | CreateError::Write(_) => Self::Here { message },
        }
    }
}
