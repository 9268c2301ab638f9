//! Moving an account here by questions in the terminal.

use common::{Did, Handle};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::super::CliError;
use super::super::terminal::Terminal;
use super::{Mover, Secret};
use crate::move_in::{Fault, Finish, Finished, Plan, Progress, SignIn, Stage, State, StillThere};
use crate::secrets::Secrets;

/// Asks and does.
pub(in super::super) struct Dialog<'a> {
    pub(in super::super) mover: &'a Mover,
    pub(in super::super) terminal: &'a Terminal,
    /// What is not asked for.
    pub(in super::super) given: Given,
}

/// What was said before.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Given {
    pub(in super::super) account: String,
    pub(in super::super) handle: Option<String>,
    pub(in super::super) email: Option<String>,
    pub(in super::super) sign_in_code: Option<String>,
    pub(in super::super) recovery_key: Option<String>,
}

/// Says what came here.
pub(super) fn copied(state: &State) -> Vec<String> {
    let here = state.blobs.saturating_sub(state.missing_blobs);
    let mut lines = vec![format!("{} records and {here} of {} blobs (pictures, videos) are here.", state.records, state.blobs)];
    if state.missing_blobs > 0 {
        let (count, old_server) = (state.missing_blobs, &state.old_server);
        lines.push(format!("{old_server} does not have {count} of them. Their posts come along without:"));
        lines.extend(state.missing.iter().map(|blob| format!("  {blob}")));
    }
    if state.missing_blobs > state.missing.len() as u64 {
        lines.push(format!("  and {} more", state.missing_blobs - state.missing.len() as u64));
    }
    lines
}

/// Says how a move ended.
pub(super) fn finished(finished: &Finished) -> Vec<String> {
    let Finished { did, handle, old_server, still_there, .. } = finished;
    let there = match still_there {
        None => format!("On {old_server} the account is deactivated. Nothing of it was deleted there."),
        Some(StillThere { why, session_over }) => {
            let next = if *session_over {
                "Run `relay account move-in` again, with your password there, to have that done"
            } else {
                "This server goes on trying for a week, and so does running `relay account move-in` again"
            };
            format!(
                "On {old_server} it is not deactivated yet: {why}\nThat does no harm, for the network looks for it here. {next}."
            )
        }
    };
    vec![format!("@{handle} ({did}) is here."), there]
}

