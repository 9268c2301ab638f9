//! `relay restore`: makes a data folder from a backup.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use clap::Args;
use common::Datetime;
use indicatif::{ProgressBar, ProgressStyle};

use super::CliError;
use super::backup::{self as verbs, PlaceArgs};
use crate::backup::{self, Request, Step};

/// The arguments of `relay restore`. It needs no configuration, which may be lost with the rest.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The place.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The data folder to make; it must be empty or not there
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// The moment to go back to, such as 2026-05-01T12:00:00Z [default: the newest]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub at: Option<i64>,
    /// Leave out blobs: with blobs.store, when the store is still there
    #[arg(long)]
    pub no_blobs: bool,
    /// The new address of the server, if it changes: on its next start with this address as server.public_url it tells the PLC
    /// directory that its accounts are there. Only when the old server is gone for good
    #[arg(long, value_name = "URL")]
    pub move_to: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn parse_time(text: &str) -> Result<i64, String> {
    let time: Datetime = text.parse().map_err(|err| format!("write it as 2026-05-01T12:00:00Z ({err})"))?;
    Ok(time.millis())
}

/// Runs the verb.
pub(super) async fn run(args: &RestoreArgs, env: &[(String, String)]) -> Result<(), CliError> {
    if args.place.place.is_none() {
        return Err(CliError::Usage {
            problem: "It is not said where the backups are.".into(),
            remedy: "Name the folder, or s3://bucket/prefix.".into(),
        });
    }
    let move_to = args.move_to.as_deref().map(check_url).transpose()?;
    let opened = args.place.open(env).await?;
    let bar = Bar::default();
    let clock = verbs::clock();
    let request = Request {
        opened: &opened,
        at: args.at,
        into: &args.into,
        with_blobs: !args.no_blobs,
        move_to: move_to.clone(),
        clock: &*clock,
        progress: &|step, done, total| bar.show(step, done, total),
    };
    let restored = tokio::select! {
        restored = backup::restore(request) => restored?,
        () = super::asked_to_stop() => {
            return Err(CliError::Failed {
                problem: "The restore was interrupted.".into(),
                remedy: "Run it again; it begins anew.".into(),
            });
        }
    };
    bar.finish();
    let mut out = std::io::stdout();
    if args.json {
        let line = serde_json::to_string(&restored).map_err(std::io::Error::from)?;
        writeln!(out, "{line}")?;
        return Ok(());
    }
    let through = Datetime::from_millis(restored.through);
    let into = args.into.display();
    writeln!(out, "Restored to {into}: all that was written until {}.", through.as_str())?;
    writeln!(out, "{} accounts, {} records, {} blobs.", restored.accounts, restored.records, restored.blobs)?;
    if !restored.missing_blobs.is_empty() {
        writeln!(out, "{} blobs are not in the backup; `relay verify` names them.", restored.missing_blobs.len())?;
    }
    writeln!(out, "\nThe configuration of then is in {into}/configuration.")?;
    let url = move_to.as_deref().unwrap_or(&restored.public_url);
    writeln!(out, "Start the server with data.dir = \"{into}\" and server.public_url = \"{url}\".")?;
    writeln!(out, "Make sure that the old server does not run any more: two servers with the same accounts harm both.")?;
    Ok(())
}

/// Checks an address, and returns it as the configuration would have it.
fn check_url(text: &str) -> Result<String, CliError> {
    let trimmed = text.trim_end_matches('/');
    match url::Url::parse(trimmed) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() && url.path() == "/" => Ok(trimmed.to_owned()),
        Ok(_) | Err(_) => Err(CliError::Usage {
            problem: format!("{text} is not the address of a server."),
            remedy: "Write it as server.public_url has it: https://pds.example.com.".into(),
        }),
    }
}

/// How far it is, on a terminal.
#[derive(Default)]
struct Bar(Mutex<Option<(Step, ProgressBar)>>);

impl Bar {
    fn show(&self, step: Step, done: u64, total: u64) {
        let mut shown = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(before, _)| *before != step) {
            if let Some((_, bar)) = shown.take() {
                bar.finish();
            }
            let (name, is_bytes) = match step {
                Step::Database => ("database", true),
                Step::Changes => ("changes", false),
                Step::Checks => ("checks", false),
                Step::Blobs => ("blobs", true),
            };
            let counts = if is_bytes { "{bytes}/{total_bytes} {bytes_per_sec}" } else { "{pos}/{len}" };
            let style = ProgressStyle::with_template(&format!("{{prefix:9}} {{wide_bar}} {counts} {{eta}}"));
            let bar = ProgressBar::new(total).with_prefix(name);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            *shown = Some((step, bar));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_position(done);
        }
    }

    fn finish(&self) {
        if let Some((_, bar)) = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            bar.finish();
        }
    }
}
