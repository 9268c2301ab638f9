//! Writes DAG-CBOR. The caller gives map keys in DAG-CBOR order and as many items as announced.

use crate::Cid;

/// A growing DAG-CBOR document.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub const fn new() -> Self {
        Self { out: Vec::new() }
    }

    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// Continues a document that was begun elsewhere.
    pub const fn from_vec(out: Vec<u8>) -> Self {
        Self { out }
    }

    pub fn into_vec(self) -> Vec<u8> {
        self.out
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.out
    }

    /// Appends bytes that are DAG-CBOR already.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    pub fn null(&mut self) {
        self.out.push(0xf6);
    }

    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { 0xf5 } else { 0xf4 });
    }

    pub fn unsigned(&mut self, value: u64) {
        self.head(0, value);
    }

    pub fn integer(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(0, value),
            // -1 - n is stored as n, which is the complement.
            Err(_) => self.head(1, !value as u64),
        }
    }

    pub fn bytes(&mut self, value: &[u8]) {
        self.head(2, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// Begins a byte string of `len` bytes that follow through [`Writer::raw`].
    pub fn bytes_head(&mut self, len: usize) {
        self.head(2, len as u64);
    }

    pub fn text(&mut self, value: &str) {
        self.head(3, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// Begins an array of `len` items.
    pub fn array(&mut self, len: usize) {
        self.head(4, len as u64);
    }

    /// Begins a map of `len` entries; their keys must come in DAG-CBOR order.
    pub fn map(&mut self, len: usize) {
        self.head(5, len as u64);
    }

    pub fn link(&mut self, cid: &Cid) {
        // Tag 42 over a byte string that begins with the identity multibase.
        self.out.extend_from_slice(&[0xd8, 0x2a, 0x58, 37, 0]);
        self.out.extend_from_slice(&cid.to_bytes());
    }

    /// Writes the link, or null.
    pub fn optional_link(&mut self, cid: Option<&Cid>) {
        match cid {
            Some(cid) => self.link(cid),
            None => self.null(),
        }
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        match value {
            0..=23 => self.out.push(major | value as u8),
            24..=0xff => self.out.extend_from_slice(&[major | 0x18, value as u8]),
            0x100..=0xffff => {
                self.out.push(major | 0x19);
                self.out.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(major | 0x1a);
                self.out.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.out.push(major | 0x1b);
                self.out.extend_from_slice(&value.to_be_bytes());
            }
        }
    }
}
