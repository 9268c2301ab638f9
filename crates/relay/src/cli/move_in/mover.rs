//! The steps of a move, done here or by the server that has the data folder.

use std::time::Duration;

use common::Did;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::CliError;
use super::super::account::Accounts;
use crate::move_in::{self, Fault, Finish, Finished, Plan, Progress, SignIn, State};
use crate::state::AppState;

/// How often it is asked how far a step is.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How often it is tried to end a move that something else is ending, which is for ten minutes.
const END_TRIES: u32 = 2000;

/// Does the steps.
pub(in super::super) struct Mover(pub(in super::super) Accounts);

type Told<T> = Result<Result<T, Fault>, CliError>;

impl Mover {
    async fn step<I: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        input: I,
        here: impl AsyncFnOnce(&AppState, I) -> Result<T, Fault>,
    ) -> Told<T> {
        match &self.0 {
            Accounts::Here(app) => Ok(Box::pin(here(app, input)).await),
            Accounts::There(server) => Ok(server.call(Method::POST, path, Some(&input)).await?),
        }
    }

    pub(super) async fn look(&self, account: &str) -> Told<Plan> {
        let account = account.to_owned();
        self.step("/move-in/look", account, async |app, account| move_in::look(app, &account).await).await
    }

    pub(super) async fn begin(&self, given: SignIn) -> Told<State> {
        self.step("/move-in/begin", given, async |app, given| move_in::begin(app, given).await).await
    }

    pub(super) async fn send_code(&self, did: &Did) -> Told<()> {
        self.step("/move-in/code", did.clone(), async |app, did| move_in::send_code(app, &did).await).await
    }

    /// Ends the move. The server may be about that by itself, which is waited for.
    pub(super) async fn finish(&self, given: Finish) -> Told<Finished> {
        let mut tries = 1;
        loop {
            let finish = self.step("/move-in/finish", given.clone(), async |app, given| move_in::finish(app, given).await);
            match finish.await? {
                Err(Fault::Busy) if tries < END_TRIES => tokio::time::sleep(LOOK_EVERY).await,
                done => return Ok(done),
            }
            tries += 1;
        }
    }

    pub(super) async fn give_up(&self, did: &Did) -> Told<()> {
        self.step("/move-in/give-up", did.clone(), async |app, did| move_in::give_up(app, &did).await).await
    }

    /// Copies what is not here, and tells now and then how far that is.
    pub(super) async fn copy(&self, did: &Did, tell: impl Fn(Progress)) -> Told<State> {
        let copy = self.step("/move-in/copy", did.clone(), async |app, did| move_in::copy(app, &did).await);
        let mut copy = std::pin::pin!(copy);
        loop {
            tokio::select! {
                copied = &mut copy => return copied,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if let Some(progress) = self.progress(did).await? {
                        tell(progress);
                    }
                }
            }
        }
    }

    async fn progress(&self, did: &Did) -> Result<Option<Progress>, CliError> {
        match &self.0 {
            Accounts::Here(app) => Ok(app.moves.progress(did)),
            Accounts::There(server) => Ok(server.call(Method::POST, "/move-in/progress", Some(did)).await?),
        }
    }
}
