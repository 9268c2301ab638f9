//! The report of an adoption, for people and for programs.

use std::io::Write;

use serde_json::json;

use super::{AdoptArgs, Proposal};
use crate::adopt::{Problem, Report, Severity};
use crate::cli::{CliError, verify};

/// What is never carried over, and what comes of that.
const NOT_CARRIED: [&str; 4] = [
    "Codes that were mailed: people ask for new ones.",
    "Sign-ins to the web pages: people sign in there again. Apps stay signed in.",
    "Authorizations that are half done: apps begin them anew.",
    "Caches of DIDs and lexicons: they fill by themselves.",
];

/// Prints the report.
pub(super) fn report(
    args: &AdoptArgs,
    report: &Report,
    verified: Option<&crate::verify::Report>,
    proposal: &Proposal<'_>,
) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let config = (!proposal.has_file).then(|| proposal.settings.toml(None, false));
        let without: Vec<_> = proposal.settings.without.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
        let value = json!({
            "done": args.yes,
            "report": report,
            "notCarried": NOT_CARRIED,
            "settings": config,
            "settingsWithout": without,
            "verification": verified,
        });
        writeln!(out, "{value}")?;
        return Ok(());
    }
    for problem in &report.problems {
        print_problem(&mut out, problem)?;
    }
    let more = report.problem_count - report.problems.len() as u64;
    if more > 0 {
        writeln!(out, "... and {more} more of these.\n")?;
    }
    if report.was_finished {
        writeln!(out, "An earlier run has taken over everything but what it set aside; that was tried again.")?;
    }
    counts(&mut out, args, report)?;
    writeln!(out, "\nNot carried over:")?;
    for line in NOT_CARRIED {
        writeln!(out, "  {line}")?;
    }
    settings(&mut out, args, proposal)?;
    let dir = proposal.config.data.dir.display();
    if args.yes {
        writeln!(out, "\nThe accounts are in {dir}. Leave {} as it is until you are content.\n", args.dir.display())?;
        if let Some(verified) = verified {
            drop(out);
            verify::print(&super::verify_args(args), verified)?;
        }
    } else {
        writeln!(out, "\nNothing was changed. With --yes, all this comes to {dir}.")?;
    }
    Ok(())
}

fn print_problem(out: &mut impl Write, problem: &Problem) -> std::io::Result<()> {
    let severity = match problem.severity {
        Severity::Notice => "notice",
        Severity::Warning => "WARNING",
        Severity::Error => "ERROR",
    };
    let account = problem.account.as_ref().map(|did| format!("  {did}")).unwrap_or_default();
    writeln!(out, "{severity}{account}\n    {}\n", problem.sentence)
}

fn counts(out: &mut impl Write, args: &AdoptArgs, report: &Report) -> std::io::Result<()> {
    let said = if args.yes { "Taken over" } else { "To take over" };
    writeln!(out, "{said}:")?;
    let mut line = |count: u64, what: &str| writeln!(out, "  {count:>9}  {what}");
    line(report.accounts, "accounts")?;
    if report.already_here > 0 {
        line(report.already_here, "of them by an earlier run")?;
    }
    line(report.records, &format!("records, {}", megabytes(report.repo_bytes)))?;
    line(report.blobs, &format!("blobs, {}", megabytes(report.blob_bytes)))?;
    line(report.sessions, "sessions")?;
    line(report.app_sessions, "sessions of OAuth apps")?;
    line(report.app_passwords, "app passwords")?;
    line(report.invite_codes, "invite codes")?;
    line(report.reserved_keys, "reserved keys")?;
    line(report.events, &format!("events, for consumers that are behind; the last one is {}", report.last_seq))?;
    if report.set_aside > 0 {
        line(report.set_aside, "accounts are set aside, see above")?;
    }
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn settings(out: &mut impl Write, args: &AdoptArgs, proposal: &Proposal<'_>) -> std::io::Result<()> {
    if !proposal.settings.without.is_empty() {
        writeln!(out, "\nSettings of the old server that have no counterpart:")?;
        for (name, why) in &proposal.settings.without {
            writeln!(out, "  {name}: {why}")?;
        }
    }
    if let Some(file) = &args.write_config {
        return writeln!(out, "\nThe other settings are in {}, with their secrets: start the server with it.", file.display());
    }
    if !proposal.has_file {
        writeln!(out, "\nIts settings are these here (--write-config FILE writes them to a file, with their secrets):\n")?;
        for line in proposal.settings.toml(Some(&proposal.config.data.dir.display().to_string()), false).lines() {
            writeln!(out, "{}{line}", if line.is_empty() { "" } else { "    " })?;
        }
    }
    Ok(())
}
