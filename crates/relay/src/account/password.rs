//! Hashing and checking passwords, a few at a time.
//!
//! A hash takes tens of milliseconds of a core and 19 MiB. So only some run at once, on threads that give way to others, only so
//! many wait, and the rest are told to come back: however many sign in, writes go on.

use std::sync::{Arc, OnceLock};

use common::Did;
use crypto::password::{self, PasswordError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::background::background;

/// Callers that may wait for each thread that hashes: about two seconds' work.
const WAITING_PER_THREAD: usize = 64;

/// The most characters of a new password.
pub(crate) const MAX_NEW_CHARS: usize = 256;
/// The most characters of a password that is looked at when someone signs in.
pub(crate) const MAX_CHARS: usize = 512;

/// Why a password was neither hashed nor checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordsError {
    #[error("too many people are signing in")]
    Busy,
    #[error("the stored password hash is of no use")]
    Stored(#[source] PasswordError),
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    /// One for each caller that is let in at all.
    places: Arc<Semaphore>,
    /// One for each hash that runs.
    threads: Arc<Semaphore>,
    /// What the password of an unknown account is compared with.
    decoy: Arc<OnceLock<String>>,
}

/// What came of checking a password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// It is right, and the stored hash should give way to this one.
    RightWithNewHash(String),
}

impl Passwords {
    pub(crate) fn new() -> Self {
        // Half of the cores stay for everything else.
        let threads = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 8));
        Self {
            places: Arc::new(Semaphore::new(threads * (1 + WAITING_PER_THREAD))),
            threads: Arc::new(Semaphore::new(threads)),
            decoy: Arc::default(),
        }
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, PasswordsError> {
        let password = Zeroizing::new(password.to_owned());
        self.run(move || password::hash(&password, crate::random::bytes())).await
    }

    /// Checks a password against the stored hash. Without one it is wrong, and that takes as long to find out.
    pub(crate) async fn verify(&self, password: &str, stored: Option<String>) -> Result<Verdict, PasswordsError> {
        let (password, decoy) = (Zeroizing::new(password.to_owned()), Arc::clone(&self.decoy));
        let verdict = self.run(move || {
            let Some(stored) = stored else {
                let decoy = decoy.get_or_init(|| password::hash("nobody", crate::random::bytes()));
                return password::verify(&password, decoy).map(|_| Verdict::Wrong);
            };
            if !password::verify(&password, &stored)? {
                return Ok(Verdict::Wrong);
            }
            Ok(if password::needs_rehash(&stored) {
                Verdict::RightWithNewHash(password::hash(&password, crate::random::bytes()))
            } else {
                Verdict::Right
            })
        });
        verdict.await?.map_err(PasswordsError::Stored)
    }

    /// Hashes an app password as the official PDS stores it; see [`password::official_app_password_hash`].
    pub(crate) async fn hash_official_app_password(&self, did: &Did, password: &str) -> Result<String, PasswordsError> {
        let (did, password) = (did.clone(), Zeroizing::new(password.to_owned()));
        self.run(move || password::official_app_password_hash(did.as_str(), &password)).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordsError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordsError::Busy)?;
        let thread = Arc::clone(&self.threads).acquire_owned().await.expect("the semaphore is never closed");
        // The permits go along: work whose caller has gone runs to its end.
        let work = move || {
            let _held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, thread);
            work()
        };
        Ok(background(work).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_or_wrong() {
        let passwords = Passwords::new();
        let stored = passwords.hash("correct horse").await.unwrap();
        assert_eq!(passwords.verify("correct horse", Some(stored.clone())).await.unwrap(), Verdict::Right);
        assert_eq!(passwords.verify("wrong horse", Some(stored)).await.unwrap(), Verdict::Wrong);
        assert_eq!(passwords.verify("nobody", None).await.unwrap(), Verdict::Wrong);
        assert!(matches!(passwords.verify("x", Some("x".into())).await, Err(PasswordsError::Stored(_))));
    }

    #[tokio::test]
    async fn a_crowd_is_told_to_come_back() {
        let passwords = Passwords { places: Arc::new(Semaphore::new(2)), ..Passwords::new() };
        let all = futures_util::future::join_all((0..5).map(|_| passwords.hash("x"))).await;
        assert_eq!(all.iter().filter(|done| done.is_ok()).count(), 2);
        assert!(all.iter().all(|done| matches!(done, Ok(_) | Err(PasswordsError::Busy))));
        assert!(passwords.hash("x").await.is_ok());
    }
}
