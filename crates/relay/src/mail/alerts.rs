//! The mails that tell an owner what happened to the account.

use super::Letter;
use crate::config::Server;

/// Says that someone signed in on a device that is new. `device` is what it calls itself.
pub(crate) fn sign_in_letter(server: &Server, account: &str, device: &str, ip: &str, time: &str) -> Letter {
    let url = server.public_url.as_str();
    Letter::new("Someone signed in to your account")
        .paragraph(format!("Someone signed in to the account {account} on a device that was not used for it before:"))
        .paragraph(format!("Device: {device}\nAddress: {ip}\nTime: {time}"))
        .paragraph("If this was you, there is nothing to do.")
        .paragraph(format!(
            "If it was not, change your password at {url}/account/password and sign the device out at {url}/account/devices."
        ))
        .paragraph(format!("You can turn these mails off at {url}/account/security."))
        .footer(footer(server))
}

/// Says that the account is to be deleted, and how to keep it.
pub(crate) fn farewell_letter(server: &Server, account: &str, day: &str) -> Letter {
    let url = server.public_url.as_str();
    Letter::new("Your account will be deleted")
        .paragraph(format!(
            "You asked for the account {account} to be deleted. It is hidden now, and will be deleted on {day}."
        ))
        .paragraph(format!("If you change your mind, or did not ask for this, sign in at {url}/account before that day."))
        .footer(footer(server))
}

/// Returns who writes.
pub(super) fn footer(server: &Server) -> String {
    let mut footer = format!("{} ({})", server.service_name, server.public_url.as_str());
    for link in [&server.links.home, &server.links.support].into_iter().flatten() {
        footer.push('\n');
        footer.push_str(link.as_str());
    }
    footer
}
