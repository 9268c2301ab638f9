//! `relay setup`: the questions in the terminal.

use std::io::IsTerminal as _;

use common::Did;

use super::{mail_problem, sentence};
use crate::cli::CliError;
use crate::cli::account::Accounts;
use crate::cli::move_in::Mover;
use crate::cli::move_in::dialog::{Dialog, Given};
use crate::cli::terminal::Terminal;
use crate::setup::{
    AccountAnswer, BackupAnswer, Ending, Location, MailInput, MailSecurity, MoveFault, NameState, Names, NewPerson, PortState,
    Reach, Setup, Speaker, Step, WorkError, service_is_possible,
};

/// Asks until nothing is left to ask.
pub(super) async fn run(setup: &Setup, env: Vec<(String, String)>) -> Result<Option<Ending>, CliError> {
    let terminal = Terminal;
    terminal.say(&format!(
        "This sets up a server in {}. Each answer is kept: Ctrl-C, and run it again to go on.\n",
        setup.place().data_dir.display()
    ))?;
    loop {
        match setup.answers().await.step() {
            Step::Name => {
                if name(setup, &terminal).await? {
                    return Ok(Some(Ending::Trial));
                }
            }
            Step::Dns => names(setup, &terminal).await?,
            Step::Reach => reach(setup, &terminal).await?,
            Step::Https => https(setup, &terminal).await?,
            Step::Mail => mail(setup, &terminal).await?,
            Step::Account => account(setup, &terminal).await?,
            Step::RecoveryKey => recovery_key(setup, &terminal).await?,
            Step::Backup => backup(setup, &terminal).await?,
            Step::Finish => return finish(setup, &terminal, env).await,
        }
    }
}

/// Returns whether it is only to be tried.
async fn name(setup: &Setup, terminal: &Terminal) -> Result<bool, CliError> {
    loop {
        let text = terminal
            .ask("The host name of the server, such as pds.example.com (or `try`, to look at it on this machine)", "")?;
        if text == "try" {
            return Ok(true);
        }
        match setup.set_host(&text).await {
            Ok(()) => return Ok(false),
            Err(WorkError::Host(fault)) => terminal.say(&format!("{}.", sentence(&fault.to_string())))?,
            Err(err) => return Err(err.into()),
        }
    }
}

async fn names(setup: &Setup, terminal: &Terminal) -> Result<(), CliError> {
    terminal.say("\nWrite these rows at your DNS provider:\n")?;
    loop {
        let names = setup.look_at_names().await?;
        for line in lines_of(&names) {
            terminal.say(&line)?;
        }
        if names.are_right() || terminal.ask("Enter looks again, `skip` goes on without", "")? == "skip" {
            return Ok(setup.accept_names().await?);
        }
    }
}

/// Tells the rows and how they are.
pub(super) fn lines_of(names: &Names) -> Vec<String> {
    let row = |row: &crate::setup::Row| {
        let value = row.value.map_or_else(|| "(the public address of your network)".to_owned(), |ip| ip.to_string());
        format!("    {:<32} {:<5} {value}", row.name, row.kind)
    };
    let mut lines: Vec<String> = names.rows.iter().map(row).collect();
    let asked = if names.asked.is_empty() { String::new() } else { format!(" (asked: {})", names.asked.join(", ")) };
    lines.push(format!("\nThe server's name {}{asked}.", state(&names.host)));
    lines.push(format!("Names of accounts below it: the wildcard {}.", state(&names.handles)));
    lines
}

