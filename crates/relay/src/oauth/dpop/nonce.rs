//! Nonces for DPoP proofs.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// How long a nonce is the one that is given out.
const TURN_SECONDS: i64 = 60;
/// How long a nonce is good for at most: while it is given out, the turn after, and one before, for clocks that step back.
pub(super) const GOOD_SECONDS: i64 = 3 * TURN_SECONDS;

/// Makes nonces, and knows them again, without remembering them.
pub(crate) struct Nonces {
    secret: [u8; 32],
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

impl Nonces {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// Returns the nonce that apps shall use now.
    pub(crate) fn current(&self, now_seconds: i64) -> String {
        self.of_turn(now_seconds.div_euclid(TURN_SECONDS))
    }

    /// Whether a nonce is of this turn or one beside it.
    pub(super) fn is_fresh(&self, nonce: &str, now_seconds: i64) -> bool {
        let turn = now_seconds.div_euclid(TURN_SECONDS);
        (turn - 1..=turn + 1).any(|turn| self.of_turn(turn).as_bytes().ct_eq(nonce.as_bytes()).into())
    }

    fn of_turn(&self, turn: i64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(&turn.to_be_bytes());
        BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()[..24])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_turn_and_the_next() {
        let nonces = Nonces::new([7; 32]);
        let nonce = nonces.current(600);
        for now in [600, 659, 660, 719] {
            assert!(nonces.is_fresh(&nonce, now), "{now}");
        }
        for now in [720, 1000, 0] {
            assert!(!nonces.is_fresh(&nonce, now), "{now}");
        }
        assert_eq!(nonces.current(659), nonce);
        assert_ne!(nonces.current(660), nonce);
        assert!(!nonces.is_fresh("", 600) && !Nonces::new([8; 32]).is_fresh(&nonce, 600));
    }
}
