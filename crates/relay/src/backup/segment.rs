//! What changed between two moments: pages of the database, as whole transactions left them.
//!
//! A segment is a line of JSON, then page numbers (32 bits, big-endian) each with the page's content. In its object there are
//! two codes before it: its own, which covers the one of the segment before and the content, and that of the segment before.
//! So a segment cannot be changed, left out or moved without that being noticed.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::BackupError;
use super::key::BackupKey;

/// Pages of a segment; of SQLite's largest pages that would be 256 MiB, of the usual ones it is 16.
pub(super) const MAX_PAGES: usize = 4096;
/// Most bytes of a segment.
pub(super) const MAX_BYTES: usize = MAX_PAGES * (65_536 + 4) + 4096;

/// What is known of a segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) chain: String,
    pub(super) number: u64,
    /// When its newest transaction was there, at the latest; milliseconds since the epoch.
    pub(super) until: i64,
    /// Whether a transaction ends with it. A transaction that is larger than a segment has several.
    pub(super) ends: bool,
    pub(super) page_size: u32,
    /// Pages of the database after it, when a transaction ends with it.
    pub(super) database_pages: u32,
    pub(super) pages: u32,
}

/// A code that links segments; see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link(pub(super) [u8; 32]);

impl Link {
    /// Returns what stands for the segment before the first.
    pub(super) fn origin(key: &BackupKey, chain: &str) -> Self {
        Self(key.code("chain", &[chain.as_bytes()]))
    }

    pub(super) fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        Some(Self(HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?))
    }
}

pub(super) fn object(chain: &str, number: u64) -> String {
    format!("{}/{chain}/{number:016}", super::SEGMENTS)
}

/// Writes a segment; `pages` begins with the line.
pub(super) fn first_line(header: &Header) -> Vec<u8> {
    let mut out = serde_json::to_vec(header).expect("a header is JSON");
    out.push(b'\n');
    out
}

/// Makes the object of a segment that follows `previous`.
pub(super) fn seal(key: &BackupKey, previous: Link, segment: &[u8]) -> Result<(Vec<u8>, Link), BackupError> {
    let link = Link(key.code("segment", &[&previous.0, segment]));
    let mut object = Vec::with_capacity(64 + segment.len());
    object.extend_from_slice(&link.0);
    object.extend_from_slice(&previous.0);
    object.extend_from_slice(segment);
    Ok((key.seal(&object)?, link))
}

/// An opened segment.
pub(super) struct Segment {
    pub(super) header: Header,
    pub(super) link: Link,
    bytes: Vec<u8>,
    pages_at: usize,
}

/// Opens the object of a segment, which must follow `previous` if that is known.
pub(super) fn open(
    key: &BackupKey,
    name: &str,
    sealed: &[u8],
    expected: (&str, u64),
    previous: Option<Link>,
) -> Result<Segment, BackupError> {
    let damaged = |reason: &str| BackupError::Damaged { name: name.to_owned(), reason: reason.to_owned() };
    let bytes = key.open(name, sealed, MAX_BYTES + 64)?;
    let (Some(link), Some(before)) = (bytes.get(..32), bytes.get(32..64)) else { return Err(damaged("it is too short")) };
    if !bool::from(key.code("segment", &[before, &bytes[64..]]).ct_eq(link)) {
        return Err(damaged("it was not written by who has the key"));
    }
    if previous.is_some_and(|previous| previous.0 != before) {
        return Err(damaged("it does not follow the segment before"));
    }
    let link = Link(link.try_into().expect("32 bytes"));
    let line = bytes[64..].iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no header"))?;
    let header: Header = serde_json::from_slice(&bytes[64..64 + line]).map_err(|_| damaged("its header is not understood"))?;
    let pages_at = 64 + line + 1;
    if (header.chain.as_str(), header.number) != expected {
        return Err(damaged("it is another segment"));
    }
    if bytes.len() - pages_at != header.pages as usize * (4 + header.page_size as usize) {
        return Err(damaged("it has not as many pages as it says"));
    }
    Ok(Segment { header, link, bytes, pages_at })
}

impl Segment {
    /// Returns the pages with their numbers.
    pub(super) fn pages(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.bytes[self.pages_at..].chunks_exact(4 + self.header.page_size as usize).map(|page| {
            let (number, content) = page.split_at(4);
            (u32::from_be_bytes([number[0], number[1], number[2], number[3]]), content)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_opens_in_its_place_alone() {
        let key = BackupKey::generate();
        let header = Header { chain: "c".into(), number: 7, until: 1, ends: true, page_size: 512, database_pages: 9, pages: 1 };
        let mut segment = first_line(&header);
        segment.extend_from_slice(&3u32.to_be_bytes());
        segment.extend_from_slice(&[5; 512]);
        let origin = Link::origin(&key, "c");
        let (sealed, link) = seal(&key, origin, &segment).unwrap();

        let opened = open(&key, "x", &sealed, ("c", 7), Some(origin)).unwrap();
        assert_eq!(opened.link, link);
        assert_eq!(opened.pages().collect::<Vec<_>>(), [(3, &[5; 512][..])]);
        assert!(open(&key, "x", &sealed, ("c", 7), None).is_ok());
        assert!(open(&key, "x", &sealed, ("c", 8), None).is_err(), "another number");
        assert!(open(&key, "x", &sealed, ("d", 7), None).is_err(), "another chain");
        assert!(open(&key, "x", &sealed, ("c", 7), Some(link)).is_err(), "after another segment");
    }
}
