//! E-mail addresses of accounts.

use std::fmt;

/// An e-mail address, in lower case: the form in which it is unique here. It does not print in logs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EmailError {
    #[error("This email address is not supported, please use a different email.")]
    Syntax,
    #[error("This email address is not supported, please use a different email.")]
    Disposable,
}

/// The most characters of an address: RFC 5321, 4.5.3.1.3, less the brackets.
const MAX_CHARS: usize = 254;
const MAX_LOCAL_CHARS: usize = 64;

/// Domains that give an address to anyone, for minutes: the best known.
const DISPOSABLE: &[&str] = &[
    "10minutemail.com",
    "10minutemail.net",
    "20minutemail.com",
    "33mail.com",
    "anonbox.net",
    "byom.de",
    "discard.email",
    "discardmail.com",
    "dispostable.com",
    "dropmail.me",
    "emailondeck.com",
    "fakeinbox.com",
    "fakemail.net",
    "getairmail.com",
    "getnada.com",
    "grr.la",
    "guerrillamail.biz",
    "guerrillamail.com",
    "guerrillamail.de",
    "guerrillamail.info",
    "guerrillamail.net",
    "guerrillamail.org",
    "guerrillamailblock.com",
    "inboxbear.com",
    "inboxkitten.com",
    "incognitomail.org",
    "jetable.org",
    "linshiyouxiang.net",
    "mailcatch.com",
    "maildrop.cc",
    "mailinator.com",
    "mailinator.net",
    "mailnesia.com",
    "mailnull.com",
    "mailsac.com",
    "mailtemp.net",
    "mintemail.com",
    "mohmal.com",
    "moakt.com",
    "mytemp.email",
    "nada.email",
    "pokemail.net",
    "sharklasers.com",
    "spam4.me",
    "spamgourmet.com",
    "temp-mail.io",
    "temp-mail.org",
    "tempail.com",
    "tempinbox.com",
    "tempmail.dev",
    "tempmail.net",
    "tempmail.plus",
    "tempmailo.com",
    "tempr.email",
    "throwawaymail.com",
    "trash-mail.com",
    "trashmail.com",
    "trashmail.de",
    "trashmail.net",
    "wegwerfmail.de",
    "yopmail.com",
    "yopmail.fr",
    "yopmail.net",
    "zetmail.com",
];

impl Email {
    /// Reads an address that mail can be sent to: one `@`, no quoting, an ASCII domain of two labels or more.
    pub(crate) fn parse(text: &str) -> Result<Self, EmailError> {
        if text.len() > MAX_CHARS {
            return Err(EmailError::Syntax);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::Syntax)?;
        let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
        let local_ok = !local.is_empty()
            && local.len() <= MAX_LOCAL_CHARS
            && local.bytes().all(atom)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !local_ok || !domain.contains('.') || !domain.split('.').all(label) {
            return Err(EmailError::Syntax);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Refuses an address of a domain that gives them out for minutes, or of one below it.
    pub(crate) fn check_lasting(&self) -> Result<(), EmailError> {
        let (_, mut domain) = self.0.split_once('@').expect("an address has an @");
        loop {
            if DISPOSABLE.contains(&domain) {
                return Err(EmailError::Disposable);
            }
            match domain.split_once('.') {
                Some((_, parent)) => domain = parent,
                None => return Ok(()),
            }
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[e-mail address]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_lower_cased() {
        assert_eq!(Email::parse("Alice+pds@Example.COM").unwrap().as_str(), "alice+pds@example.com");
        assert_eq!(format!("{:?}", Email::parse("alice@example.com").unwrap()), "[e-mail address]");
    }

    #[test]
    fn what_mail_cannot_be_sent_to_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "alice@localhost",
            "a@b@example.com",
            "a b@example.com",
            "a\r\nBcc: x@example.com",
            ".a@example.com",
            "a..b@example.com",
            "a@-example.com",
            "a@example..com",
            "älice@example.com",
            "\"a b\"@example.com",
            &long,
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::Syntax), "{text}");
        }
    }

    #[test]
    fn throw_away_addresses_are_known_below_their_domain_too() {
        let lasting = |text: &str| Email::parse(text).unwrap().check_lasting();
        assert_eq!(lasting("a@example.com"), Ok(()));
        assert_eq!(lasting("a@notmailinator.com"), Ok(()));
        assert_eq!(lasting("a@Mailinator.com"), Err(EmailError::Disposable));
        assert_eq!(lasting("a@sub.mailinator.com"), Err(EmailError::Disposable));
    }
}
