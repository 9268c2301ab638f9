//! Methods that a token for another service is not made for, or not for everyone.

/// Methods by which an account is managed: a session calls them here, and no token of another service may.
const PROTECTED: [&str; 16] = [
    "com.atproto.admin.sendEmail",
    "com.atproto.identity.requestPlcOperationSignature",
    "com.atproto.identity.signPlcOperation",
    "com.atproto.identity.updateHandle",
    "com.atproto.server.activateAccount",
    "com.atproto.server.confirmEmail",
    "com.atproto.server.createAppPassword",
    "com.atproto.server.deactivateAccount",
    "com.atproto.server.getAccountInviteCodes",
    "com.atproto.server.getSession",
    "com.atproto.server.listAppPasswords",
    "com.atproto.server.requestAccountDelete",
    "com.atproto.server.requestEmailConfirmation",
    "com.atproto.server.requestEmailUpdate",
    "com.atproto.server.revokeAppPassword",
    "com.atproto.server.updateEmail",
];

/// Whether an account is managed by a method, compared without regard to case, as some servers do.
pub(crate) fn is_protected(nsid: &str) -> bool {
    PROTECTED.iter().any(|protected| nsid.eq_ignore_ascii_case(protected))
}

/// Whether a method is of chats, which are not for every app password.
pub(crate) fn is_chat(nsid: &str) -> bool {
    const CHAT: &str = "chat.bsky.";
    nsid.get(..CHAT.len()).is_some_and(|start| start.eq_ignore_ascii_case(CHAT))
}
