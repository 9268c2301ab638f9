//! `relay support-bundle`: writes a file that tells whoever helps how the server is doing.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use common::{Clock as _, Datetime};
use http::Method;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::doctor::DoctorArgs;
use super::verify::VerifyArgs;
use super::{CliError, ConfigSourceArgs};
use crate::backup;
use crate::config::{Config, Loaded};
use crate::control::ControlClient;
use crate::doctor;
use crate::status::Status;
use crate::support_bundle::{Bundle, Scrubber, describe, private_words};
use crate::verify::Source;

/// How long looking at what is stored may take.
const VERIFY_FOR: std::time::Duration = std::time::Duration::from_secs(60);

/// The arguments of `relay support-bundle`.
#[derive(Debug, Clone, Args)]
pub struct SupportBundleArgs {
    /// The file to write, a zip archive [default: relay-support-<time>.zip]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Do not look at what is stored, which may take a minute
    #[arg(long)]
    pub no_verify: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Runs the verb.
pub(super) async fn run(args: &SupportBundleArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let mut bundle = Bundle::default();
    bundle.add("versions.txt", "the program and the machine", Ok(versions()));
    let mut secrets: Vec<String> = Vec::new();
    match args.source.load(env.clone()) {
        Ok(Loaded { config, .. }) => {
            let given = config.texts.secrets.iter().map(|secret| secret.expose().to_owned());
            secrets.extend(given);
            bundle.add("relay.toml", "the configuration that holds, without secrets", Ok(config.texts.effective.clone()));
            secrets.extend(from_server_and_data(args, env, &config, &mut bundle).await);
        }
        // It says what is wrong, and no secret.
        Err(err) => bundle.add("relay.toml", "why the configuration does not hold", Ok(err.to_string())),
    }
    let path = args.out.clone().unwrap_or_else(|| {
        let now = Datetime::from_millis(crate::clock::SystemClock::default().millis());
        let digits: String = now.as_str().chars().filter(char::is_ascii_digit).take(14).collect();
        format!("relay-support-{digits}.zip").into()
    });
    let scrubber = Scrubber::new(secrets);
    let written = bundle.write(&path, &scrubber).map_err(|err| CliError::Failed {
        problem: format!("{} cannot be written: {err}.", path.display()),
        remedy: "Name another file with --out; one that is there is not replaced.".into(),
    })?;
    let mut out = std::io::stdout();
    for (name, bytes) in written {
        writeln!(out, "{name:<16}{bytes:>9} bytes")?;
    }
    writeln!(out, "\n{} is written. Secrets and mail addresses were removed; read it before you hand it on.", path.display())?;
    Ok(())
}

/// Adds what the server and its data folder tell, and returns words to be removed.
async fn from_server_and_data(
    args: &SupportBundleArgs,
    env: Vec<(String, String)>,
    config: &Config,
    bundle: &mut Bundle,
) -> Vec<String> {
    let server = ControlClient::new(&config.data.dir);
    let status: Result<Status, String> = ask(&server, "/status").await;
    let as_text = status.as_ref().map(crate::status::view::view).map_err(Clone::clone);
    bundle.add("status.txt", "what `relay status` shows", as_text);
    bundle.add("status.json", "the same, with the state of each task", status.and_then(|status| json(&status)));
    bundle.add("metrics.txt", "what /metrics has", ask(&server, "/metrics").await);
    bundle.add("log.txt", "the last lines of the log of the running server", ask(&server, "/log").await);
    if !config.backup.to.is_empty() {
        let backups: Result<Vec<backup::Status>, String> = ask(&server, "/backup").await;
        bundle.add("backups.json", "how the backups are doing", backups.and_then(|backups| json(&backups)));
    }
    let doctor = DoctorArgs { json: true, fix: false, source: args.source.clone() };
    let facts = Box::pin(super::doctor::gather(&doctor, env)).await.map_err(|err| err.to_string());
    bundle.add("doctor.json", "what `relay doctor` finds", facts.and_then(|facts| json(&doctor::evaluate(&facts))));

    let reading = config.clone();
    let read = tokio::task::spawn_blocking(move || {
        let source = Source::open(&reading).map_err(|err| err.to_string())?;
        let described = describe(source.conn()).map_err(|err| err.to_string())?;
        Ok::<_, String>((described, private_words(source.conn()).map_err(|err| err.to_string())?))
    });
    let read = read.await.unwrap_or_else(|err| Err(err.to_string()));
    let (described, words) = match read {
        Ok((described, words)) => (Ok(described), words),
        Err(err) => (Err(err), Vec::new()),
    };
    bundle.add("database.txt", "schema and numbers of rows", described);
    if !args.no_verify {
        let verify = VerifyArgs { quick: true, no_identities: true, budget: Some(VERIFY_FOR), ..VerifyArgs::of(&args.source) };
        let stop = CancellationToken::new();
        let report = super::verify::verify_folder(&verify, config, &stop).await.map_err(|err| err.to_string());
        bundle.add("verify.json", "what `relay verify --quick` finds within a minute", report.and_then(|report| json(&report)));
    }
    words
}

async fn ask<T: DeserializeOwned>(server: &ControlClient, path: &str) -> Result<T, String> {
    server.call(Method::GET, path, None::<&()>).await.map_err(|err| err.to_string())
}

fn json(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|err| err.to_string())
}

fn versions() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    format!(
        "relay: {}\nsystem: {} {}\nkernel: {}\nprocessors: {}\nsqlite: {}\ndistribution: {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        read("/proc/sys/kernel/osrelease"),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        rusqlite::version(),
        read("/etc/os-release").lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default(),
    )
}
