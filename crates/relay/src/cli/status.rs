//! `relay status`: shows how a running server is doing.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use http::Method;

use super::{CliError, ConfigSourceArgs};
use crate::config::Override;
use crate::control::{ControlClient, ControlError};
use crate::status::Status;
use crate::status::view::view;

/// The arguments of `relay status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Print everything as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Show it anew every two seconds, until interrupted
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Time between two looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Runs the verb.
pub(super) async fn run(args: &StatusArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    // The public URL may be known to `relay serve` alone, as a flag, and does not matter here.
    let any = Override {
        flag: "relay status".to_owned(),
        path: "server.public_url".to_owned(),
        value: "http://localhost".to_owned(),
    };
    let loaded = args.source.load_with(env, &[any])?;
    let server = ControlClient::new(&loaded.config.data.dir);
    let mut out = std::io::stdout();
    loop {
        let status: Status =
            server.call(Method::GET, "/status", None::<&()>).await.map_err(|err| not_running(err, &loaded.config.data.dir))?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&status).map_err(std::io::Error::from)?)?;
        } else {
            // Home, and clear what is below.
            let clear = if args.watch && out.is_terminal() { "\x1b[H\x1b[J" } else { "" };
            writeln!(out, "{clear}{}", view(&status))?;
        }
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

fn not_running(err: ControlError, data_dir: &std::path::Path) -> CliError {
    match err {
        ControlError::Unreachable { .. } => CliError::Failed {
            problem: format!("No server runs over the data folder {}.", data_dir.display()),
            remedy: "Start it with `relay serve`, or name its folder with --data-dir.".to_owned(),
        },
        ControlError::Refused(_) | ControlError::Answer(_) => err.into(),
    }
}
