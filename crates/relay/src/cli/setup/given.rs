//! `relay setup --yes`: what the arguments and the file of answers say, without a question.

use std::io::{BufRead as _, Write as _};

use super::GivenArgs;
use crate::cli::CliError;
use crate::setup::{
    AccountAnswer, Answers, BackupAnswer, Ending, MailAnswer, MailInput, NewPerson, Setup, Speaker, Step, read_answers,
};

/// Does what is not done yet.
pub(super) async fn run(setup: &Setup, args: &GivenArgs, env: Vec<(String, String)>) -> Result<Option<Ending>, CliError> {
    let file = match &args.answers {
        Some(path) => read_answers(path)?,
        None => Answers::default(),
    };
    let mut out = std::io::stdout();
    loop {
        match setup.answers().await.step() {
            Step::Name => {
                let host = args.hostname.clone().or_else(|| file.host.clone());
                let host = host.ok_or_else(|| usage("The server has no name.", "Give it one with --hostname."))?;
                setup.set_host(&host).await?;
            }
            Step::Dns => {
                let names = setup.look_at_names().await?;
                for line in super::questions::lines_of(&names) {
                    writeln!(out, "{line}")?;
                }
                setup.accept_names().await?;
            }
            Step::Reach => {
                let speaker = if args.proxy { Speaker::Proxy } else { file.tls.unwrap_or(Speaker::Server) };
                setup.set_speaker(speaker, args.open_ports || file.open_ports).await?;
            }
            Step::Https => {
                writeln!(out, "Getting a certificate ...")?;
                setup.obtain_certificate().await?;
            }
            Step::Mail => match file.mail.clone() {
                None | Some(MailAnswer::None) => setup.skip_mail().await?,
                Some(MailAnswer::Server { host, port, security, user, from }) => {
                    let input = MailInput {
                        host,
                        port,
                        security,
                        user: user.unwrap_or_default(),
                        password: env
                            .iter()
                            .find(|(name, _)| name == MAIL_PASSWORD)
                            .map(|(_, value)| value.clone())
                            .unwrap_or_default(),
                        to: args.email.clone().unwrap_or_else(|| from.clone()),
                        from,
                    };
                    setup.set_mail(&input).await.map_err(|fault| CliError::Failed {
                        problem: super::mail_problem(&fault),
                        remedy: format!("Check what the answers say; the password is in the variable {MAIL_PASSWORD}."),
                    })?;
                }
            },
            Step::Account => match &args.handle {
                None => setup.skip_account().await?,
                Some(name) => {
                    let (password, made) = password(args.password_stdin)?;
                    let email = args.email.clone().unwrap_or_default();
                    let person = NewPerson { name: name.clone(), email, password: password.clone() };
                    let (did, handle) = setup.make_account(&person).await?;
                    writeln!(out, "account: {handle}  {did}")?;
                    if made {
                        writeln!(out, "password: {password}")?;
                    }
                }
            },
            Step::RecoveryKey => {
                let key = setup.answers().await.recovery_key.unwrap_or_default();
                writeln!(out, "recovery key: {key}")?;
                out.flush()?;
                setup.recovery_key_is_saved().await?;
            }
            Step::Backup => {
                let answer = args.backup_to.clone().map(BackupAnswer::To).or_else(|| file.backup.clone());
                let answer = answer.unwrap_or(BackupAnswer::Nowhere);
                let any = answer != BackupAnswer::Nowhere;
                setup.set_backup(answer).await?;
                if any {
                    writeln!(out, "key of the backups:\n{}", setup.backup_key()?.trim_end())?;
                }
            }
            Step::Finish => break,
        }
    }
    setup.complete().await?;
    let config = setup.place().config();
    writeln!(out, "configuration: {}", config.display())?;
    if matches!(setup.answers().await.account, Some(AccountAnswer::Later)) {
        writeln!(out, "`relay account create` makes an account.")?;
    }
    if args.service {
        crate::cli::service::install(config, env)?;
        return Ok(Some(Ending::Service));
    }
    writeln!(out, "`relay` runs the server, `relay service install` makes it a service.")?;
    Ok(None)
}

/// Where the password at the mail server comes from: arguments are seen by everybody on the machine.
const MAIL_PASSWORD: &str = "SETUP_MAIL_PASSWORD";

fn usage(problem: &str, remedy: &str) -> CliError {
    CliError::Usage { problem: problem.to_owned(), remedy: remedy.to_owned() }
}

/// Returns the password of the account, and whether it was made here.
fn password(from_stdin: bool) -> Result<(String, bool), CliError> {
    if !from_stdin {
        return Ok((crypto::random_text::app_password(crate::random::bytes()), true));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok((line.trim_end_matches(['\r', '\n']).to_owned(), false))
}
