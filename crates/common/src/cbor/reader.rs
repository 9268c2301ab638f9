//! Reads DAG-CBOR and refuses every second spelling.

use crate::Cid;
use crate::cid::CidError;
use crate::value::key_order;

/// Why bytes are not DAG-CBOR, or not of the shape that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the data ends in the middle of a value")]
    Truncated,
    #[error("{0} bytes follow after the value")]
    Trailing(usize),
    #[error("a length or integer is not in its shortest form")]
    NotMinimal,
    #[error("an integer is outside the range of 64 bits")]
    IntegerRange,
    #[error("floats are not allowed")]
    Float,
    #[error("byte {0:#04x} begins nothing that DAG-CBOR has")]
    Unsupported(u8),
    #[error("text is not UTF-8")]
    Utf8,
    #[error("map keys are out of order or double")]
    KeyOrder,
    #[error("arrays and maps are nested too deeply")]
    TooDeep,
    #[error("a link is not a CID")]
    Link(#[source] CidError),
    #[error("expected {expected}, found {found:?}")]
    Type { expected: &'static str, found: Kind },
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Integer,
    Bytes,
    Text,
    Array,
    Map,
    Link,
}

/// A position in a DAG-CBOR document.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns what was not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Checks that all was read.
    pub fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing(self.rest.len())) }
    }

    /// Tells what comes next without reading it.
    pub fn peek(&self) -> Result<Kind, Error> {
        let first = *self.rest.first().ok_or(Error::Truncated)?;
        Ok(match (first >> 5, first) {
            (0 | 1, _) => Kind::Integer,
            (2, _) => Kind::Bytes,
            (3, _) => Kind::Text,
            (4, _) => Kind::Array,
            (5, _) => Kind::Map,
            (_, 0xd8) => Kind::Link,
            (_, 0xf4 | 0xf5) => Kind::Bool,
            (_, 0xf6) => Kind::Null,
            (_, 0xf9..=0xfb) => return Err(Error::Float),
            _ => return Err(Error::Unsupported(first)),
        })
    }

    pub fn null(&mut self) -> Result<(), Error> {
        self.expect(Kind::Null, "null")?;
        self.rest = &self.rest[1..];
        Ok(())
    }

    pub fn bool(&mut self) -> Result<bool, Error> {
        self.expect(Kind::Bool, "a boolean")?;
        let value = self.rest[0] == 0xf5;
        self.rest = &self.rest[1..];
        Ok(value)
    }

    pub fn integer(&mut self) -> Result<i64, Error> {
        self.expect(Kind::Integer, "an integer")?;
        let negative = self.rest[0] >> 5 == 1;
        let value = i64::try_from(self.head()?).map_err(|_| Error::IntegerRange)?;
        Ok(if negative { !value } else { value })
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        self.expect(Kind::Bytes, "bytes")?;
        let len = self.head()?;
        self.take(len)
    }

    pub fn text(&mut self) -> Result<&'a str, Error> {
        self.expect(Kind::Text, "text")?;
        let len = self.head()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Error::Utf8)
    }

    /// Reads the head of an array and returns the number of its items. It is not more than the bytes that are left.
    pub fn array(&mut self) -> Result<usize, Error> {
        self.expect(Kind::Array, "an array")?;
        self.count(1)
    }

    /// Reads the head of a map; the entries are read through what it returns.
    pub fn map(&mut self) -> Result<MapReader<'a>, Error> {
        self.expect(Kind::Map, "a map")?;
        Ok(MapReader { left: self.count(2)?, last: None })
    }

    pub fn link(&mut self) -> Result<Cid, Error> {
        self.expect(Kind::Link, "a link")?;
        let (head, rest) = self.rest.split_at_checked(5).ok_or(Error::Truncated)?;
        match head {
            [0xd8, 0x2a, 0x58, 37, 0] => {}
            [0xd8, 0x2a, 0x58, len, 0] => return Err(Error::Link(CidError::Length(usize::from(*len).saturating_sub(1)))),
            [0xd8, 0x2a, ..] => return Err(Error::Link(CidError::Kind)),
            _ => return Err(Error::Unsupported(head[0])),
        }
        self.rest = rest;
        Cid::from_bytes(self.take(Cid::BYTES as u64)?).map_err(Error::Link)
    }

    /// Reads a link or null.
    pub fn optional_link(&mut self) -> Result<Option<Cid>, Error> {
        if self.peek()? == Kind::Null {
            self.null()?;
            return Ok(None);
        }
        self.link().map(Some)
    }

    fn expect(&self, kind: Kind, expected: &'static str) -> Result<(), Error> {
        let found = self.peek()?;
        if found == kind { Ok(()) } else { Err(Error::Type { expected, found }) }
    }

    fn count(&mut self, bytes_per_item: u64) -> Result<usize, Error> {
        let count = self.head()?;
        // So that a short input cannot announce, and make a caller reserve, more than it holds.
        if count.saturating_mul(bytes_per_item) > self.rest.len() as u64 {
            return Err(Error::Truncated);
        }
        Ok(count as usize)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Error> {
        let len = usize::try_from(len).map_err(|_| Error::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn head(&mut self) -> Result<u64, Error> {
        let first = self.take(1)?[0];
        let (value, least) = match first & 0x1f {
            short @ 0..=23 => return Ok(u64::from(short)),
            24 => (u64::from(self.take(1)?[0]), 24),
            25 => (u64::from(u16::from_be_bytes(self.array_of()?)), 0x100),
            26 => (u64::from(u32::from_be_bytes(self.array_of()?)), 0x1_0000),
            27 => (u64::from_be_bytes(self.array_of()?), 0x1_0000_0000),
            _ => return Err(Error::Unsupported(first)),
        };
        if value < least { Err(Error::NotMinimal) } else { Ok(value) }
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// The entries of a map that is being read.
#[derive(Debug)]
pub struct MapReader<'a> {
    left: usize,
    last: Option<&'a str>,
}

impl<'a> MapReader<'a> {
    /// Returns how many entries were not begun yet.
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Reads the next key, or returns `None` at the end; the caller then reads the value from `reader`.
    pub fn key(&mut self, reader: &mut Reader<'a>) -> Result<Option<&'a str>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let key = reader.text()?;
        if self.last.is_some_and(|last| !key_order(last, key).is_lt()) {
            return Err(Error::KeyOrder);
        }
        self.left -= 1;
        self.last = Some(key);
        Ok(Some(key))
    }
}
