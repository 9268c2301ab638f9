//! The index of releases: `index.json`, with its signature in `index.json.minisig`.
//!
//! ```json
//! {
//!   "version": "0.2.0",
//!   "minimum": "0.1.0",
//!   "notes": "https://example.com/releases/0.2.0",
//!   "programs": {
//!     "x86_64-linux": {
//!       "file": "relay-0.2.0-x86_64-linux",
//!       "bytes": 20000000,
//!       "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
//!       "signature": "untrusted comment: ...\nRUQ...\ntrusted comment: ...\n...\n"
//!     }
//!   }
//! }
//! ```
//!
//! `minimum` and `notes` may be absent. The programs are `x86_64-linux`, `aarch64-linux`, `x86_64-macos`, `aarch64-macos`.

use std::collections::BTreeMap;

use semver::Version;
use serde::Deserialize;

use super::UpdateError;

/// What is released.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Index {
    pub(crate) version: Version,
    /// The oldest version that this one can follow.
    pub(super) minimum: Option<Version>,
    /// Where to read what is new.
    pub(crate) notes: Option<String>,
    programs: BTreeMap<String, Program>,
}

/// The program for one kind of machine.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Program {
    /// The name of the file, which lies beside the index.
    pub(super) file: String,
    pub(super) bytes: u64,
    /// In lower case hexadecimal digits.
    pub(super) sha256: String,
    /// The whole text of the signature.
    pub(super) signature: String,
}

/// More than this is no program of ours.
const MAX_PROGRAM_BYTES: u64 = 512 << 20;

impl Index {
    pub(super) fn read(json: &[u8]) -> Result<Self, UpdateError> {
        let index: Self =
            serde_json::from_slice(json).map_err(|err| UpdateError::Index(format!("it is not understood: {err}")))?;
        for program in index.programs.values() {
            // It becomes part of a path and of a URL.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
            if program.file.is_empty() || program.file.starts_with('.') || !program.file.chars().all(plain) {
                return Err(UpdateError::Index(format!("{:?} is no name of a file", program.file)));
            }
            if program.bytes > MAX_PROGRAM_BYTES {
                return Err(UpdateError::Index(format!("{} is too large", program.file)));
            }
            if program.sha256.len() != 64 || !program.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(UpdateError::Index(format!("the hash of {} is none", program.file)));
            }
        }
        Ok(index)
    }

    /// Returns the program for this machine, if it may follow version `here`.
    pub(super) fn program(&self, here: &Version, allow_downgrade: bool) -> Result<&Program, UpdateError> {
        let there = self.version.clone();
        if there < *here && !allow_downgrade {
            return Err(UpdateError::Downgrade { here: here.clone(), there });
        }
        if let Some(minimum) = self.minimum.clone().filter(|minimum| here < minimum) {
            return Err(UpdateError::TooFar { here: here.clone(), there, minimum });
        }
        let target = target();
        self.programs.get(&target).ok_or_else(|| UpdateError::NoProgram {
            version: there,
            target,
            there: self.programs.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }
}

/// Returns the kind of this machine, as the index names it.
pub(super) fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(version: &str, file: &str) -> String {
        let hash = "0".repeat(64);
        format!(
            r#"{{"version":"{version}","minimum":"0.1.0","programs":{{"{}":{{"file":"{file}","bytes":1,"sha256":"{hash}","signature":"s"}}}}}}"#,
            target()
        )
    }

    fn at(version: &str) -> Version {
        version.parse().unwrap()
    }

    #[test]
    fn versions_go_forward_unless_asked() {
        let index = Index::read(index("0.2.0-rc.1", "relay").as_bytes()).unwrap();
        assert!(index.program(&at("0.1.0"), false).is_ok());
        assert!(matches!(index.program(&at("0.2.0"), false), Err(UpdateError::Downgrade { .. })), "a candidate comes before");
        assert!(index.program(&at("0.2.0"), true).is_ok());
        let Err(UpdateError::TooFar { minimum, .. }) = index.program(&at("0.0.9"), false) else { panic!("it is too old") };
        assert_eq!(minimum, at("0.1.0"));
    }

    #[test]
    fn files_have_plain_names_and_real_hashes() {
        for name in ["", "../relay", "a/b", ".relay", "a b", "https://evil.example/relay"] {
            assert!(Index::read(index("0.2.0", name).as_bytes()).is_err(), "{name}");
        }
        assert!(Index::read(index("0.2.0", "relay-0.2.0+x_1").as_bytes()).is_ok());
        assert!(Index::read(index("0.2.0", "relay").replace("0000", "00").as_bytes()).is_err());
        assert!(Index::read(index("0.2.0", "relay").replace("\"bytes\":1", "\"bytes\":999999999999").as_bytes()).is_err());
    }
}