impl Dialog<'_> {
    /// Moves the account; `None` when the person would rather not.
    pub(in super::super) async fn run(&self) -> Result<Option<Finished>, CliError> {
        let plan = self.mover.look(&self.given.account).await??;
        let state = match &plan.under_way {
            Some(state) => {
                self.terminal.say(&format!("The move of {} from {} goes on.", plan.did, plan.old_server))?;
                state.clone()
            }
            None => match self.begin(&plan).await? {
                Some(state) => state,
                None => return Ok(None),
            },
        };
        let state = if state.stage == Stage::Copy { self.copy(&plan).await? } else { state };
        for line in copied(&state) {
            self.terminal.say(&line)?;
        }
        let given = match state.stage {
            Stage::Finish => Finish { did: plan.did.clone(), code: None, recovery_key: None },
            Stage::Copy | Stage::Identity => match self.consent(&plan, &state).await? {
                Some(given) => given,
                None => return Ok(None),
            },
        };
        self.finish(&plan, given, state.has_arrived).await.map(Some)
    }

    /// Says what will be, and signs in.
    async fn begin(&self, plan: &Plan) -> Result<Option<State>, CliError> {
        self.explain(plan)?;
        if !self.terminal.agree("Begin?", true)? {
            return Ok(None);
        }
        let (mut handle, mut email) = (self.given.handle.clone(), self.given.email.clone());
        if handle.is_none() && !plan.keeps_handle && !plan.returns {
            handle = Some(self.ask_handle(plan)?);
        }
        let (mut password, mut new_password) = self.ask_passwords(plan)?;
        loop {
            let given = SignIn {
                account: plan.did.to_string(),
                password: password.to_string(),
                factor: self.given.sign_in_code.clone(),
                handle: handle.clone(),
                email: email.clone(),
                new_password: Some(new_password.to_string()),
            };
            let fault = match self.sign_in(given).await? {
                Ok(state) => return Ok(Some(state)),
                Err(fault) => fault,
            };
            match &fault {
                Fault::Handle { .. } => {
                    self.terminal.say(&fault.to_string())?;
                    handle = Some(self.ask_handle(plan)?);
                }
                Fault::Email { .. } => {
                    self.terminal.say(&fault.to_string())?;
                    email = Some(self.terminal.ask("Your mail address", "")?);
                }
                _ => {
                    self.say_if_mendable(fault)?;
                    (password, new_password) = self.ask_passwords(plan)?;
                }
            }
        }
    }

    fn explain(&self, plan: &Plan) -> std::io::Result<()> {
        let Plan { did, old_server, .. } = plan;
        let old_handle = plan.old_handle.as_ref().map_or(did.as_str(), Handle::as_str);
        let handle = if let Some(handle) = plan.new_handle.as_ref().filter(|_| plan.returns) {
            format!("It was here before, as @{handle}, and is that again, with the password that it had here.")
        } else if plan.keeps_handle {
            format!("@{old_handle} is a domain of your own, and comes along.")
        } else {
            format!("@{old_handle} belongs to {old_server}. Here the account gets another handle.")
        };
        self.terminal.say(&format!(
            "\n{old_handle} ({did}) is at {old_server}. This is what moving it here means:\n\n  \
             - Posts, likes, follows, pictures and preferences are copied. Followers stay.\n  \
             - Direct messages do not move, since they are not part of the account: Bluesky keeps them, and shows them as before.\n  \
             - {handle}\n  \
             - Nothing changes until you type the code of a mail, at the end. Nothing is deleted at {old_server}.\n"
        ))
    }

    fn ask_handle(&self, plan: &Plan) -> std::io::Result<String> {
        self.terminal.ask("Its handle here", plan.new_handle.as_ref().map_or("", Handle::as_str))
    }

    fn ask_password(&self, plan: &Plan) -> std::io::Result<Secret> {
        let question = format!("Your password at {} (the main one, not an app password)", plan.old_server);
        self.terminal.ask_secret(&question).map(Secret::new)
    }

    /// Asks for the passwords there and here. An account that was here before has one.
    fn ask_passwords(&self, plan: &Plan) -> std::io::Result<(Secret, Secret)> {
        let there = self.ask_password(plan)?;
        let here = if plan.returns {
            String::new()
        } else {
            self.terminal.ask_secret("A password for here, of 8 characters or more (Enter: the same)")?
        };
        Ok((there, Secret::new(here)))
    }

    /// Signs in, with a code of the mail if one is wanted.
    async fn sign_in(&self, mut given: SignIn) -> Result<Result<State, Fault>, CliError> {
        loop {
            match self.mover.begin(given.clone()).await? {
                Err(fault @ (Fault::NeedsFactor { .. } | Fault::WrongFactor { .. })) => {
                    self.terminal.say(&fault.to_string())?;
                    let code = self.terminal.ask("The code to sign in with (Enter: another one)", "")?;
                    given.factor = Some(code).filter(|code| !code.is_empty());
                }
                done => return Ok(done),
            }
        }
    }

    /// Tells what another password may mend; the rest ends the dialog.
    fn say_if_mendable(&self, fault: Fault) -> Result<(), CliError> {
        match fault {
            Fault::WrongPassword { .. } | Fault::AppPassword | Fault::OtherAccount { .. } | Fault::Password { .. } => {
                Ok(self.terminal.say(&fault.to_string())?)
            }
            fault => Err(fault.into()),
        }
    }

    /// Signs in anew in a move that is under way.
    async fn sign_in_again(&self, plan: &Plan) -> Result<(), CliError> {
        loop {
            let given = SignIn {
                account: plan.did.to_string(),
                password: self.ask_password(plan)?.to_string(),
                factor: None,
                handle: None,
                email: None,
                new_password: None,
            };
            match self.sign_in(given).await? {
                Ok(_) => return Ok(()),
                Err(fault) => self.say_if_mendable(fault)?,
            }
        }
    }

    /// Lets the person see to what holds a step up, which is tried again then.
    async fn after(&self, plan: &Plan, fault: Fault) -> Result<(), CliError> {
        match fault {
            Fault::SessionOver { .. } => {
                self.terminal.say(&fault.to_string())?;
                self.sign_in_again(plan).await
            }
            Fault::Unreachable { .. }
            | Fault::RateLimited { .. }
            | Fault::Busy
            | Fault::DidWeb { .. }
            | Fault::TooLarge { .. }
            | Fault::Here { .. } => {
                self.terminal.say(&fault.to_string())?;
                self.terminal.ask("Enter tries again; Ctrl-C leaves it for later", "")?;
                Ok(())
            }
            fault => Err(fault.into()),
        }
    }

    async fn copy(&self, plan: &Plan) -> Result<State, CliError> {
        loop {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            let copied = self.mover.copy(&plan.did, |progress| bar.set_message(progress_line(progress))).await;
            bar.finish_and_clear();
            match copied? {
                Ok(state) => return Ok(state),
                Err(fault) => self.after(plan, fault).await?,
            }
        }
    }

    /// Says what comes and cannot be undone, hands the recovery key out, and asks for the code.
    async fn consent(&self, plan: &Plan, state: &State) -> Result<Option<Finish>, CliError> {
        let (did, old_server) = (plan.did.clone(), &plan.old_server);
        if let Some(document) = &state.did_document {
            self.terminal.say(&format!("\nPublish this as the DID document of {did}:\n\n{document:#}\n"))?;
            self.terminal.ask("Enter when it is there", "")?;
            return Ok(Some(Finish { did, code: None, recovery_key: None }));
        }
        self.terminal.say(&format!(
            "\nNow the account itself moves: its DID will name this server in place of {old_server}. From then on it is here, and \
             there is no way back but to move it again.\n"
        ))?;
        if !self.terminal.agree("Go on?", true)? {
            let later =
                "Nothing has changed. Run `relay account move-in` again to go on, or with --give-up to delete what came here.";
            self.terminal.say(later)?;
            return Ok(None);
        }
        let recovery_key = if let Some(key) = &self.given.recovery_key {
            key.clone()
        } else {
            let key = Secrets::new_signing_key();
            self.terminal.hand_out_key(&key.to_multibase())?;
            key.verifying_key().to_did_key()
        };
        let mut sent = state.code_sent;
        while !sent {
            match self.mover.send_code(&did).await? {
                Ok(()) => sent = true,
                Err(fault) => self.after(plan, fault).await?,
            }
        }
        self.terminal.say(&format!("\n{old_server} has mailed you a code to move the account."))?;
        let code = self.ask_code(&did).await?;
        Ok(Some(Finish { did, code: Some(code), recovery_key: Some(recovery_key) }))
    }

    async fn ask_code(&self, did: &Did) -> Result<String, CliError> {
        loop {
            let code = self.terminal.ask("The code of the mail, or `new` for another one", "")?;
            match code.as_str() {
                "" => {}
                "new" => self.mover.send_code(did).await??,
                _ => return Ok(code),
            }
        }
    }

    async fn finish(&self, plan: &Plan, mut given: Finish, has_arrived: bool) -> Result<Finished, CliError> {
        let mut signed_in = false;
        loop {
            match self.mover.finish(given.clone()).await? {
                // Run again, it is to have that done.
                Ok(Finished { still_there: Some(StillThere { why, session_over: true }), .. }) if has_arrived && !signed_in => {
                    self.terminal.say(&why)?;
                    self.sign_in_again(plan).await?;
                    signed_in = true;
                }
                Ok(done) => {
                    for line in finished(&done) {
                        self.terminal.say(&line)?;
                    }
                    return Ok(done);
                }
                // The server has ended it by itself.
                Err(Fault::AlreadyHere { did }) => {
                    let done = Finished {
                        did,
                        handle: plan.new_handle.clone().unwrap_or_else(Handle::invalid),
                        old_server: plan.old_server.clone(),
                        still_there: None,
                        missing_blobs: 0,
                        missing: Vec::new(),
                    };
                    self.terminal.say(&format!("@{} ({}) is here.", done.handle, done.did))?;
                    return Ok(done);
                }
                Err(fault @ (Fault::WrongCode { .. } | Fault::NeedsCode { .. } | Fault::Directory { .. })) => {
                    self.terminal.say(&fault.to_string())?;
                    given.code = Some(self.ask_code(&plan.did).await?);
                }
                Err(fault) => self.after(plan, fault).await?,
            }
        }
    }
}

fn progress_line(progress: Progress) -> String {
    match progress {
        Progress { blobs_of: 0, repo_bytes, .. } => format!("Copying the posts: {}", HumanBytes(repo_bytes)),
        Progress { blobs, blobs_of, .. } => format!("Copying pictures and videos: {blobs} of {blobs_of}"),
    }
}
