//! The configuration that follows from the answers.

use std::fmt::Write as _;
use std::path::Path;

use super::answers::{Answers, BackupAnswer, MailAnswer, Speaker};
use crate::config::{Kind, Override, find_setting};

/// Name of the file with the password at the mail server, in the data folder.
pub(super) const MAIL_PASSWORD: &str = "mail-password";
/// Name of the file with the key of the backups, in the data folder.
pub(crate) const BACKUP_KEY: &str = "backup.key";

/// Sections with their settings, in the order in which they are written.
type Sections = Vec<(String, Vec<(String, String)>)>;

/// Returns the text of `relay.toml`, with what was set besides the answers; paths in it are relative to the data folder, where it
/// lies.
pub(super) fn config_text(answers: &Answers, data_dir: &Path, besides: &[Override]) -> String {
    let mut sections = Sections::new();
    let mut set = |path: &str, value: String| put(&mut sections, path, value);
    let host = answers.host.as_deref().unwrap_or("localhost");
    set("server.public_url", quoted(&format!("https://{host}")));
    set("data.dir", quoted(&data_dir.to_string_lossy()));
    let mode = match answers.tls {
        Some(Speaker::Server) => "auto",
        Some(Speaker::Proxy) | None => "proxy",
    };
    set("tls.mode", quoted(mode));
    if answers.open_ports {
        set("network.open_ports", "true".to_owned());
    }
    if let Some(MailAnswer::Server { host, port, security, user, from }) = &answers.mail {
        set("mail.host", quoted(host));
        set("mail.port", port.to_string());
        set("mail.tls", quoted(security.word()));
        set("mail.from", quoted(from));
        if let Some(user) = user {
            set("mail.user", quoted(user));
            set("mail.password_file", quoted(MAIL_PASSWORD));
        }
    }
    if let Some(BackupAnswer::To(folder)) = &answers.backup {
        set("backup.to", quoted(&folder.to_string_lossy()));
        set("backup.key_file", quoted(BACKUP_KEY));
    }
    for Override { path, value, .. } in besides {
        let is_path = find_setting(path).is_some_and(|setting| setting.kind == Kind::Path) || path.ends_with("_file");
        // As whoever wrote the argument meant it, from where they stood.
        let whole = is_path.then(|| std::path::absolute(value).ok()).flatten();
        set(path, quoted(&whole.map_or_else(|| value.clone(), |path| path.to_string_lossy().into_owned())));
    }
    let mut text = String::from(
        "# Written by `relay setup`, and yours from now on: `relay config check` looks whether it is right, and `relay config docs`\n\
         # lists all settings. A running server reads it when it starts.\n",
    );
    for (section, lines) in sections {
        write!(text, "\n[{section}]\n").expect("a String takes all text");
        for (key, value) in lines {
            writeln!(text, "{key} = {value}").expect("a String takes all text");
        }
    }
    text
}

/// Sets a value; the last one holds.
fn put(sections: &mut Sections, path: &str, value: String) {
    let (section, key) = path.split_once('.').unwrap_or((path, ""));
    let at = sections.iter().position(|(name, _)| name == section).unwrap_or_else(|| {
        sections.push((section.to_owned(), Vec::new()));
        sections.len() - 1
    });
    let lines = &mut sections[at].1;
    lines.retain(|(known, _)| known != key);
    lines.push((key.to_owned(), value));
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::answers::MailSecurity;
    use super::*;
    use crate::config::{Config, MailTls, TlsMode};

    #[test]
    fn the_configuration_is_read_as_it_was_meant() {
        let dir = tempfile::tempdir().unwrap();
        let answers = Answers {
            host: Some("pds.example.com".to_owned()),
            tls: Some(Speaker::Server),
            mail: Some(MailAnswer::Server {
                host: "mail.example.com".to_owned(),
                port: 587,
                security: MailSecurity::StartTls,
                user: Some("pds\"\\".to_owned()),
                from: "pds@example.com".to_owned(),
            }),
            backup: Some(BackupAnswer::To("/mnt/a \"disk\"".into())),
            ..Answers::default()
        };
        let file = dir.path().join("relay.toml");
        std::fs::write(&file, config_text(&answers, dir.path(), &[])).unwrap();
        std::fs::write(dir.path().join(MAIL_PASSWORD), "a password").unwrap();
        let config = Config::load(Some(&file), [], &[]).unwrap().config;
        assert_eq!(config.server.public_url.as_str(), "https://pds.example.com");
        assert_eq!(config.tls.mode, TlsMode::Auto);
        assert_eq!(config.data.dir, dir.path());
        let route = config.mail.ordinary.unwrap();
        assert_eq!(
            (route.server.host.as_str(), route.server.port, route.server.tls),
            ("mail.example.com", 587, MailTls::StartTls)
        );
        let login = route.server.login.unwrap();
        assert_eq!((login.user.as_str(), login.password.expose()), ("pds\"\\", "a password"));
        assert!(!config.backup.to.is_empty());
    }

    #[test]
    fn what_was_not_asked_for_is_not_written() {
        let answers = Answers { host: Some("a.example".to_owned()), mail: Some(MailAnswer::None), ..Answers::default() };
        let text = config_text(&answers, Path::new("/d"), &[]);
        let sections: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
        assert_eq!(sections, ["[server]", "[data]", "[tls]"]);
        assert!(text.contains("mode = \"proxy\""), "{text}");
    }

    #[test]
    fn what_arguments_set_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let set = |path: &str, value: &str| Override { flag: "--set".into(), path: path.into(), value: value.into() };
        let besides = [
            set("server.public_url", "https://pds.example.com:8443"),
            set("accounts.invite_required", "false"),
            set("server.bind", "127.0.0.1:1, 127.0.0.1:2"),
            set("limits.blob_upload", "50MB"),
        ];
        let file = dir.path().join("relay.toml");
        let answers = Answers { host: Some("pds.example.com".to_owned()), ..Answers::default() };
        std::fs::write(&file, config_text(&answers, dir.path(), &besides)).unwrap();
        let config = Config::load(Some(&file), [], &[]).unwrap().config;
        assert_eq!(config.server.public_url.as_str(), "https://pds.example.com:8443");
        assert_eq!(config.server.bind.len(), 2);
        assert!(!config.accounts.invite_required);
    }
}