fn list(addresses: &[std::net::IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn state(state: &NameState) -> String {
    match state {
        NameState::Right(found) => format!("is right: it leads to {}", list(found)),
        NameState::Elsewhere { found, expected } => format!(
            "leads to {}, and this machine is {}; that is right only if a proxy stands there",
            list(found),
            list(expected)
        ),
        NameState::Private(address) => format!("leads to {address}, which only your own network reaches"),
        NameState::Missing => "is not there yet".to_owned(),
        NameState::Spreading => "is written; the world hears of it within minutes, at times an hour".to_owned(),
        NameState::Unknown(reason) => format!("could not be asked for: {reason}"),
    }
}

async fn reach(setup: &Setup, terminal: &Terminal) -> Result<(), CliError> {
    let reach = setup.look_at_reach().await?;
    terminal.say("")?;
    for line in reach_lines(&reach) {
        terminal.say(&line)?;
    }
    let question = "Shall this server speak HTTPS itself, with certificates that it gets? (no: a proxy in front does)";
    let speaker = if terminal.agree(question, reach.ports_are_free())? { Speaker::Server } else { Speaker::Proxy };
    let behind = reach.router_answers && matches!(reach.location, Location::BehindRouter(_)) && speaker == Speaker::Server;
    let open = behind && terminal.agree("Shall it ask your router to pass ports 443 and 80 on to it?", true)?;
    Ok(setup.set_speaker(speaker, open).await?)
}

fn reach_lines(reach: &Reach) -> Vec<String> {
    let port = |(address, state): &(std::net::SocketAddr, PortState)| match state {
        PortState::Free => format!("Port {} is free.", address.port()),
        PortState::Taken(Some(by)) => {
            format!("Port {} is taken by {by}: stop it, or have it pass requests on as a proxy.", address.port())
        }
        PortState::Taken(None) => {
            format!("Port {} is taken by another program: stop it, or have it pass requests on as a proxy.", address.port())
        }
        PortState::Refused(reason) => {
            format!("Port {} cannot be had by this user ({reason}): run this as root, or put a proxy in front.", address.port())
        }
    };
    let mut lines: Vec<String> = reach.ports.iter().map(port).collect();
    lines.push(match reach.location {
        Location::Public(address) => format!("This machine has the public address {address}. A firewall of its provider must let ports 80 and 443 through."),
        Location::BehindRouter(address) => format!("This machine is behind a router, as {address}: the router must pass ports 80 and 443 on to it."),
        Location::CarrierGrade(address) => format!(
            "The address {address} is shared among customers of your provider, so nobody can call this machine. Ask the provider for a public \
             IPv4 address or for IPv6, or rent a small server."
        ),
        Location::Offline => "This machine has no way to the network.".to_owned(),
    });
    lines
}

async fn https(setup: &Setup, terminal: &Terminal) -> Result<(), CliError> {
    loop {
        terminal.say("\nGetting a certificate: first on trial, then for real. This takes up to a minute ...")?;
        match setup.obtain_certificate().await {
            Ok(()) => return Ok(terminal.say("The certificate is there.")?),
            Err(WorkError::Live(err)) => {
                terminal.say(&format!("There is no certificate: {}.", err.to_string().trim_end_matches('.')))?;
            }
            Err(err) => return Err(err.into()),
        }
        if terminal.ask("Enter tries again, `back` asks for ports and proxy again", "")? == "back" {
            return Ok(setup.redo(Step::Reach).await?);
        }
    }
}

async fn mail(setup: &Setup, terminal: &Terminal) -> Result<(), CliError> {
    terminal.say("\nWith a mail server the server can send codes to people who forgot their password. It works without.")?;
    loop {
        let host = terminal.ask("The mail server, such as smtp.example.com, or `none`", "none")?;
        if host == "none" {
            return Ok(setup.skip_mail().await?);
        }
        let port = loop {
            match terminal.ask("Its port", "465")?.parse() {
                Ok(port) => break port,
                Err(_) => terminal.say("Write a number, such as 465 or 587.")?,
            }
        };
        let user = terminal.ask("The user there (empty: none)", "")?;
        let password = if user.is_empty() { String::new() } else { terminal.ask_secret("The password")? };
        let from = terminal.ask("The sender of mails, such as pds@example.com", &user)?;
        let to = terminal.ask("Who gets a mail on trial", &from)?;
        let input = MailInput { host, port, security: MailSecurity::of_port(port), user, password, from, to };
        match setup.set_mail(&input).await {
            Ok(()) => return Ok(terminal.say(&format!("The mail server took a mail to {}.", input.to))?),
            Err(fault) => terminal.say(&mail_problem(&fault))?,
        }
    }
}

async fn account(setup: &Setup, terminal: &Terminal) -> Result<(), CliError> {
    let host = setup.answers().await.host.unwrap_or_default();
    if setup.take_arrived().await? {
        return Ok(terminal.say("Your account is here.")?);
    }
    if let Some(did) = setup.answers().await.moving
        && move_in(setup, terminal, &did).await?
    {
        return Ok(());
    }
    terminal.say(
        "\nNow your account. Write `move` if you have one elsewhere, at bsky.social say: it comes here with all that it has. Write \
         `later` to do without for now.",
    )?;
    loop {
        let name = terminal.ask(&format!("Your handle: what stands in front of .{host}"), "")?;
        if name == "move" {
            let account = terminal.ask("Your handle there, such as alice.bsky.social", "")?;
            match setup.find_account(&account).await {
                Ok(did) if move_in(setup, terminal, &did).await? => return Ok(()),
                Ok(_) => {}
                Err(MoveFault::Move(fault)) => terminal.say(&fault.to_string())?,
                Err(MoveFault::Work(err)) => terminal.say(&format!("{}.", sentence(&err.to_string())))?,
            }
            continue;
        }
        if name == "later" {
            return Ok(setup.skip_account().await?);
        }
        let email = terminal.ask("Your mail address", "")?;
        let password = terminal.ask_secret("A password, of 8 characters or more")?;
        match setup.make_account(&NewPerson { name, email, password }).await {
            Ok((did, handle)) => return Ok(terminal.say(&format!("You are @{handle} ({did})."))?),
            Err(crate::setup::AccountFault::Work(err)) => return Err(err.into()),
            Err(fault) => terminal.say(&format!("{}.", sentence(&fault.to_string())))?,
        }
    }
}

/// Moves an account here; `false` when the person would rather not, now.
async fn move_in(setup: &Setup, terminal: &Terminal, did: &Did) -> Result<bool, CliError> {
    let recovery_key = setup.recovery_key_to_move(did).await?;
    let mover = Mover(Accounts::Here(Box::new(setup.app().await?)));
    let given = Given { account: did.to_string(), recovery_key, ..Given::default() };
    let finished = Box::pin(Dialog { mover: &mover, terminal, given }.run()).await?;
    let moved = finished.is_some();
    match finished {
        Some(finished) => setup.account_moved(finished.did, finished.handle).await?,
        None => setup.put_move_off().await?,
    }
    Ok(moved)
}

async fn recovery_key(setup: &Setup, terminal: &Terminal) -> Result<(), CliError> {
    let key = setup.answers().await.recovery_key.unwrap_or_default();
    terminal.hand_out_key(&key)?;
    Ok(setup.recovery_key_is_saved().await?)
}

async fn backup(setup: &Setup, terminal: &Terminal) -> Result<(), CliError> {
    terminal.say("\nBackups go to a folder, encrypted, every night; it should be on another disk than the data.")?;
    loop {
        let suggested = setup.place().suggested_backups();
        let text = terminal.ask("The folder of backups, or `none`", &suggested.to_string_lossy())?;
        let answer = if text == "none" { BackupAnswer::Nowhere } else { BackupAnswer::To(text.into()) };
        let any = answer != BackupAnswer::Nowhere;
        match setup.set_backup(answer).await {
            Ok(()) if any => {
                terminal.say(&format!(
                    "Keep this key apart from the server: without it the backups are worthless.\n\n{}",
                    setup.backup_key()?
                ))?;
                return Ok(());
            }
            Ok(()) => return Ok(()),
            Err(err @ WorkError::Backup { .. }) => terminal.say(&format!("{}.", sentence(&err.to_string())))?,
            Err(err) => return Err(err.into()),
        }
    }
}

async fn finish(setup: &Setup, terminal: &Terminal, env: Vec<(String, String)>) -> Result<Option<Ending>, CliError> {
    terminal.say("\nLooking whether all is well ...")?;
    crate::cli::doctor::print(&mut std::io::stdout(), &setup.look_at_all().await?)?;
    let service = service_is_possible(setup.place())
        && terminal.agree("\nShall it run as a service, which starts with the machine?", true)?;
    let passkey = setup.passkey_link().await;
    setup.complete().await?;
    let answers = setup.answers().await;
    let host = answers.host.unwrap_or_default();
    if service {
        crate::cli::service::install(setup.place().config(), env)?;
    }
    terminal.say(&format!("\nYou are live: https://{host}"))?;
    if let Some(AccountAnswer::Made { handle, .. }) = answers.account {
        terminal.say(&format!("Sign in as @{handle} with any app; as hosting provider it asks for, write {host}."))?;
    }
    if let Some(link) = passkey {
        terminal.say(&passkey_lines(&link, std::io::stdout().is_terminal()))?;
    }
    Ok(Some(if service { Ending::Service } else { Ending::Here }))
}

/// Tells the way to a passkey, which belongs to the name of the server and so is made there.
fn passkey_lines(link: &str, qr: bool) -> String {
    let code = if qr { crate::qr::in_terminal(link).unwrap_or_default() } else { String::new() };
    format!(
        "\nTo sign in without the password, add a passkey. This link leads you to where you do, signed in; it works once, within a\n\
         quarter of an hour. Your password stays the way back.\n\n    {link}\n\n{code}"
    )
}
