//! The update itself, step by step.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::Clock;
use http::Method;
use semver::Version;

use super::data::{self, DataStep};
use super::fetch::Releases;
use super::index::Index;
use super::keep::{Kept, Note};
use super::rehearsal;
use super::watch::{self, Patience};
use super::{ReleaseKey, UpdateError, installed};
use crate::control::ControlClient;
use crate::data_dir::{self, DATABASE};
use crate::service::{self, Manager, Scope, Step, StepError};
use crate::telemetry::disk;

/// For a server that was killed to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(20);
/// Room that an update takes besides the copies of the database and the program.
const ROOM_BYTES: u64 = 64 << 20;

/// What stops and starts the server.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) manager: Manager,
    pub(crate) scope: Scope,
}

/// Everything that an update is made with.
pub(crate) struct Updater<'a> {
    /// The program that is replaced.
    pub(crate) program: PathBuf,
    pub(crate) here: Version,
    pub(crate) data_dir: PathBuf,
    /// `None` where no service manager runs the server.
    pub(crate) service: Option<Service>,
    pub(crate) patience: (Duration, Duration),
    /// For a server to finish what is under way; one that takes longer is killed.
    pub(crate) stop_within: Duration,
    /// Whether a running server is to make a backup first.
    pub(crate) back_up: bool,
    pub(crate) allow_downgrade: bool,
    pub(crate) in_container: bool,
    pub(crate) clock: &'a dyn Clock,
    /// Tells the operator what happens.
    pub(crate) say: &'a dyn Fn(&str),
}

