//! A zip file that is written from front to back: entries are stored as they are, and their sizes follow them.
//!
//! Entries and the whole may be of any size (ZIP64). The directory, which comes last and names every entry, waits in a temporary
//! file, so that memory does not grow with the number of entries.
//!
//! Format: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, Write as _};

use bytes::Bytes;

/// Names are UTF-8, and sizes follow the data.
const FLAGS: u16 = 1 << 11 | 1 << 3;
/// What a program must know: ZIP64.
const VERSION: u16 = 45;
/// 1980-01-01, the beginning of time in zip files.
const DATE: u16 = 1 << 5 | 1;

/// A zip file in the making.
pub(super) struct Zip {
    ready: Vec<u8>,
    /// Bytes before `ready`.
    passed: u64,
    directory: BufWriter<File>,
    entries: u64,
    open: Option<Entry>,
}

struct Entry {
    name: Vec<u8>,
    offset: u64,
    size: u64,
    crc: Crc32,
}

impl Zip {
    pub(super) fn new() -> io::Result<Self> {
        let directory = BufWriter::new(tempfile::tempfile()?);
        Ok(Self { ready: Vec::new(), passed: 0, directory, entries: 0, open: None })
    }

    /// Begins an entry; its name has less than 64 KiB.
    pub(super) fn begin(&mut self, name: &str) {
        let offset = self.passed + self.ready.len() as u64;
        let name = name.as_bytes().to_vec();
        let out = &mut self.ready;
        out.extend_from_slice(&0x0403_4b50_u32.to_le_bytes());
        common_fields(out, 0, u32::MAX, u32::MAX, name.len());
        out.extend_from_slice(&20_u16.to_le_bytes());
        out.extend_from_slice(&name);
        // That there are 64-bit sizes is said here, so that those which follow the data are read as such.
        out.extend_from_slice(&1_u16.to_le_bytes());
        out.extend_from_slice(&16_u16.to_le_bytes());
        out.extend_from_slice(&[0; 16]);
        self.open = Some(Entry { name, offset, size: 0, crc: Crc32::new() });
    }

    /// Adds to the entry that is open.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some(entry) = &mut self.open {
            entry.size += bytes.len() as u64;
            entry.crc.update(bytes);
            self.ready.extend_from_slice(bytes);
        }
    }

    /// Ends the entry that is open.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let Some(entry) = self.open.take() else { return Ok(()) };
        let crc = entry.crc.value();
        self.ready.extend_from_slice(&0x0807_4b50_u32.to_le_bytes());
        self.ready.extend_from_slice(&crc.to_le_bytes());
        self.ready.extend_from_slice(&entry.size.to_le_bytes());
        self.ready.extend_from_slice(&entry.size.to_le_bytes());
        let mut row = Vec::with_capacity(80 + entry.name.len());
        row.extend_from_slice(&0x0201_4b50_u32.to_le_bytes());
        row.extend_from_slice(&VERSION.to_le_bytes());
        common_fields(&mut row, crc, u32::MAX, u32::MAX, entry.name.len());
        row.extend_from_slice(&28_u16.to_le_bytes());
        // No comment, the first disk, no attributes.
        row.extend_from_slice(&[0; 10]);
        row.extend_from_slice(&u32::MAX.to_le_bytes());
        row.extend_from_slice(&entry.name);
        row.extend_from_slice(&1_u16.to_le_bytes());
        row.extend_from_slice(&24_u16.to_le_bytes());
        for value in [entry.size, entry.size, entry.offset] {
            row.extend_from_slice(&value.to_le_bytes());
        }
        self.entries += 1;
        self.directory.write_all(&row)
    }

    /// Says that all entries are there; what is left is the directory.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.end()?;
        self.directory.flush()?;
        let file = self.directory.get_mut();
        let size = file.stream_position()?;
        file.rewind()?;
        let offset = self.passed + self.ready.len() as u64;
        self.open = Some(Entry { name: Vec::new(), offset, size, crc: Crc32::new() });
        Ok(())
    }

    /// Makes about `some` bytes of the directory ready, and returns whether there may be more to come.
    pub(super) fn directory(&mut self, some: usize) -> io::Result<bool> {
        let Some(place) = &self.open else { return Ok(false) };
        let (offset, size) = (place.offset, place.size);
        let read = self.directory.get_mut().take(some as u64).read_to_end(&mut self.ready)?;
        if read > 0 {
            return Ok(true);
        }
        self.open = None;
        let (end, entries, out) = (offset + size, self.entries, &mut self.ready);
        out.extend_from_slice(&0x0606_4b50_u32.to_le_bytes());
        out.extend_from_slice(&44_u64.to_le_bytes());
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        for value in [entries, entries, size, offset] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&0x0706_4b50_u32.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&end.to_le_bytes());
        out.extend_from_slice(&1_u32.to_le_bytes());
        out.extend_from_slice(&0x0605_4b50_u32.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let few = u16::try_from(entries).unwrap_or(u16::MAX);
        out.extend_from_slice(&few.to_le_bytes());
        out.extend_from_slice(&few.to_le_bytes());
        out.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&u32::try_from(offset).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        Ok(false)
    }

    /// Returns how many bytes are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Takes the bytes that are ready.
    pub(super) fn take(&mut self) -> Bytes {
        self.passed += self.ready.len() as u64;
        std::mem::take(&mut self.ready).into()
    }
}

