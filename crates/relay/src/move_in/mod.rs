//! Moves an account here from another server, for someone who uses no other program.
//!
//! [`look`] says what would happen; [`begin`] signs in at the old server and makes the account here, deactivated; [`copy`] brings
//! repo, blobs and preferences; [`send_code`] has the old server mail a code; [`finish`] lets the DID lead here, activates the
//! account and deactivates it there. The faces are the set-up and `relay account move-in`, the latter also through the control
//! socket.
//!
//! **Invariants:**
//! - What is done is in the table `move_in` before the next thing begins, and each step may be done again: whatever cuts a move
//!   off, calling the steps in their order goes on where it was.
//! - Until the PLC directory has taken the operation, nothing has changed for the person.
//! - The password there is in memory only. The tokens there are sealed.
//! - Nothing is deleted on the old server.
//! - From when the operation is signed nothing is asked of the person any more, and [`end_moves`] ends what was cut off.
//!
//! # Tricky bits
//!
//! - The person may go on to post there until the DID leads here. So the repo's rev there is compared before the operation is
//!   signed and after it was handed in, and what is newer is copied.
//! - The operation is kept before it is handed in: a code is good once.
//! - Keys of the person's own among the rotation keys stay, in front of the server's. They are told from the old server's by what
//!   that one recommends.

mod begin;
mod blobs;
mod copy;
mod fault;
mod finish;
mod identity;
mod look;
mod old_server;
mod progress;

use common::{Did, Handle};
use serde::{Deserialize, Serialize};

pub(crate) use self::begin::{SignIn, begin};
pub(crate) use self::copy::copy;
pub(crate) use self::fault::Fault;
pub(crate) use self::finish::{Finish, Finished, StillThere, arrived, end_moves, finish, give_up, send_code};
pub(crate) use self::look::{Plan, look};
use self::old_server::{OldServer, Server};
pub(crate) use self::progress::{Moves, Progress};
use crate::state::AppState;
use crate::store::account::{self, Account};
use crate::store::move_in::{self, MoveIn};

/// Missing blobs that are named.
const NAMED: usize = 50;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Stage {
    /// Copying: [`copy`].
    Copy,
    /// All is here; the DID is to lead here: [`send_code`] and [`finish`].
    Identity,
    /// The operation was signed, or the account is active here already: [`finish`] without a code.
    Finish,
}

/// A move that is under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) did: Did,
    /// The handle here.
    pub(crate) handle: Handle,
    pub(crate) old_handle: Option<Handle>,
    /// The host name of the old server.
    pub(crate) old_server: String,
    /// Whether the account was here before, and stays when the move is given up.
    pub(crate) was_here: bool,
    /// Whether the account is active here, and only to be deactivated on the old server.
    pub(crate) has_arrived: bool,
    pub(crate) stage: Stage,
    /// Whether a code was mailed.
    pub(crate) code_sent: bool,
    /// Records that are here.
    pub(crate) records: u64,
    /// Blobs that the records name, and those of them that are not here.
    pub(crate) blobs: u64,
    pub(crate) missing_blobs: u64,
    /// Some of these.
    pub(crate) missing: Vec<String>,
    /// What a did:web has to say, for the person to publish.
    pub(crate) did_document: Option<serde_json::Value>,
}

/// A move, with the account that it is for.
struct UnderWay {
    account: Account,
    row: MoveIn,
}

impl UnderWay {
    async fn find(app: &AppState, did: &Did) -> Result<Self, Fault> {
        let found = app.db.read(|conn| {
            let Some(account) = account::find_by_did(conn, did)? else { return Ok(None) };
            Ok::<_, Fault>(move_in::find(conn, account.id)?.map(|row| Self { account, row }))
        });
        found.await?.ok_or_else(|| Fault::NotUnderWay { did: did.clone() })
    }

    fn old(&self, app: &AppState) -> Result<OldServer, Fault> {
        let did = self.account.did.clone();
        let server = Server::new(app, &self.row.old_server)?;
        let tokens = old_server::open(app, &did, &self.row.sealed_session).map_err(|error| {
            // A new one does as well.
            tracing::warn!(%did, %error, "the session at the old server cannot be opened");
            Fault::SessionOver { server: server.name.clone() }
        })?;
        Ok(OldServer::new(app, server, did, Some(self.account.id), tokens))
    }

    fn has_arrived(&self) -> bool {
        self.row.arrived_at.is_some() || self.account.status.is_active()
    }

    fn stage(&self) -> Stage {
        if self.has_arrived() || self.row.operation.is_some() {
            Stage::Finish
        } else if self.row.copied_at.is_some() {
            Stage::Identity
        } else {
            Stage::Copy
        }
    }
}

/// Tells how far a move is.
pub(crate) async fn state(app: &AppState, did: &Did) -> Result<State, Fault> {
    let under_way = UnderWay::find(app, did).await?;
    let (id, stage, has_arrived) = (under_way.account.id, under_way.stage(), under_way.has_arrived());
    let counted = app.db.scan(move |conn| {
        let usage = account::usage(conn, id)?;
        let missing_blobs = crate::store::blob::count_missing(conn, id)?;
        Ok::<_, Fault>((usage, missing_blobs, crate::store::blob::list_missing(conn, id, None, NAMED)?))
    });
    let (usage, missing_blobs, missing) = counted.await?;
    let did_document = if did.is_plc() { None } else { Some(identity::wanted_document(app, &under_way.account).await?) };
    Ok(State {
        did: did.clone(),
        handle: under_way.account.handle.unwrap_or_else(Handle::invalid),
        old_handle: under_way.row.old_handle,
        old_server: Server::new(app, &under_way.row.old_server)?.name,
        was_here: under_way.row.was_here,
        has_arrived,
        stage,
        code_sent: under_way.row.code_sent_at.is_some(),
        records: usage.records,
        blobs: usage.referenced_blobs,
        missing_blobs,
        missing: missing.into_iter().map(|(cid, path)| format!("{cid} ({path})")).collect(),
        did_document,
    })
}