impl Updater<'_> {
    /// Updates to what `index` has, and returns once that has been watched.
    pub(crate) async fn update(&self, index: &Index, releases: &Releases, key: &ReleaseKey) -> Result<(), UpdateError> {
        let to = index.version.clone();
        let program = index.program(&self.here, self.allow_downgrade)?;
        if let Some(refusal) = installed::refusal(&installed::look(&self.program), self.in_container) {
            return Err(UpdateError::Installed(refusal));
        }
        self.check_service(&self.program)?;
        let kept = Kept::new(&self.data_dir, &self.program);
        self.settle_earlier(&kept).await?;
        self.check_room(&kept, program.bytes)?;

        (self.say)(&format!("Fetching version {to}."));
        let fetched = releases.program(program, key, kept.folder()).await?;
        let candidate = kept.candidate();
        let unplaced =
            |source| UpdateError::File { what: "the new program cannot be written to", path: candidate.clone(), source };
        fs::rename(&fetched, &candidate).and_then(|()| executable(&candidate)).map_err(unplaced)?;
        let result = self.install(&kept, &to, &candidate).await;
        // Whatever came of it, it can be fetched again.
        drop(fs::remove_file(&candidate));
        result
    }

    async fn install(&self, kept: &Kept, to: &Version, candidate: &Path) -> Result<(), UpdateError> {
        rehearsal::check_version(candidate, to, kept.owner())?;
        let schema = if self.data_dir.join(DATABASE).exists() {
            (self.say)("Trying the new version on a copy of the database.");
            let tried = kept
                .step(DataStep::Copy)
                .and_then(|()| rehearsal::of_copy(candidate, &data::trial(&self.data_dir), kept.owner()));
            kept.step(DataStep::RemoveCopy)?;
            Some(tried?)
        } else {
            None
        };
        let mut note = Note { from: self.here.clone(), to: to.clone(), kept_at: self.clock.millis(), schema, finished: false };
        let ran = data_dir::is_taken(&self.data_dir);
        if ran && self.back_up {
            (self.say)("Making a backup.");
            self.ask("/backup").await.map_err(UpdateError::Backup)?;
        }
        let _deaf = hold_signals();
        self.stop_or_go_on(ran).await?;
        let replaced = kept.keep(&note).and_then(|()| {
            if ran && note.changes_data() {
                kept.step(DataStep::BeginProbation)?;
            }
            kept.replace(candidate)
        });
        if let Err(err) = replaced {
            // The old program is still in its place.
            kept.forget();
            drop(kept.step(DataStep::EndProbation));
            if ran {
                self.start()?;
            }
            return Err(err);
        }
        if !ran {
            note.finished = true;
            kept.write(&note)?;
            (self.say)(&format!(
                "Version {to} is in the place of {}. No server ran, so it was not watched: start it, and if it is not well, \
                 `relay update --undo`.",
                self.here
            ));
            return Ok(());
        }
        match self.start_and_watch(note.changes_data()).await {
            Ok(()) => {
                note.finished = true;
                kept.write(&note)?;
                if note.changes_data() {
                    drop(self.ask("/update/accept").await);
                } else {
                    // The version before reads it as it is now.
                    drop(kept.step(DataStep::RemoveKept));
                }
                (self.say)(&format!("Version {to} runs and is well. `relay update --undo` goes back to {}.", self.here));
                Ok(())
            }
            Err(reason) => Err(self.put_back(kept, &note, reason).await),
        }
    }

    /// Goes back to what was there before the last update.
    pub(crate) async fn undo(&self, with_data: bool) -> Result<(), UpdateError> {
        let kept = Kept::new(&self.data_dir, &self.program);
        let note = kept.note().ok_or(UpdateError::NothingToUndo)?;
        self.check_service(&self.program)?;
        // While it is on probation nothing was acknowledged that could be lost.
        let data = note.changes_data() && (with_data || kept.is_on_probation());
        if note.changes_data() && !data {
            return Err(UpdateError::DataTooNew { from: note.from });
        }
        let ran = data_dir::is_taken(&self.data_dir);
        let _deaf = hold_signals();
        self.stop_or_go_on(ran).await?;
        kept.put_program_back()?;
        if data {
            kept.step(DataStep::PutBack)?;
        }
        if note.schema.is_some() {
            kept.step(DataStep::EndProbation)?;
        }
        kept.forget();
        (self.say)(&format!("Version {} is back{}.", note.from, if data { ", with the data of then" } else { "" }));
        if ran || !note.finished {
            self.watch_old()
                .await
                .map_err(|reason| UpdateError::Candidate(format!("version {} does not start: {reason}", note.from)))?;
            (self.say)("It runs and is well.");
        }
        Ok(())
    }

    /// Puts back what was there before an update that failed, and returns what to tell.
    async fn put_back(&self, kept: &Kept, note: &Note, reason: String) -> UpdateError {
        (self.say)(&format!("Version {} is not well: {reason}. Putting back what was there.", note.to));
        let data = note.changes_data();
        let work = async {
            self.stop(true).await?;
            kept.put_program_back()?;
            if data {
                kept.step(DataStep::PutBack)?;
            }
            kept.step(DataStep::EndProbation)
        };
        let (from, to) = (note.from.clone(), note.to.clone());
        if let Err(err) = work.await {
            // Whichever it is, one that may serve is better than none.
            drop(self.start());
            return UpdateError::Stuck { to, reason, problem: err.to_string(), kept: kept.program_before() };
        }
        let well = self.watch_old().await.is_ok();
        if well {
            kept.forget();
        }
        UpdateError::PutBack { from, to, reason, data, well }
    }

    async fn watch_old(&self) -> Result<(), String> {
        let since = self.clock.millis();
        self.start().map_err(|err| err.to_string())?;
        watch::watch(&self.data_dir, since, Patience { start: self.patience.0, watch: Duration::ZERO }).await
    }

    async fn start_and_watch(&self, waits: bool) -> Result<(), String> {
        let since = self.clock.millis();
        let (start, watch) = self.patience;
        self.start().map_err(|err| err.to_string())?;
        let tail = if waits { "; until then it takes no writes, for its data has another form" } else { "" };
        (self.say)(&format!("Started; it is watched for {} s{tail}.", watch.as_secs()));
        watch::watch(&self.data_dir, since, Patience { start, watch }).await
    }

    /// Deals with an update that did not come to its end, as when the machine lost power.
    async fn settle_earlier(&self, kept: &Kept) -> Result<(), UpdateError> {
        let Some(mut note) = kept.note().filter(|note| !note.finished) else { return Ok(()) };
        let well = watch::health(&self.data_dir).await.is_some_and(|health| health.ok);
        if !well || note.to != self.here {
            return Err(UpdateError::Interrupted { to: note.to });
        }
        drop(self.ask("/update/accept").await);
        note.finished = true;
        kept.write(&note)
    }

    /// Checks that what runs can be stopped and started, and is what is replaced.
    fn check_service(&self, program: &Path) -> Result<(), UpdateError> {
        let Some(Service { manager, scope }) = &self.service else {
            if data_dir::is_taken(&self.data_dir) {
                return Err(UpdateError::NoService { data_dir: self.data_dir.clone() });
            }
            return Ok(());
        };
        let said = service::ask(&service::describe(*manager, scope))?;
        if !said.contains(&*program.to_string_lossy()) {
            return Err(UpdateError::OtherProgram { program: program.to_owned() });
        }
        // Else it would be stopped, and nobody would see to it that it comes back.
        if service::is_running(&said) && !data_dir::is_taken(&self.data_dir) {
            return Err(UpdateError::OtherFolder { data_dir: self.data_dir.clone() });
        }
        Ok(())
    }

    fn check_room(&self, kept: &Kept, program_bytes: u64) -> Result<(), UpdateError> {
        let database = fs::metadata(self.data_dir.join(DATABASE)).map_or(0, |metadata| metadata.len());
        // What is kept of the update before this one goes first.
        let needed = (2 * database + 2 * program_bytes + ROOM_BYTES).saturating_sub(kept.data_bytes());
        match disk::space(&self.data_dir) {
            Some(space) if space.free_bytes < needed => {
                Err(UpdateError::Room { needed: disk::in_words(needed), free: disk::in_words(space.free_bytes) })
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn ask(&self, path: &str) -> Result<serde_json::Value, crate::control::ControlError> {
        ControlClient::new(&self.data_dir).call(Method::POST, path, None::<&()>).await
    }

    /// As [`Self::stop`]; a server that was not stopped is to run on.
    async fn stop_or_go_on(&self, runs: bool) -> Result<(), UpdateError> {
        let stopped = self.stop(runs).await;
        if stopped.is_err() && runs {
            // It may have been on its way out. Of one that runs this changes nothing.
            drop(self.start());
        }
        stopped
    }

    /// Stops the server and waits until nobody has the data folder. One that does not end is killed, which loses nothing: what was
    /// acknowledged is durable.
    async fn stop(&self, runs: bool) -> Result<(), UpdateError> {
        let Some(Service { manager, scope }) = &self.service else { return self.is_left(self.stop_within).await };
        let mut stopping = Stopping::begin(&service::stop(*manager, scope), runs)?;
        let ended = tokio::time::timeout(self.stop_within, async {
            stopping.ended().await?;
            self.is_left(self.stop_within).await
        });
        match ended.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(UpdateError::StillRuns { .. })) | Err(_) => {}
            Ok(Err(err)) => return Err(err),
        }
        (self.say)(&format!(
            "The server does not end within {} s, so it is killed. What it acknowledged is stored.",
            self.stop_within.as_secs()
        ));
        Step::Try(service::kill(*manager, scope)).carry_out()?;
        drop(tokio::time::timeout(KILL_PATIENCE, stopping.ended()).await);
        self.is_left(KILL_PATIENCE).await
    }

    /// Waits until nobody has the data folder.
    async fn is_left(&self, within: Duration) -> Result<(), UpdateError> {
        let begun = Instant::now();
        while data_dir::is_taken(&self.data_dir) {
            if begun.elapsed() > within {
                return Err(UpdateError::StillRuns { data_dir: self.data_dir.clone() });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn start(&self) -> Result<(), UpdateError> {
        let Some(Service { manager, scope }) = &self.service else { return Ok(()) };
        for step in service::start(*manager, scope) {
            step.carry_out()?;
        }
        Ok(())
    }
}

/// The command that stops the server, which waits until that has ended, for as long as it may take.
struct Stopping {
    command: String,
    child: std::process::Child,
    /// Whether it matters that it fails.
    matters: bool,
}

impl Stopping {
    fn begin(command: &[String], matters: bool) -> Result<Self, UpdateError> {
        let [program, args @ ..] = command else { unreachable!("a command has a program") };
        let child = std::process::Command::new(program).args(args).spawn();
        let command = command.join(" ");
        let child = child.map_err(|source| StepError::Start { command: command.clone(), source })?;
        Ok(Self { command, child, matters })
    }

    async fn ended(&mut self) -> Result<(), UpdateError> {
        loop {
            let ended = self.child.try_wait().map_err(|source| StepError::Start { command: self.command.clone(), source })?;
            match ended {
                Some(status) if self.matters && !status.success() => {
                    return Err(StepError::Failed { command: self.command.clone(), status }.into());
                }
                Some(_) => return Ok(()),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        // One that still waits must not stop the server that is started next.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Has this process go on when its terminal is closed or someone presses Ctrl-C: from here on the server is stopped, and has to be
/// started whatever comes.
#[cfg(unix)]
fn hold_signals() -> Vec<tokio::signal::unix::Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
    kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect()
}

#[cfg(not(unix))]
fn hold_signals() {}

fn executable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    fs::File::open(path)?.sync_all()
}
