//! Asking a person in a terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

/// Lines of answers are far shorter.
const MAX_LINE_BYTES: u64 = 4096;

/// A terminal, or a pipe in its place.
#[derive(Debug)]
pub(super) struct Terminal;

impl Terminal {
    /// Prints a line.
    #[expect(clippy::unused_self, reason = "who prints has the terminal")]
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{text}")
    }

    /// Asks for a line. An empty one is what is in brackets.
    pub(super) fn ask(&self, question: &str, default: &str) -> io::Result<String> {
        let hint = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        let mut out = io::stdout();
        write!(out, "{question}{hint}: ")?;
        out.flush()?;
        let line = self.line()?;
        let line = line.trim();
        Ok(if line.is_empty() { default.to_owned() } else { line.to_owned() })
    }

    /// Asks for yes or no.
    pub(super) fn agree(&self, question: &str, default: bool) -> io::Result<bool> {
        loop {
            let answer = self.ask(&format!("{question} (yes/no)"), if default { "yes" } else { "no" })?;
            match answer.to_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.say("Write yes or no.")?,
            }
        }
    }

    /// Shows a recovery key until the person has it.
    pub(super) fn hand_out_key(&self, key: &str) -> io::Result<()> {
        self.say(&format!(
            "\nYour recovery key. With it you can move your account away even if this server is lost, or is not yours any more.\nWrite it \
             down, or keep it in a password manager; it is not shown again:\n\n    {key}\n"
        ))?;
        let end: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
        while self.ask("Its last four characters, to show that you have it", "")? != end {
            self.say("These are not the last four characters of the key above.")?;
        }
        Ok(())
    }

    /// Asks for something that is not shown while it is typed.
    pub(super) fn ask_secret(&self, question: &str) -> io::Result<String> {
        let mut out = io::stdout();
        write!(out, "{question}: ")?;
        out.flush()?;
        let line = hidden(|| self.line())?;
        if io::stdin().is_terminal() {
            writeln!(out)?;
        }
        Ok(line)
    }

    #[expect(clippy::unused_self, reason = "who reads has the terminal")]
    fn line(&self) -> io::Result<String> {
        let mut line = String::new();
        let mut limited = io::Read::take(io::stdin().lock(), MAX_LINE_BYTES);
        if limited.read_line(&mut line)? == 0 {
            writeln!(io::stdout())?;
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answers end here; run it again to go on"));
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// Reads with the terminal's echo off.
#[cfg(unix)]
fn hidden(read: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    // A pipe has no echo.
    let Ok(before) = tcgetattr(&stdin) else { return read() };
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
    let line = read();
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    line
}

#[cfg(not(unix))]
fn hidden(read: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    read()
}
