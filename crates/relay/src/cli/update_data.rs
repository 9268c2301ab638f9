//! `relay update-data`: what `relay update` has the owner of the data folder do; see `update/data.rs`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::update;
pub use crate::update::DataStep;

/// The arguments of `relay update-data`.
#[derive(Debug, Clone, Args)]
pub struct UpdateDataArgs {
    /// What to do
    #[arg(value_enum)]
    pub step: DataStep,
    /// The data folder
    #[arg(value_name = "FOLDER")]
    pub data_dir: PathBuf,
}

/// Runs the verb.
pub(super) fn run(args: &UpdateDataArgs) -> Result<(), CliError> {
    update::carry_out_step(args.step, &args.data_dir)
        .map_err(|err| CliError::Failed { problem: err.to_string(), remedy: "This is a part of `relay update`.".to_owned() })
}
