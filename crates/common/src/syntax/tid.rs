//! Timestamp identifiers: record keys and revisions that sort by time.
//!
//! A TID is 64 bits: a zero, 53 bits of microseconds since the Unix epoch, and 10 bits that tell clocks apart. As text it is
//! 13 characters of an alphabet in ASCII order, so that text and numbers sort alike.
//!
//! Spec: <https://atproto.com/specs/tid>

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Parse;

const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
const CLOCK_ID_BITS: u32 = 10;
const MAX_CLOCK_ID: u16 = (1 << CLOCK_ID_BITS) - 1;

/// A timestamp identifier; its order is that of its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid(u64);

/// Why text is not a TID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TidError {
    #[error("a TID has {} characters", Tid::CHARS)]
    Length,
    #[error("a TID is made of the characters 234567abcdefghijklmnopqrstuvwxyz")]
    Character,
    #[error("a TID begins with one of 234567abcdefghij")]
    Range,
}

impl Tid {
    /// The number of characters of every TID.
    pub const CHARS: usize = 13;

    /// The last microsecond that a TID can name, in the year 2255.
    pub const MAX_MICROS: u64 = (1 << 53) - 1;

    /// Makes a TID of a time and the low 10 bits of `clock_id`; a time after [`Tid::MAX_MICROS`] is taken as that.
    pub const fn from_parts(micros: u64, clock_id: u16) -> Self {
        let micros = if micros > Self::MAX_MICROS { Self::MAX_MICROS } else { micros };
        Self(micros << CLOCK_ID_BITS | (clock_id & MAX_CLOCK_ID) as u64)
    }

    /// Makes a TID for the present that comes after `prev`, also when the clock stepped back or stands still.
    ///
    /// It is strictly greater than `prev` up to the last TID of all, after which there is none: `jzzzzzzzzzzzz` is followed
    /// by itself. Whoever takes a `prev` from strangers should refuse those that lie in the future.
    pub const fn next_after(prev: Option<Self>, now_micros: u64, clock_id: u16) -> Self {
        let now = Self::from_parts(now_micros, clock_id);
        match prev {
            Some(prev) if prev.micros() >= now.micros() => {
                if prev.micros() < Self::MAX_MICROS {
                    Self::from_parts(prev.micros() + 1, clock_id)
                } else {
                    Self(prev.0.saturating_add(1))
                }
            }
            _ => now,
        }
    }

    /// Returns the number that the text stands for; its order is that of the text.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the TID of a number; `None` when its top bit is set.
    pub const fn from_u64(value: u64) -> Option<Self> {
        if value >> 63 == 0 { Some(Self(value)) } else { None }
    }

    /// Returns the time in microseconds since the Unix epoch.
    pub const fn micros(self) -> u64 {
        self.0 >> CLOCK_ID_BITS
    }

    pub const fn clock_id(self) -> u16 {
        self.0 as u16 & MAX_CLOCK_ID
    }

    /// Returns the text form, which is ASCII.
    pub const fn as_text(self) -> [u8; Self::CHARS] {
        let mut text = [0; Self::CHARS];
        let mut rest = self.0;
        let mut at = Self::CHARS;
        while at > 0 {
            at -= 1;
            text[at] = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        text
    }
}

impl FromStr for Tid {
    type Err = TidError;

    fn from_str(text: &str) -> Result<Self, TidError> {
        if text.len() != Self::CHARS {
            return Err(TidError::Length);
        }
        let mut value = 0_u64;
        for (at, byte) in text.bytes().enumerate() {
            let digit = match byte {
                b'2'..=b'7' => byte - b'2',
                b'a'..=b'z' => byte - b'a' + 6,
                _ => return Err(TidError::Character),
            };
            // 13 characters could hold 65 bits. The 64th is zero in TIDs that are made, but the syntax allows it.
            if at == 0 && digit > 15 {
                return Err(TidError::Range);
            }
            value = value << 5 | u64::from(digit);
        }
        Ok(Self(value))
    }
}

impl TryFrom<String> for Tid {
    type Error = TidError;

    fn try_from(text: String) -> Result<Self, TidError> {
        text.parse()
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.as_text()).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tid({self})")
    }
}

impl Serialize for Tid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parse::new("a TID"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_parts_agree() {
        let tid: Tid = "3jzfcijpj2z2a".parse().unwrap();
        assert_eq!(tid.to_string(), "3jzfcijpj2z2a");
        assert_eq!(Tid::from_parts(tid.micros(), tid.clock_id()), tid);
        assert_eq!(Tid::from_parts(0, 0).to_string(), "2222222222222");
        assert_eq!(Tid::from_parts(u64::MAX, u16::MAX).to_string(), "bzzzzzzzzzzzz");
    }

    #[test]
    fn a_revision_grows_when_the_clock_stands_or_steps_back() {
        let first = Tid::next_after(None, 1_000, 7);
        let same_microsecond = Tid::next_after(Some(first), 1_000, 7);
        let other_clock = Tid::next_after(Some(same_microsecond), 1_000, 3);
        let stepped_back = Tid::next_after(Some(other_clock), 10, 7);
        let later = Tid::next_after(Some(stepped_back), 5_000, 7);
        assert!([first, same_microsecond, other_clock, stepped_back, later].is_sorted_by(|a, b| a < b));
        assert_eq!((later.micros(), later.clock_id()), (5_000, 7));
    }

    #[test]
    fn the_last_tid_of_all_is_followed_by_itself() {
        let last: Tid = "jzzzzzzzzzzzz".parse().unwrap();
        assert_eq!(Tid::next_after(Some(last), 0, 0), last);
        let last_with_zero_bit: Tid = "bzzzzzzzzzzzz".parse().unwrap();
        assert!(Tid::next_after(Some(last_with_zero_bit), 0, 0) > last_with_zero_bit);
    }
}
