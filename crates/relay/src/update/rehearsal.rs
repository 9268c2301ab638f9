//! What the new program says of a copy of the database, before it gets the real one.
//!
//! `relay rehearse FOLDER` is what one version asks of another, so its name and its answer do not change: it brings
//! `relay.sqlite` in the folder to its own form, and prints [`Rehearsed`].

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::UpdateError;
use super::keep::Owner;
use crate::data_dir::DATABASE;
use crate::store::{self, StoreError};

/// The largest databases take minutes to go through.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
const VERSION_PATIENCE: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// What a program made of a copy of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rehearsed {
    /// The form that the database had.
    pub(crate) schema_before: i64,
    /// The form that it has with the new program.
    pub(crate) schema_after: i64,
}

/// Brings the database in `folder`, a copy, to the form of this program.
pub(crate) fn rehearse(folder: &Path) -> Result<Rehearsed, StoreError> {
    let change = store::rehearse(&folder.join(DATABASE))?;
    Ok(Rehearsed { schema_before: change.before, schema_after: change.after })
}

/// Checks that the new program runs here, and is the version that it should be.
pub(super) fn check_version(program: &Path, expected: &Version, owner: Owner) -> Result<(), UpdateError> {
    let said = run(Command::new(program).arg("--version"), owner, VERSION_PATIENCE).map_err(UpdateError::Candidate)?;
    let version = said.split_whitespace().last().and_then(|word| word.parse::<Version>().ok());
    if version.as_ref() == Some(expected) {
        return Ok(());
    }
    Err(UpdateError::Candidate(format!("it says that it is {:?}, and not version {expected}", said.trim())))
}

/// Has the new program take over the copy of the database in `folder`.
pub(super) fn of_copy(program: &Path, folder: &Path, owner: Owner) -> Result<Rehearsed, UpdateError> {
    let said = run(Command::new(program).arg("rehearse").arg(folder), owner, PATIENCE).map_err(UpdateError::Rehearsal)?;
    let answer = said.lines().last().unwrap_or_default();
    serde_json::from_str(answer).map_err(|_| UpdateError::Rehearsal("its answer is not understood".into()))
}

/// Runs a program as `owner`, for so long at most, and returns what it says.
fn run(command: &mut Command, owner: Owner, patience: Duration) -> Result<String, String> {
    owner.run_as(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/");
    let mut child = command.spawn().map_err(|err| format!("it does not run: {err}"))?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|err| err.to_string())? {
            Some(status) => break status,
            None if begun.elapsed() > patience => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("it did not end within {} s", patience.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let read = |stream: Option<&mut dyn io::Read>| {
        let mut text = Vec::new();
        if let Some(stream) = stream {
            drop(stream.take(MAX_ANSWER_BYTES).read_to_end(&mut text));
        }
        String::from_utf8_lossy(&text).into_owned()
    };
    let said = read(child.stdout.as_mut().map(|stream| stream as &mut dyn io::Read));
    if status.success() {
        return Ok(said);
    }
    let complaint = read(child.stderr.as_mut().map(|stream| stream as &mut dyn io::Read));
    let last = complaint.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing");
    Err(format!("{last} ({status})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended_and_one_that_fails_is_quoted() {
        let shell = |script: &str, patience: Duration| run(Command::new("sh").args(["-c", script]), Owner::default(), patience);
        assert_eq!(shell("echo relay 0.2.0", PATIENCE).unwrap(), "relay 0.2.0\n");
        let hung = shell("exec sleep 1000", Duration::from_millis(50)).unwrap_err();
        assert!(hung.starts_with("it did not end within"), "{hung}");
        let failed = shell("echo; echo 'table account is odd' >&2; exit 7", PATIENCE).unwrap_err();
        assert_eq!(failed, "table account is odd (exit status: 7)");
    }
}
