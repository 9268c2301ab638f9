//! `relay verify --repair`: has what was found mended by whoever has the data folder, this process or the server.

use std::collections::BTreeMap;
use std::io::Write as _;

use common::{Cid, Did};
use http::Method;

use super::VerifyArgs;
use crate::cli::CliError;
use crate::cli::account::Accounts;
use crate::repo::Rebuilt;
use crate::verify::Report;
use crate::verify::finding::{Finding, Kind, Mending};
use crate::verify::mend::{self, FetchBlob, RebuildRepo};

/// Whether something was found that can be mended.
pub(super) fn can(report: &Report) -> bool {
    report.findings.iter().any(|finding| matches!(finding.id.mending(), Mending::Rebuild | Mending::Refetch))
}

/// Mends what was found, one account and one blob after the other. What fails is told, and the rest goes on.
pub(super) async fn run(args: &VerifyArgs, env: Vec<(String, String)>, report: &Report) -> Result<(), CliError> {
    let with = Accounts::open(&args.source, env).await?;
    let mut err = std::io::stderr();
    for (did, announce) in repos(report) {
        let input = RebuildRepo { account: did.clone(), announce };
        let done: Result<Rebuilt, CliError> = match &with {
            Accounts::Here(app) => mend::rebuild_repo(app, input).await.map_err(CliError::from),
            Accounts::There(server) => server.call(Method::POST, "/repair/repo", Some(&input)).await.map_err(CliError::from),
        };
        match done {
            Ok(done) => {
                let head = done.rev.map(|rev| format!(", new head {rev}")).unwrap_or_default();
                let evidence = done.evidence.map(|path| format!("; what it replaced is in {}", path.display()));
                writeln!(
                    err,
                    "{did}: {} tree nodes stored, {} removed{head}{}",
                    done.nodes_stored,
                    done.nodes_removed,
                    evidence.unwrap_or_default()
                )?;
            }
            Err(failure) => writeln!(err, "{did}: {failure}")?,
        }
    }
    for (did, cid) in blobs(report) {
        if args.blobs_from.is_empty() {
            writeln!(err, "{did}: the blob {cid} is not mended: say with --blobs-from where to fetch it")?;
        }
        for from in &args.blobs_from {
            let input = FetchBlob { account: did.clone(), cid, from: from.clone() };
            let done: Result<u64, CliError> = match &with {
                Accounts::Here(app) => mend::fetch_blob(app, input).await.map_err(CliError::from),
                Accounts::There(server) => {
                    server.call(Method::POST, "/repair/blob", Some(&input)).await.map_err(CliError::from)
                }
            };
            match done {
                Ok(bytes) => {
                    writeln!(err, "{did}: the blob {cid} is here again, {bytes} bytes")?;
                    break;
                }
                Err(failure) => writeln!(err, "{did}: {failure}")?,
            }
        }
    }
    Ok(())
}

/// Returns the accounts whose repos are to be rebuilt, and whether the network has to be told where they are.
fn repos(report: &Report) -> BTreeMap<Did, bool> {
    let mut repos = BTreeMap::new();
    for Finding { id, account, .. } in &report.findings {
        let told_wrong = matches!(id, Kind::EventChain | Kind::EventHead | Kind::EventDamaged);
        if let Some(did) = account
            && (told_wrong || id.mending() == Mending::Rebuild)
        {
            *repos.entry(did.clone()).or_default() |= told_wrong;
        }
    }
    repos
}

fn blobs(report: &Report) -> Vec<(Did, Cid)> {
    let of = |finding: &Finding| match (finding.id.mending(), &finding.account, finding.blob) {
        (Mending::Refetch, Some(did), Some(cid)) => Some((did.clone(), cid)),
        _ => None,
    };
    report.findings.iter().filter_map(of).collect()
}
