//! Writes docs/CONFIG.md out of the table of settings.

use std::fmt::Write as _;

use super::{
    official::WITHOUT_SETTING,
    registry::{Default, Kind, SECTIONS, SETTINGS, Setting},
};

const INTRODUCTION: &str = r#"# Configuration

<!-- Written by `relay config docs`; do not edit. -->

The server needs one setting, `server.public_url`. All others have defaults that suit a server for people.

## Where settings come from

A setting has a section and a key, such as `server.public_url`. It can be set in four places; the first that has it wins:

1. a flag: `relay serve --set limits.blob_upload=50MB`, or a flag of its own (`--public-url`, `--bind`, `--data-dir`)
2. an environment variable: `RELAY_SERVER_PUBLIC_URL`, which is `RELAY_` and the path in capitals, with `_` for the dot
3. for secrets, a file in `$CREDENTIALS_DIRECTORY` with the setting's path as its name, as systemd makes it for
   `LoadCredential=secrets.admin_password:/path/to/file`
4. the file that `--config` or `RELAY_CONFIG` names; otherwise `relay.toml` in the working directory, then
   `/etc/relay/relay.toml`, then `relay.toml` in the data folder, which `relay setup` writes

A setting marked *secret* can also be read from a file: add `_file` to its path (`secrets.admin_password_file`,
`RELAY_SECRETS_ADMIN_PASSWORD_FILE`). An empty value is the same as none.

    [server]
    public_url = "https://pds.example.com"
    bind = ["127.0.0.1:2583"]

    [mail]
    host = "mail.example.com"
    user = "pds@example.com"
    password_file = "/etc/relay/mail-password"
    from = "Example Social <pds@example.com>"

`relay config check` reports all mistakes with file, line and remedy; `relay config show` prints what holds and where it
comes from, secrets excepted. A name that is not in this document is a mistake, so that a misspelt setting is never
silently ignored.

## Values

- Durations have a unit: `500ms`, `30s`, `30m`, `72h`, `7d`, `1h30m`.
- Sizes are bytes, or have a unit: `100MB` is 100,000,000 bytes, `1GiB` is 1,073,741,824.
- Lists are arrays in TOML, and separated by commas elsewhere. `none` is the empty list.
- Paths in `relay.toml` are relative to the folder of that file, others to the working directory.
"#;

/// Returns the text of docs/CONFIG.md.
pub fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (section, about) in SECTIONS {
        write!(out, "\n## `[{section}]`\n\n{about}\n").expect("a String takes all text");
        for setting in SETTINGS.iter().filter(|setting| setting.section() == section) {
            describe(&mut out, setting);
        }
    }
    out.push_str(
        "\n## Coming from the official PDS\n\n`relay config check` prints what to write for each `PDS_*` variable that is \
         set in its environment.\nThe settings above name their counterparts; these variables have none:\n\n\
         | variable | why |\n|---|---|\n",
    );
    for (name, reason) in WITHOUT_SETTING {
        writeln!(out, "| `{name}` | {reason} |").expect("a String takes all text");
    }
    out
}

fn describe(out: &mut String, setting: &Setting) {
    let default = match setting.default {
        Default::Value(text) => format!("default `{text}`"),
        Default::Derived(what) => format!("default: {what}"),
        Default::Unset => "not set by default".to_owned(),
        Default::Required => "**required**".to_owned(),
    };
    let secret = if setting.secret { " · *secret*" } else { "" };
    let official = setting.official.map_or_else(String::new, |official| format!(" · official PDS: `{}`", official.name()));
    let kind = match setting.kind {
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
        other => other.describe(),
    };
    write!(
        out,
        "\n### `{path}`\n\n{doc}\n\n- {kind} · {default}{secret}\n- example: `{example}`\n- environment: `{env}`{official}\n",
        path = setting.path,
        doc = setting.doc,
        example = setting.example,
        env = setting.env(),
    )
    .expect("a String takes all text");
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// The document in the repository is what the table says; `relay config docs > docs/CONFIG.md` brings it up to date.
    #[test]
    fn the_document_is_up_to_date() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIG.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&file, markdown()).unwrap();
        }
        let written = fs::read_to_string(&file).unwrap();
        assert!(written == markdown(), "docs/CONFIG.md is out of date: run `relay config docs > docs/CONFIG.md`");
    }
}
