//! `relay config`: checks, shows and documents the configuration.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{CliError, ConfigSourceArgs, error::hints_text};
use crate::config::{markdown, show};

/// The arguments of `relay config`.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// What to do with the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigVerb {
    /// Report all mistakes, and what to write for variables of the official PDS
    Check(ConfigSourceArgs),
    /// Print what holds and where it comes from, as TOML; secrets are left out
    Show(ConfigSourceArgs),
    /// Print the documentation of all settings, as Markdown
    Docs,
}

/// Runs the verb; results go to `out`.
pub fn run(args: &ConfigArgs, env: Vec<(String, String)>, out: &mut impl Write) -> Result<(), CliError> {
    match &args.verb {
        ConfigVerb::Check(source) => {
            let loaded = source.load(env)?;
            let file = source.file().map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
            writeln!(out, "The configuration is valid ({file}, environment and flags).{}", hints_text(&loaded.hints))?;
        }
        ConfigVerb::Show(source) => write!(out, "{}", show(&source.load(env)?.effective))?,
        ConfigVerb::Docs => write!(out, "{}", markdown())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn check(toml: &str, env: &[(&str, &str)]) -> Result<String, CliError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("relay.toml");
        fs::write(&file, toml).unwrap();
        let source = ConfigSourceArgs { config: Some(file), ..ConfigSourceArgs::default() };
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut out = Vec::new();
        run(&ConfigArgs { verb: ConfigVerb::Check(source) }, env, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_valid_configuration_is_called_so() {
        let text = check("[server]\npublic_url = \"https://pds.example.com\"\n", &[("PDS_PORT", "3000")]).unwrap();
        assert!(text.starts_with("The configuration is valid ("), "{text}");
        assert!(text.contains("PDS_PORT: RELAY_SERVER_BIND=0.0.0.0:3000,[::]:3000"), "{text}");
    }

    #[test]
    fn variables_of_the_official_pds_explain_what_is_missing() {
        let err = check("", &[("PDS_HOSTNAME", "pds.example.com"), ("PDS_JWT_SECRET", "hunter22")]).unwrap_err();
        assert_eq!(err.exit_code(), 2);
        insta::assert_snapshot!(err, @r#"
        server.public_url is not set
            Write the address that people reach this server by, such as "https://pds.example.com".

        The configuration has 1 mistake.

        These variables of the official PDS are set, but have no effect here. Instead:
            PDS_HOSTNAME: RELAY_SERVER_PUBLIC_URL=https://pds.example.com
            PDS_JWT_SECRET: not needed: made and kept by the server
        "#);
    }
}