/// Writes what the heads of entries and the rows of the directory share, up to the length of the name.
fn common_fields(out: &mut Vec<u8>, crc: u32, packed: u32, size: u32, name: usize) {
    // Stored, at the beginning of time.
    for value in [VERSION, FLAGS, 0, 0, DATE] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    for value in [crc, packed, size] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&(name as u16).to_le_bytes());
}

/// The check sum of zip files.
struct Crc32(u32);

/// For each byte, at each of eight places.
const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut place = 1;
    while place < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[place - 1][byte];
            tables[place][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        place += 1;
    }
    tables
}

impl Crc32 {
    const fn new() -> Self {
        Self(u32::MAX)
    }

    fn update(&mut self, bytes: &[u8]) {
        let mut sum = self.0;
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut eight = [0; 8];
            eight.copy_from_slice(chunk);
            for (byte, old) in eight.iter_mut().zip(sum.to_le_bytes()) {
                *byte ^= old;
            }
            sum = eight.iter().rev().enumerate().fold(0, |sum, (place, byte)| sum ^ TABLES[place][usize::from(*byte)]);
        }
        for byte in chunks.remainder() {
            sum = sum >> 8 ^ TABLES[0][usize::from(sum as u8 ^ byte)];
        }
        self.0 = sum;
    }

    const fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    fn written(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let (mut zip, mut out) = (Zip::new().unwrap(), Vec::new());
        for (name, bytes) in entries {
            zip.begin(name);
            for part in bytes.chunks(1000) {
                zip.write(part);
                out.extend_from_slice(&zip.take());
            }
            zip.end().unwrap();
        }
        zip.finish().unwrap();
        while zip.directory(100).unwrap() {
            out.extend_from_slice(&zip.take());
        }
        out.extend_from_slice(&zip.take());
        out
    }

    #[test]
    fn others_read_what_is_written() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| ((n * n) >> 3) as u8).collect();
        let entries =
            [("repo.car", bytes.clone()), ("empty", Vec::new()), ("blobs/grün.png", bytes[..7].to_vec()), ("z", bytes)];
        let mut archive = ::zip::ZipArchive::new(Cursor::new(written(&entries))).unwrap();
        assert_eq!(archive.len(), entries.len());
        for (name, bytes) in &entries {
            // The reader compares the check sum.
            let mut found = Vec::new();
            archive.by_name(name).unwrap().read_to_end(&mut found).unwrap();
            assert!(found == *bytes, "{name}");
        }
    }

    #[test]
    fn more_entries_than_the_old_format_has_numbers_for() {
        let names: Vec<String> = (0..70_000).map(|n| format!("blobs/{n}")).collect();
        let entries: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), vec![1])).collect();
        let archive = ::zip::ZipArchive::new(Cursor::new(written(&entries))).unwrap();
        assert_eq!(archive.len(), 70_000);
    }

    #[test]
    fn the_check_sum_is_the_known_one() {
        let mut crc = Crc32::new();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.value(), 0xcbf4_3926);
    }
}
