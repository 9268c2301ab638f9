//! The person's account comes from another server. The move itself is [`crate::move_in`]'s; this keeps that there is one, and what is
//! in memory only.

use std::sync::{Arc, PoisonError};

use common::{Did, Handle};

use super::answers::AccountAnswer;
use super::work::{Setup, WorkError};
use crate::move_in::{self, Fault, Finish, Plan, Progress, SignIn, Stage, State};
use crate::secrets::Secrets;
use crate::state::AppState;

/// How far the move is, and what the person is asked.
#[derive(Clone, Debug)]
pub(crate) enum Moving {
    /// The password there, and what the account shall have here.
    SignIn(Box<Plan>),
    /// The code that the old server mailed to sign in with.
    Factor(Box<Plan>),
    Copying(Box<State>, Progress),
    /// Why copying stopped.
    Stopped(Box<State>, Fault),
    /// The code that the old server mails to move the account, or the document of a did:web; and first the password, where the
    /// session there has ended.
    Identity(Box<State>, bool),
    /// All is said; the rest was cut off.
    End(Box<State>),
}

/// Why a step of the move was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum MoveFault {
    #[error(transparent)]
    Move(#[from] Fault),
    #[error(transparent)]
    Work(Arc<WorkError>),
}

impl From<WorkError> for MoveFault {
    fn from(err: WorkError) -> Self {
        Self::Work(Arc::new(err))
    }
}

/// What is known of a move in this process alone.
#[derive(Debug, Default)]
pub(super) struct InMemory {
    /// What was said to sign in, while a code for that is waited for.
    sign_in: Option<Secret>,
    /// Why copying stopped.
    stopped: Option<Fault>,
    /// Whether the session at the old server has ended.
    session_over: bool,
}

