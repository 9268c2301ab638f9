//! `relay config show`: what holds, as TOML that loads again, with the source of each value and no secret.

use std::fmt::Write as _;

use super::{
    error::hide_userinfo,
    reader::{Effective, Shown},
    registry::Kind,
};

/// Writes what holds as `relay.toml`, with a comment on where each value comes from.
pub fn show(effective: &[Effective]) -> String {
    let mut out = String::new();
    let mut section = "";
    for Effective { setting, shown, origin } in effective {
        if setting.section() != section {
            section = setting.section();
            let gap = if out.is_empty() { "" } else { "\n" };
            writeln!(out, "{gap}[{section}]").expect("a String takes all text");
        }
        let key = setting.key();
        let line = match shown {
            Shown::Unset => format!("# {key} is not set"),
            Shown::Hidden => format!("# {key} is set and not shown  # {origin}"),
            Shown::One(text) => format!("{key} = {}  # {origin}", one(setting.kind, text)),
            Shown::Many(texts) => {
                let items: Vec<_> = texts.iter().map(|text| quote(text)).collect();
                format!("{key} = [{}]  # {origin}", items.join(", "))
            }
        };
        writeln!(out, "{line}").expect("a String takes all text");
    }
    out
}

fn one(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Bool | Kind::Integer if text.parse::<u64>().is_ok() || matches!(text, "true" | "false") => text.to_owned(),
        Kind::Url => quote(&hide_userinfo(text)),
        _ => quote(text),
    }
}

/// Writes a TOML basic string.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => write!(out, "\\u{:04X}", u32::from(c)).expect("a String takes all text"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
