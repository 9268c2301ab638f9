//! launchd(8): the job and the commands.

use std::path::PathBuf;

use super::plan::{Plan, Step};
use super::{Scope, Service, words};

const LABEL: &str = "org.ezpds.relay";
/// A user of macOS for servers, who has nothing else.
const USER: &str = "_www";

pub(super) fn job_path(scope: &Scope) -> PathBuf {
    let file = format!("{LABEL}.plist");
    match scope {
        Scope::System { .. } => PathBuf::from("/Library/LaunchDaemons").join(file),
        Scope::User { home } => home.join("Library/LaunchAgents").join(file),
    }
}

fn log_path(scope: &Scope) -> PathBuf {
    match scope {
        Scope::System { .. } => PathBuf::from("/Library/Logs/relay.log"),
        Scope::User { home } => home.join("Library/Logs/relay.log"),
    }
}

/// Returns a shell command, for `gui/$UID` is known to a shell only.
fn control(scope: &Scope, verb: &str, rest: &str) -> Vec<String> {
    let domain = match scope {
        Scope::System { .. } => "system",
        Scope::User { .. } => "gui/$(id -u)",
    };
    words(&["sh", "-c", &format!("launchctl {verb} {domain}{rest}")])
}

pub(super) fn status(scope: &Scope) -> Vec<String> {
    control(scope, "print", &format!("/{LABEL}"))
}

pub(super) fn stop(scope: &Scope) -> Vec<String> {
    control(scope, "bootout", &format!("/{LABEL}"))
}

pub(super) fn kill(scope: &Scope) -> Vec<String> {
    control(scope, "kill SIGKILL", &format!("/{LABEL}"))
}

pub(super) fn start(scope: &Scope) -> Vec<String> {
    control(scope, "bootstrap", &format!(" '{}'", job_path(scope).display()))
}

pub(super) fn logs(scope: &Scope, follow: bool) -> Vec<String> {
    let path = log_path(scope).display().to_string();
    words(if follow { &["tail", "-n", "200", "-f"] } else { &["tail", "-n", "200"] }).into_iter().chain([path]).collect()
}

pub(super) fn install(service: &Service) -> Plan {
    let path = job_path(&service.scope);
    let mut plan = Vec::new();
    if matches!(service.scope, Scope::System { .. }) {
        let data_dir = service.data_dir.display().to_string();
        let log = log_path(&service.scope).display().to_string();
        plan.push(Step::Run(words(&["install", "-d", "-m", "0700", "-o", USER, "-g", USER, &data_dir])));
        plan.push(Step::Run(words(&["touch", &log])));
        plan.push(Step::Run(words(&["chown", USER, &log])));
    }
    // One that runs already is to take the new job.
    plan.push(Step::Try(stop(&service.scope)));
    plan.push(Step::Write { path, text: job(service) });
    plan.push(Step::Run(start(&service.scope)));
    plan
}

pub(super) fn uninstall(scope: &Scope) -> Plan {
    vec![Step::Try(stop(scope)), Step::Remove(job_path(scope))]
}

/// Returns the text of the job, launchd.plist(5).
pub(super) fn job(service: &Service) -> String {
    let mut arguments = Vec::new();
    if service.keep_awake {
        // For as long as the server runs, the machine does not go to sleep by itself.
        arguments.extend(["/usr/bin/caffeinate".to_owned(), "-is".to_owned()]);
    }
    arguments.push(service.program.display().to_string());
    arguments.extend(["serve".to_owned(), "--config".to_owned(), service.config.display().to_string()]);
    arguments.extend(["--data-dir".to_owned(), service.data_dir.display().to_string()]);
    let arguments: Vec<String> =
        arguments.iter().map(|argument| format!("      <string>{}</string>\n", escape(argument))).collect();
    let user = match service.scope {
        Scope::System { .. } => format!("    <key>UserName</key>\n    <string>{USER}</string>\n"),
        Scope::User { .. } => String::new(),
    };
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
  <dict>
    <key>Label</key>
    <string>{LABEL}</string>
    <key>ProgramArguments</key>
    <array>
{arguments}    </array>
{user}    <key>WorkingDirectory</key>
    <string>{data_dir}</string>
    <key>Umask</key>
    <integer>63</integer>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <true/>
    <key>ProcessType</key>
    <string>Interactive</string>
    <key>ExitTimeOut</key>
    <integer>90</integer>
    <key>SoftResourceLimits</key>
    <dict>
      <key>NumberOfFiles</key>
      <integer>65536</integer>
    </dict>
    <key>StandardErrorPath</key>
    <string>{log}</string>
  </dict>
</plist>
"#,
        arguments = arguments.concat(),
        data_dir = escape(&service.data_dir.display().to_string()),
        log = escape(&log_path(&service.scope).display().to_string()),
    )
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
