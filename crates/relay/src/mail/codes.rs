//! The mails that carry codes.

use super::Letter;
use crate::config::Server;
use crate::store::email_token::Purpose;

/// Writes the mail with a code for the account that `account` names.
pub(crate) fn code_letter(server: &Server, purpose: Purpose, account: &str, code: &str) -> Letter {
    let (subject, why, caution) = match purpose {
        Purpose::ConfirmEmail => (
            "Confirm your e-mail address",
            format!("To confirm that this is the address of the account {account}, enter this code where you asked for it:"),
            "If you have no such account, do nothing: the address then stays unconfirmed.",
        ),
        Purpose::UpdateEmail => (
            "Change your e-mail address",
            format!("To give the account {account} another e-mail address, enter this code where you asked for it:"),
            "If you did not ask for this, change your password: someone is signed in to your account.",
        ),
        Purpose::ResetPassword => (
            "Reset your password",
            format!("To choose a new password for the account {account}, enter this code where you asked for it:"),
            "If you did not ask for this, do nothing: your password stays as it is. Give the code to nobody.",
        ),
        Purpose::DeleteAccount => (
            "Delete your account",
            format!(
                "To delete the account {account}, with all that it holds and for good, enter this code where you asked for it:"
            ),
            "If you did not ask for this, change your password: someone is signed in to your account.",
        ),
        Purpose::PlcOperation => (
            "Change your identity",
            format!(
                "To change the identity of the account {account}, for example to move it to another server, enter this code \
                 where you asked for it:"
            ),
            "Whoever has this code can take the account away from you. Give it to nobody. If you did not ask for it, change \
             your password.",
        ),
        Purpose::SignIn => (
            "Your sign-in code",
            format!("To sign in to the account {account}, enter this code where you are asked for it:"),
            "If you are not signing in, someone else knows your password: change it, and give the code to nobody.",
        ),
    };
    Letter::new(subject)
        .paragraph(why)
        .code(code)
        .paragraph("It is good for 15 minutes.")
        .paragraph(caution)
        .footer(super::alerts::footer(server))
}
