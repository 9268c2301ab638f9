//! What an app asks, as it is kept until the user has answered.

use serde::{Deserialize, Serialize};

/// An authorization request that was checked: whoever sent it may ask this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) client: Client,
    /// How the app proved who it is.
    pub(crate) auth: ClientAuth,
    /// One of the client's, as it was written.
    pub(crate) redirect_uri: String,
    /// What is asked; scopes that nobody knows are gone.
    pub(crate) scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// The SHA-256 of the verifier, in base64url.
    pub(crate) code_challenge: String,
    pub(crate) response_mode: ResponseMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<Prompt>,
    /// A handle or DID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login_hint: Option<String>,
    /// The thumbprint of the key to which the code is bound, if the app has said so already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_thumbprint: Option<String>,
}

/// The app, as its users see it. Nothing of it was checked but that who serves [`Client::id`] says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    /// The URL of its metadata.
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tos_uri: Option<String>,
    /// Whether this is an app in development, on the user's own machine.
    pub(crate) is_loopback: bool,
    /// Whether it has a refresh token's use.
    pub(crate) may_refresh: bool,
}

impl Client {
    /// Returns the host by which users may know the app; of one in development there is none.
    pub(crate) fn host(&self) -> Option<String> {
        if self.is_loopback {
            return None;
        }
        url::Url::parse(&self.id).ok()?.host_str().map(str::to_owned)
    }
}

/// How an app proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuth {
    /// Not at all: anyone may call themselves so.
    None,
    /// By a key that its metadata lists.
    PrivateKeyJwt {
        /// The thumbprint of the key.
        key_thumbprint: String,
    },
}

const DAY_MILLIS: i64 = 24 * 3600 * 1000;
/// How long an app stays signed in that cannot prove who it is, whatever it does.
const PUBLIC_SESSION_MILLIS: i64 = 14 * DAY_MILLIS;
/// The same of one that can, and how long its refresh tokens last.
const CONFIDENTIAL_SESSION_MILLIS: i64 = 730 * DAY_MILLIS;
const CONFIDENTIAL_REFRESH_MILLIS: i64 = 90 * DAY_MILLIS;

impl ClientAuth {
    pub(crate) const fn is_confidential(&self) -> bool {
        matches!(self, Self::PrivateKeyJwt { .. })
    }

    /// Returns when a session ends that began and was last refreshed at these times, all in milliseconds since 1970.
    pub(crate) fn session_end(&self, began: i64, refreshed: i64) -> i64 {
        match self {
            Self::None => began + PUBLIC_SESSION_MILLIS,
            Self::PrivateKeyJwt { .. } => (refreshed + CONFIDENTIAL_REFRESH_MILLIS).min(began + CONFIDENTIAL_SESSION_MILLIS),
        }
    }
}

/// Where in the address of the app the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResponseMode {
    Query,
    Fragment,
}

/// What the user is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Prompt {
    /// Nothing.
    None,
    /// The password, also when the user is signed in.
    Login,
    /// What the app asks, also when it was granted before.
    Consent,
    SelectAccount,
    /// Making an account.
    Create,
}
