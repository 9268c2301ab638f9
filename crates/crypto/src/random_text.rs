//! Random bytes as text for people: app passwords and the codes in mails.

use data_encoding::BASE32_NOPAD;

/// Formats an app password: `xxxx-xxxx-xxxx-xxxx`, all 80 bits of `random` in lower-case base32.
pub fn app_password(random: [u8; 10]) -> String {
    groups(&BASE32_NOPAD.encode(&random), 4).to_ascii_lowercase()
}

/// Formats a code that a mail carries: `XXXXX-XXXXX`, the first 50 bits of `random` in upper-case base32.
pub fn email_token(random: [u8; 7]) -> String {
    groups(&BASE32_NOPAD.encode(&random)[..10], 5)
}

fn groups(text: &str, size: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / size);
    for (at, char) in text.chars().enumerate() {
        if at > 0 && at % size == 0 {
            out.push('-');
        }
        out.push(char);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_have_their_form() {
        assert_eq!(app_password([0; 10]), "aaaa-aaaa-aaaa-aaaa");
        assert_eq!(app_password([0xff; 10]), "7777-7777-7777-7777");
        assert_eq!(app_password([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "aaaa-aaaa-aaaa-aaab");
        assert_eq!(email_token([0xff; 7]), "77777-77777");
        assert_eq!(email_token([0x08, 0, 0, 0, 0, 0, 0x20]), "BAAAA-AAAAA");
    }
}
