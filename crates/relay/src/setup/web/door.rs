//! Who may set the server up: the one browser that was opened by the link that the program printed.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq as _;

/// How long a link may wait to be opened.
const LINK_MILLIS: i64 = 30 * 60 * 1000;
/// Wrong links after which none is taken any more, until the operator asks for a new one.
const MAX_WRONG: u32 = 20;

/// Lets in.
#[derive(Debug)]
pub(crate) struct Door {
    link: Option<Link>,
    wrong: u32,
    session: Option<Session>,
}

#[derive(Debug)]
struct Link {
    token: Token,
    made_at: i64,
    used: bool,
}

/// 32 random bytes.
type Token = [u8; 32];

/// The browser that was let in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    id: Token,
    /// What its forms carry.
    csrf: Token,
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoLink,
    Wrong,
    Expired,
    Used,
    TooMany,
}

impl Session {
    pub(super) fn csrf(&self) -> String {
        BASE64URL_NOPAD.encode(&self.csrf)
    }

    pub(super) fn cookie(&self) -> String {
        BASE64URL_NOPAD.encode(&self.id)
    }

    pub(super) fn has_csrf(&self, text: &str) -> bool {
        is(&self.csrf, text)
    }
}

impl Door {
    /// A door without a link.
    pub(crate) const fn closed() -> Self {
        Self { link: None, wrong: 0, session: None }
    }

    /// Makes a link, in the place of any other, and returns its token.
    pub(crate) fn new_link(&mut self, now_millis: i64) -> String {
        let token: Token = crate::random::bytes();
        self.link = Some(Link { token, made_at: now_millis, used: false });
        self.wrong = 0;
        BASE64URL_NOPAD.encode(&token)
    }

    /// Looks at a link without using it up.
    pub(super) fn look(&mut self, token: &str, now_millis: i64) -> Result<(), Refused> {
        if token.is_empty() {
            return Err(Refused::NoLink);
        }
        if self.wrong >= MAX_WRONG {
            return Err(Refused::TooMany);
        }
        let Some(link) = self.link.as_ref().filter(|link| is(&link.token, token)) else {
            self.wrong += 1;
            return Err(Refused::Wrong);
        };
        if link.used {
            return Err(Refused::Used);
        }
        if !(0..LINK_MILLIS).contains(&now_millis.saturating_sub(link.made_at)) {
            return Err(Refused::Expired);
        }
        Ok(())
    }

    /// Uses a link up. Whoever was let in before has to stay outside from now on.
    pub(super) fn open(&mut self, token: &str, now_millis: i64) -> Result<Session, Refused> {
        self.look(token, now_millis)?;
        if let Some(link) = &mut self.link {
            link.used = true;
        }
        let session = Session { id: crate::random::bytes(), csrf: crate::random::bytes() };
        self.session = Some(session.clone());
        Ok(session)
    }

    /// Returns the session of a browser's cookie.
    pub(super) fn session(&self, cookie: &str) -> Option<Session> {
        self.session.clone().filter(|session| is(&session.id, cookie))
    }
}

/// Compares without telling by its time how much was right.
fn is(token: &Token, text: &str) -> bool {
    let Ok(bytes) = BASE64URL_NOPAD.decode(text.as_bytes()) else { return false };
    bytes.ct_eq(&token[..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_once_within_half_an_hour() {
        let mut door = Door::closed();
        assert_eq!(door.open("", 0).unwrap_err(), Refused::NoLink);
        assert_eq!(door.open("x", 0).unwrap_err(), Refused::Wrong);
        let token = door.new_link(1000);
        assert_eq!(door.open(&token, 1000 + LINK_MILLIS).unwrap_err(), Refused::Expired);
        door.look(&token, 2000).unwrap();
        let session = door.open(&token, 2000).unwrap();
        assert!(door.session(&session.cookie()).unwrap().has_csrf(&session.csrf()));
        assert!(door.session("").is_none() && door.session(&token).is_none());
        assert!(!session.has_csrf(&session.cookie()));
        assert_eq!(door.open(&token, 2001).unwrap_err(), Refused::Used);

        let another = door.new_link(3000);
        assert_eq!(door.open(&token, 3000).unwrap_err(), Refused::Wrong, "the old link is nobody's");
        door.open(&another, 3000).unwrap();
        assert!(door.session(&session.cookie()).is_none(), "there is one browser at a time");
    }

    #[test]
    fn guessing_ends() {
        let mut door = Door::closed();
        let token = door.new_link(0);
        for _ in 0..MAX_WRONG {
            assert_eq!(door.look("AAAA", 1).unwrap_err(), Refused::Wrong);
        }
        assert_eq!(door.open(&token, 1).unwrap_err(), Refused::TooMany, "the right one as well");
        let token = door.new_link(2);
        door.open(&token, 3).unwrap();
    }
}
