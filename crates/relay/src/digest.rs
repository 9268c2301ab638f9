//! Hashes of what is too large to be held.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// Returns the SHA-256 of all that there is to read.
pub(crate) fn sha256(mut from: impl Read) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
