//! The arguments that say where the configuration comes from; most verbs share them.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use crate::config::{self, Config, Loaded, Override};
use crate::setup::{Machine, Place};

/// Where a configuration file is looked for when none is named, before that which `relay setup` wrote.
const USUAL_FILES: [&str; 2] = ["relay.toml", "/etc/relay/relay.toml"];

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigSourceArgs {
    /// The configuration file [default: relay.toml, /etc/relay/relay.toml, that of `relay setup`]
    #[arg(long, value_name = "FILE", env = "RELAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// The folder of the data (data.dir)
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Set any setting, such as limits.blob_upload=50MB; may be repeated
    #[arg(long, value_name = "SETTING=VALUE", value_parser = parse_set)]
    pub set: Vec<SetArg>,
}

/// One `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetArg {
    path: String,
    value: String,
}

impl SetArg {
    pub(super) fn to_override(&self) -> Override {
        Override { flag: format!("--set {}", self.path), path: self.path.clone(), value: self.value.clone() }
    }
}

pub(super) fn parse_set(text: &str) -> Result<SetArg, String> {
    let (path, value) = text.split_once('=').ok_or("write it as setting=value, such as limits.blob_upload=50MB")?;
    Ok(SetArg { path: path.trim().to_owned(), value: value.to_owned() })
}

impl ConfigSourceArgs {
    /// Loads the configuration from the file, the environment and these arguments.
    pub fn load(&self, env: Vec<(String, String)>) -> Result<Loaded, CliError> {
        self.load_with(env, &[])
    }

    /// Loads the configuration as [`ConfigSourceArgs::load`] does, with the flags that a verb has besides.
    pub fn load_with(&self, env: Vec<(String, String)>, flags: &[Override]) -> Result<Loaded, CliError> {
        self.load_over(env, &[], flags)
    }

    /// Loads the configuration as [`ConfigSourceArgs::load_with`] does; what only `defaults` say, they say.
    pub(super) fn load_over(
        &self,
        env: Vec<(String, String)>,
        defaults: &[Override],
        flags: &[Override],
    ) -> Result<Loaded, CliError> {
        // Flags outweigh the environment, and these must not.
        let is_in_env =
            |path: &str| config::find_setting(path).is_some_and(|setting| env.iter().any(|(name, _)| *name == setting.env()));
        let mut overrides: Vec<_> = defaults.iter().filter(|default| !is_in_env(&default.path)).cloned().collect();
        overrides.extend(self.set.iter().map(SetArg::to_override));
        if let Some(dir) = &self.data_dir {
            overrides.push(Override { flag: "--data-dir".to_owned(), path: "data.dir".to_owned(), value: dir.clone() });
        }
        overrides.extend_from_slice(flags);
        let hints = config::hints(env.iter().cloned());
        Config::load(self.file().as_deref(), env, &overrides).map_err(|errors| CliError::Config { errors, hints })
    }

    /// Returns the file that `relay setup` ends with: in the data folder, where that is named, or else in the platform's.
    fn written_by_setup(&self) -> Option<PathBuf> {
        Some(self.place(super::process_env())?.config())
    }

    /// Returns where `relay setup` puts a server.
    pub(super) fn place(&self, env: Vec<(String, String)>) -> Option<Place> {
        let named = self.data_dir.as_ref().map(|dir| ("RELAY_DATA_DIR".to_owned(), dir.clone()));
        Machine::look(env.into_iter().chain(named)).place()
    }

    /// Returns what `--set` sets.
    pub(super) fn set_overrides(&self) -> Vec<Override> {
        self.set.iter().map(SetArg::to_override).collect()
    }

    /// Returns the configuration file that is used, if there is one.
    pub fn file(&self) -> Option<PathBuf> {
        let usual = || USUAL_FILES.iter().map(PathBuf::from).chain(self.written_by_setup()).find(|file| file.is_file());
        // An empty RELAY_CONFIG is the same as none, as with all our variables.
        self.config.clone().filter(|file| !file.as_os_str().is_empty()).or_else(usual)
    }
}
