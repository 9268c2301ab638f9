//! `relay rehearse`: what an update asks a new version before it gets the data; see `update/rehearsal.rs`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::update;

/// The arguments of `relay rehearse`.
#[derive(Debug, Clone, Args)]
pub struct RehearseArgs {
    /// A folder with a copy of relay.sqlite, which is changed
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Runs the verb.
pub(super) fn run(args: &RehearseArgs, out: &mut impl std::io::Write) -> Result<(), CliError> {
    let rehearsed = update::rehearse(&args.folder).map_err(|err| CliError::Failed {
        problem: format!("The copy of the database cannot be used: {err}."),
        remedy: "The database itself was not touched.".to_owned(),
    })?;
    writeln!(out, "{}", serde_json::to_string(&rehearsed).map_err(std::io::Error::from)?)?;
    Ok(())
}