/// A password among it: nobody sees that.
struct Secret(SignIn);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Setup {
    fn with_memory<T>(&self, change: impl FnOnce(&mut InMemory) -> T) -> T {
        change(&mut self.moving.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Finds the account that is to move, which then is asked about.
    pub(crate) async fn find_account(&self, account: &str) -> Result<Did, MoveFault> {
        let app = self.app().await?;
        let plan = move_in::look(&app, account).await?;
        let did = plan.did.clone();
        self.change(|answers| answers.moving = Some(plan.did)).await.map_err(WorkError::from)?;
        Ok(did)
    }

    /// Tells how far the move is; `None` when none was begun.
    pub(crate) async fn moving(self: &Arc<Self>) -> Result<Option<Moving>, MoveFault> {
        let Some(did) = self.answers().await.moving else { return Ok(None) };
        let app = self.app().await?;
        let state = match move_in::state(&app, &did).await {
            Ok(state) => Box::new(state),
            Err(Fault::NotUnderWay { .. }) => {
                let plan = Box::new(move_in::look(&app, did.as_str()).await?);
                let waits = self.with_memory(|memory| memory.sign_in.is_some());
                return Ok(Some(if waits { Moving::Factor(plan) } else { Moving::SignIn(plan) }));
            }
            Err(fault) => return Err(fault.into()),
        };
        // Where the session had ended, and the old server mails a code to sign in with.
        if state.stage != Stage::Finish && self.with_memory(|memory| memory.sign_in.is_some()) {
            return Ok(Some(Moving::Factor(Box::new(move_in::look(&app, did.as_str()).await?))));
        }
        Ok(Some(match state.stage {
            Stage::Copy => match self.with_memory(|memory| memory.stopped.clone()) {
                Some(fault) => Moving::Stopped(state, fault),
                None => Moving::Copying(state, self.copy(&app, &did)),
            },
            Stage::Identity => Moving::Identity(state, self.with_memory(|memory| memory.session_over)),
            Stage::Finish => Moving::End(state),
        }))
    }

    /// Copies in the background, unless that is being done, and tells how far it is.
    fn copy(self: &Arc<Self>, app: &AppState, did: &Did) -> Progress {
        if let Some(progress) = app.moves.progress(did) {
            return progress;
        }
        let (setup, app, did) = (Arc::clone(self), app.clone(), did.clone());
        tokio::spawn(async move {
            match move_in::copy(&app, &did).await {
                // A page that asks too early finds the copying going on.
                Ok(_) | Err(Fault::Busy | Fault::Stopping) => {}
                Err(fault) => setup.with_memory(|memory| memory.stopped = Some(fault)),
            }
        });
        Progress::default()
    }

    /// Copies again, after what stopped it.
    pub(crate) fn copy_again(&self) {
        self.with_memory(|memory| memory.stopped = None);
    }

    /// Signs in at the old server, with what was said before where only the code is new.
    pub(crate) async fn sign_in_to_move(&self, mut given: SignIn) -> Result<(), MoveFault> {
        let Some(did) = self.answers().await.moving else { return Ok(()) };
        let before = self.with_memory(|memory| memory.sign_in.take());
        let is_resumed = given.password.is_empty() && before.is_some();
        if given.password.is_empty()
            && let Some(Secret(mut before)) = before
        {
            before.factor = given.factor.take();
            given = before;
        }
        given.account = did.to_string();
        let app = self.app().await?;
        let begun = move_in::begin(&app, given.clone()).await;
        let is_kept = match &begun {
            Err(Fault::NeedsFactor { .. } | Fault::WrongFactor { .. }) => true,
            // What passes by itself is no reason to ask for all of it again.
            Err(Fault::Unreachable { .. } | Fault::RateLimited { .. } | Fault::Busy) => is_resumed,
            Ok(_) | Err(_) => false,
        };
        if is_kept {
            self.with_memory(|memory| memory.sign_in = Some(Secret(given)));
        }
        begun?;
        self.with_memory(|memory| *memory = InMemory::default());
        Ok(())
    }

    /// Has the old server mail a code.
    pub(crate) async fn send_code_to_move(&self) -> Result<(), MoveFault> {
        let Some(did) = self.answers().await.moving else { return Ok(()) };
        let sent = move_in::send_code(&self.app().await?, &did).await;
        Ok(self.heed(sent)?)
    }

    /// Keeps in mind that the session has ended, where that is why something was not done.
    fn heed<T>(&self, done: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(Fault::SessionOver { .. }) = &done {
            self.with_memory(|memory| memory.session_over = true);
        }
        done
    }

    /// Ends the move, with a recovery key above the server's.
    pub(crate) async fn finish_move(&self, code: &str) -> Result<(), MoveFault> {
        let Some(did) = self.answers().await.moving else { return Ok(()) };
        let app = self.app().await?;
        let recovery_key = self.recovery_key_to_move(&did).await?;
        let code = Some(code.to_owned()).filter(|code| !code.trim().is_empty());
        match self.heed(move_in::finish(&app, Finish { did, code, recovery_key }).await) {
            Ok(finished) => Ok(self.account_moved(finished.did, finished.handle).await?),
            // The server ended it by itself.
            Err(Fault::AlreadyHere { .. }) if self.take_arrived().await? => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Makes a recovery key for the account that moves, and returns it as a did:key. It is kept before it is in the DID: one whose key
    /// was never seen could not be saved by it. `None` for a did:web, and when an operation was signed, which has the key that is kept.
    pub(crate) async fn recovery_key_to_move(&self, did: &Did) -> Result<Option<String>, WorkError> {
        let app = self.app().await?;
        // One that cannot be told must not take the place of the key that is in the operation.
        let may_be_new = match move_in::state(&app, did).await {
            Ok(state) => state.stage != Stage::Finish,
            Err(fault) => matches!(fault, Fault::NotUnderWay { .. }),
        };
        if !may_be_new || !did.is_plc() {
            return Ok(None);
        }
        let key = Secrets::new_signing_key();
        let text = key.to_multibase().to_string();
        self.change(|answers| answers.recovery_key = Some(text)).await?;
        Ok(Some(key.verifying_key().to_did_key()))
    }

    /// Asks about another account. What came here of this one stays, and `relay account move-in` goes on with it.
    pub(crate) async fn put_move_off(&self) -> Result<(), WorkError> {
        let change = |answers: &mut super::answers::Answers| {
            answers.moving = None;
            answers.recovery_key = None;
        };
        Ok(self.change(change).await?)
    }

    /// Takes the account that was to move, if it is here: the server may have ended the move by itself, or this was cut off before
    /// it could write down that it had.
    pub(crate) async fn take_arrived(&self) -> Result<bool, WorkError> {
        let Some(did) = self.answers().await.moving else { return Ok(false) };
        let app = self.app().await?;
        let Some((did, handle)) = move_in::arrived(&app, &did).await else { return Ok(false) };
        self.account_moved(did, handle).await?;
        Ok(true)
    }

    /// Takes an account that has arrived.
    pub(crate) async fn account_moved(&self, did: Did, handle: Handle) -> Result<(), WorkError> {
        let change = |answers: &mut super::answers::Answers| {
            answers.moving = None;
            answers.account = Some(AccountAnswer::Made { did, handle });
        };
        Ok(self.change(change).await?)
    }

    /// Gives the move up; what came here is deleted.
    pub(crate) async fn give_up_move(&self) -> Result<(), MoveFault> {
        let Some(did) = self.answers().await.moving else { return Ok(()) };
        match move_in::give_up(&self.app().await?, &did).await {
            Ok(()) | Err(Fault::NotUnderWay { .. }) => {}
            Err(fault) => return Err(fault.into()),
        }
        self.with_memory(|memory| *memory = InMemory::default());
        Ok(self.put_move_off().await?)
    }
}
