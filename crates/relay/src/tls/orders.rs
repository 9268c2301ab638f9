//! Which certificates are ordered, and when: for names of this server only, one order at a time for each name, not more in an
//! hour or a week than is set, and after a failure not again before some time has passed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::Clock;
use instant_acme::CertificateIdentifier;
use quick_cache::sync::Cache;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::acme::{Acme, OrderError, Proof};
use super::certificates::{Certificate, Certificates};
use super::challenges::Challenges;
use super::dns::DnsChallenges;
use super::entitled::{Entitled, entitled};
use super::{CertificateStatus, OpenError, renewal};
use crate::config::Config;
use crate::identity::Identity;
use crate::secrets::Secrets;
use crate::store::{Db, tls};

/// Orders under way at once.
const MAX_ORDERS: usize = 8;
/// How long a whole order may take, DNS included.
const ORDER_TIMEOUT: Duration = Duration::from_secs(400);
/// Names that are nobody's are remembered, so that asking for them again costs nothing.
const REFUSED_NAMES: usize = 4096;
const REFUSED_FOR_MILLIS: i64 = 60_000;
/// How often it is looked what is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often the authority is asked when it wants a certificate renewed, unless it says.
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);
/// Certificates that the authority is asked about in one turn.
const ASKED_AT_ONCE: usize = 16;
/// An authority that says that it gives no more is left alone for so long at least.
const RATE_LIMITED: Duration = Duration::from_secs(3600);
/// And no longer than its longest limit, whatever it says.
const LONGEST_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
const HOUR_MILLIS: i64 = 3_600_000;
const WEEK_MILLIS: i64 = 7 * 24 * HOUR_MILLIS;

/// What orders need of the server.
pub(super) struct Parts {
    pub(super) db: Arc<Db>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) identity: Identity,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
}

/// Orders certificates and keeps them current.
pub(crate) struct Orders {
    config: Config,
    db: Arc<Db>,
    secrets: Arc<Secrets>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    acme: Acme,
    certificates: Arc<Certificates>,
    names: Mutex<HashMap<String, Name>>,
    refused: Cache<String, i64>,
    turns: Semaphore,
    /// DNS-01 uses one record for a name and for the wildcard below it, so one order at a time.
    dns_turn: tokio::sync::Mutex<()>,
    /// Which proof worked last, as an index into [`Orders::proofs`].
    proof: AtomicUsize,
    ended: Notify,
}

/// What is known of a name besides its certificate.
#[derive(Default)]
struct Name {
    /// Closed when the order that is under way ends.
    running: Option<watch::Receiver<()>>,
    failures: u32,
    /// No order before; milliseconds since 1970.
    retry_at: i64,
    problem: Option<String>,
    /// Whether that is a limit, which ends by itself.
    limited: bool,
    /// When the certificate is to be renewed.
    renew_at: Option<i64>,
    /// When the authority is asked next about that.
    ask_at: i64,
    /// Whether the authority knows the certificate as one that can be replaced.
    replaceable: bool,
}

impl Name {
    fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.has_changed().is_ok())
    }
}

impl std::fmt::Debug for Orders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orders").field("acme", &self.acme).finish_non_exhaustive()
    }
}

impl Orders {
    /// Opens the stored certificates. Nothing is ordered yet.
    pub(super) async fn open(config: &Config, parts: Parts) -> Result<Arc<Self>, OpenError> {
        let http = parts.identity.clients().trusted.clone();
        let dns = config.tls.dns.as_ref().map(|provider| {
            DnsChallenges::open(provider, http.clone(), parts.identity.dns().clone(), Arc::clone(&parts.clock))
        });
        let dns = dns.transpose().map_err(|err| OpenError::Dns(err.to_string()))?;
        let acme = Acme {
            config: config.tls.acme.clone(),
            http,
            db: Arc::clone(&parts.db),
            secrets: Arc::clone(&parts.secrets),
            challenges: Arc::default(),
            dns,
            account: tokio::sync::Mutex::default(),
        };
        let orders = Arc::new(Self {
            certificates: Arc::new(Certificates::new(Some(config.server.public_url.host().to_owned()), false)),
            config: config.clone(),
            db: parts.db,
            secrets: parts.secrets,
            clock: parts.clock,
            stop: parts.stop,
            acme,
            names: Mutex::default(),
            refused: Cache::new(REFUSED_NAMES),
            turns: Semaphore::new(MAX_ORDERS),
            dns_turn: tokio::sync::Mutex::default(),
            proof: AtomicUsize::new(0),
            ended: Notify::new(),
        });
        orders.load().await?;
        Ok(orders)
    }

    pub(super) fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    pub(crate) fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.acme.challenges)
    }

    async fn load(&self) -> Result<(), OpenError> {
        let stored = self.db.read(tls::list).await.map_err(|err| OpenError::Stored(err.to_string()))?;
        for row in stored {
            let key = self.secrets.open_tls_key(&row.name, &row.sealed_key);
            let key = key.map_err(|err| OpenError::Stored(err.to_string()))?;
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
            match Certificate::from_chain(row.chain.as_bytes(), key) {
                Ok(certificate) => self.put(&row.name, certificate),
                Err(err) => {
                    let error = &err as &dyn std::error::Error;
                    tracing::warn!(name = row.name, error, "a stored certificate cannot be used; another one is ordered");
                }
            }
        }
        Ok(())
    }

    fn put(&self, name: &str, certificate: Certificate) {
        let renew_at = renewal::at_a_third(certificate.not_before, certificate.not_after);
        self.certificates.put(name, Arc::new(certificate));
        let fresh = Name { renew_at: Some(renew_at), running: self.running(name), ..Name::default() };
        self.names().insert(name.to_owned(), fresh);
    }

    fn running(&self, name: &str) -> Option<watch::Receiver<()>> {
        self.names().get(name).and_then(|name| name.running.clone())
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets that a name was nobody's.
    pub(super) fn forget_refusal(&self, host: &str) {
        self.refused.remove(host);
    }

    /// Sees to a certificate for a host name, in lower case, and waits for it; tells whether there is one. Nothing is ordered
    /// for names that are not of this server.
    pub(crate) async fn obtain(self: &Arc<Self>, host: &str) -> bool {
        if self.certificates.find(host).is_some() {
            return true;
        }
        let now = self.clock.millis();
        if self.refused.get(host).is_some_and(|until| now < until) {
            return false;
        }
        let subject = match self.subject(host).await {
            Ok(Some(subject)) => subject,
            Ok(None) => {
                self.refused.insert(host.to_owned(), now + REFUSED_FOR_MILLIS);
                tracing::debug!(host, "no certificate is ordered for a name that is nobody's here");
                return false;
            }
            Err(err) => {
                tracing::warn!(host, error = &err as &dyn std::error::Error, "it could not be looked up whose name it is");
                return false;
            }
        };
        let Some(mut running) = self.begin(&subject) else { return false };
        // Nothing is ever sent: it ends when the order does.
        while running.changed().await.is_ok() {}
        self.certificates.find(host).is_some()
    }

    /// Waits until no order is under way.
    pub(super) async fn settled(self: &Arc<Self>) {
        self.obtain(self.config.server.public_url.host()).await;
        loop {
            let ended = self.ended.notified();
            if !self.names().values().any(Name::is_running) {
                return;
            }
            ended.await;
        }
    }

    /// Returns the name that the certificate of a host is ordered for: its own, or with DNS-01 that of the wildcard.
    async fn subject(&self, host: &str) -> Result<Option<String>, crate::store::StoreError> {
        Ok(match entitled(&self.config, &self.db, host).await? {
            Entitled::Host => Some(self.host_subject()),
            Entitled::Account => Some(self.wildcard_over(host).unwrap_or_else(|| host.to_owned())),
            // The wildcard says nothing of who has an account.
            Entitled::NoAccount => self.wildcard_over(host),
            Entitled::Foreign => None,
        })
    }

    fn host_subject(&self) -> String {
        let host = self.config.server.public_url.host();
        self.wildcard_over(host).unwrap_or_else(|| host.to_owned())
    }

    fn wildcard_over(&self, host: &str) -> Option<String> {
        self.acme.dns.as_ref()?;
        let domains = &self.config.identity.handle_domains;
        let domain = domains.iter().find(|domain| domain.strip(host).is_some_and(|label| !label.contains('.')))?;
        Some(format!("*{domain}"))
    }

    /// Names that have a certificate whether or not someone asks.
    fn standing_names(&self) -> Vec<String> {
        let mut names = vec![self.host_subject()];
        if self.acme.dns.is_some() {
            names.extend(self.config.identity.handle_domains.iter().map(|domain| format!("*{domain}")));
        }
        names.sort();
        names.dedup();
        names
    }

    /// Begins an order for a name, or joins the one that is under way; `None` while it is too early to try again.
    fn begin(self: &Arc<Self>, name: &str) -> Option<watch::Receiver<()>> {
        let now = self.clock.millis();
        let mut names = self.names();
        let known = names.entry(name.to_owned()).or_default();
        if known.is_running() {
            return known.running.clone();
        }
        if now < known.retry_at || self.stop.is_cancelled() {
            return None;
        }
        let (end, running) = watch::channel(());
        known.running = Some(running.clone());
        drop(names);
        let (orders, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            // Dropped last, whatever happens: then all who wait look for the certificate.
            let _end = Ended { orders: Arc::clone(&orders), end: Some(end) };
            let stop = orders.stop.clone();
            stop.run_until_cancelled(orders.run(&name)).await;
        });
        Some(running)
    }

    async fn run(&self, name: &str) {
        let _turn = self.turns.acquire().await.expect("the turns are never closed");
        let ordered = tokio::time::timeout(ORDER_TIMEOUT, self.order(name)).await.unwrap_or(Err(OrderError::TimedOut));
        match ordered {
            Ok(not_after_seconds) => tracing::info!(name, not_after_seconds, "a certificate was issued"),
            Err(err) => self.note_failure(name, &err),
        }
    }

    fn note_failure(&self, name: &str, err: &OrderError) {
        let now = self.clock.millis();
        let left = self.certificates.get(name).map(|certificate| (certificate.not_after - now) / 1000);
        let retry_seconds = {
            let mut names = self.names();
            let known = names.entry(name.to_owned()).or_default();
            known.failures = known.failures.saturating_add(1);
            let wait = match err {
                OrderError::Capped { until, .. } => Duration::from_millis(u64::try_from(until - now).unwrap_or(0)),
                OrderError::RateLimited { until, .. } => {
                    let said = until.and_then(|until| u64::try_from(until - now).ok()).map(Duration::from_millis);
                    let least = renewal::backoff(known.failures).max(RATE_LIMITED);
                    said.map_or(least, |said| said.clamp(least, LONGEST_LIMIT.max(least)))
                }
                OrderError::Unreachable { .. }
                | OrderError::NotSeen { .. }
                | OrderError::NoProof { .. }
                | OrderError::Refused(_)
                | OrderError::TimedOut
                | OrderError::Unusable(_)
                | OrderError::Dns(_)
                | OrderError::Secret(_)
                | OrderError::Account(_)
                | OrderError::Store(_)
                | OrderError::Write(_) => renewal::backoff(known.failures),
            };
            known.retry_at = now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
            known.problem = Some(err.to_string());
            known.limited = matches!(err, OrderError::RateLimited { .. } | OrderError::Capped { .. });
            wait.as_secs()
        };
        match left {
            Some(left_seconds) if left_seconds > 0 => tracing::warn!(
                name,
                problem = %err,
                left_seconds,
                retry_seconds,
                "a certificate could not be renewed; the one in use is good for a while"
            ),
            Some(_) => tracing::error!(name, problem = %err, retry_seconds, "a certificate has ended and could not be renewed"),
            None => tracing::error!(name, problem = %err, retry_seconds, "a certificate could not be had"),
        }
    }

    /// Orders a certificate, stores it and puts it to use; returns when it ends, in seconds since 1970.
    async fn order(&self, name: &str) -> Result<i64, OrderError> {
        let proofs = self.proofs();
        let first = self.proof.load(Ordering::Relaxed) % proofs.len();
        let mut last = None;
        for index in (first..proofs.len()).chain(0..first) {
            self.count_order().await?;
            let proof = proofs[index];
            let _dns = if proof == Proof::Dns { Some(self.dns_turn.lock().await) } else { None };
            let before = self.certificates.get(name);
            let replaceable = self.names().get(name).is_some_and(|known| known.replaceable);
            let replaces = before.as_ref().filter(|_| replaceable).and_then(|before| before.leaf());
            let replaces = replaces.and_then(|leaf| CertificateIdentifier::try_from(leaf).ok());
            match self.acme.order(name, proof, replaces).await {
                Ok(issued) => {
                    self.proof.store(index, Ordering::Relaxed);
                    let certificate = Certificate::from_chain(issued.chain.as_bytes(), issued.private_key());
                    let certificate = certificate.map_err(|err| OrderError::Unusable(err.to_string()))?;
                    if !certificate.names.iter().any(|own| own == name) {
                        return Err(OrderError::Unusable(format!("it is not for {name}")));
                    }
                    let not_after = certificate.not_after;
                    let row = tls::StoredCertificate {
                        name: name.to_owned(),
                        sealed_key: self.secrets.seal_tls_key(name, &issued.key),
                        chain: issued.chain,
                    };
                    let stored = self.db.write(move |tx| tls::put(tx, &row).map_err(OrderError::Store)).await;
                    // In use also when it could not be stored: then the next start orders another one.
                    self.put(name, certificate);
                    stored?;
                    return Ok(not_after / 1000);
                }
                // Another way to prove it may be open.
                Err(err @ (OrderError::NotSeen { .. } | OrderError::NoProof { .. })) => last = Some(err),
                Err(err) => return Err(err),
            }
        }
        Err(last.unwrap_or(OrderError::NoProof { name: name.to_owned() }))
    }

    fn proofs(&self) -> Vec<Proof> {
        if self.acme.dns.is_some() {
            return vec![Proof::Dns];
        }
        if self.config.tls.http_bind.is_empty() { vec![Proof::Tls] } else { vec![Proof::Http, Proof::Tls] }
    }

    /// Counts an order, or refuses it when there were too many of late. Counted in the database, so that a server that is
    /// started again and again does not use up what the authority gives.
    async fn count_order(&self) -> Result<(), OrderError> {
        let (now, acme) = (self.clock.millis(), &self.config.tls.acme);
        let limits = [
            (acme.orders_per_hour, HOUR_MILLIS, "an hour", "tls.orders_per_hour"),
            (acme.orders_per_week, WEEK_MILLIS, "a week", "tls.orders_per_week"),
        ];
        let counted = self.db.write(move |tx| {
            tls::forget_orders(tx, now - WEEK_MILLIS)?;
            for (limit, span_millis, span, setting) in limits {
                if let Some(oldest) = tls::nth_latest_order(tx, limit, now - span_millis)? {
                    return Err(OrderError::Capped { limit, span, setting, until: oldest + span_millis });
                }
            }
            Ok(tls::note_order(tx, now)?)
        });
        counted.await
    }

    /// Keeps certificates current until the server stops.
    pub(super) async fn keep_current(self: Arc<Self>) {
        loop {
            self.begin_due().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Does what is due, and waits until it is done.
    pub(crate) async fn turn(self: &Arc<Self>) {
        for mut running in self.begin_due().await {
            while running.changed().await.is_ok() {}
        }
    }

    async fn begin_due(self: &Arc<Self>) -> Vec<watch::Receiver<()>> {
        self.ask_when_to_renew().await;
        let now = self.clock.millis();
        let standing = self.standing_names();
        let missing = standing.iter().filter(|name| self.certificates.get(name).is_none());
        let mut begun: Vec<_> = missing.filter_map(|name| self.begin(name)).collect();
        let due: Vec<String> = {
            let mut names = self.names();
            // What has neither certificate nor order, and failed long ago, is nobody's any more.
            names.retain(|_, known| known.renew_at.is_some() || known.is_running() || now - known.retry_at < WEEK_MILLIS);
            let due = names.iter().filter(|(_, known)| known.renew_at.is_some_and(|at| at <= now));
            due.map(|(name, _)| name.clone()).collect()
        };
        for name in due {
            let wanted = standing.contains(&name)
                || match self.subject(&name).await {
                    Ok(subject) => subject.as_deref() == Some(&*name),
                    Err(_) => continue,
                };
            if wanted {
                begun.extend(self.begin(&name));
            } else {
                self.drop_when_ended(&name, now).await;
            }
        }
        begun
    }

    /// Forgets a certificate that is not renewed, when it has ended.
    async fn drop_when_ended(&self, name: &str, now: i64) {
        if self.certificates.get(name).is_some_and(|certificate| certificate.not_after > now) {
            return;
        }
        let row = name.to_owned();
        match self.db.write(move |tx| tls::delete(tx, &row).map_err(OrderError::Store)).await {
            Ok(()) => {
                self.certificates.remove(name);
                self.names().remove(name);
            }
            Err(err) => tracing::warn!(name, error = &err as &dyn std::error::Error, "an old certificate could not be deleted"),
        }
    }

    /// Asks the authority when it wants certificates renewed (ARI); without an answer it is at a third of their life.
    async fn ask_when_to_renew(&self) {
        let now = self.clock.millis();
        let due: Vec<String> = {
            let names = self.names();
            let due = names.iter().filter(|(_, known)| known.renew_at.is_some() && known.ask_at <= now && !known.is_running());
            due.map(|(name, _)| name.clone()).take(ASKED_AT_ONCE).collect()
        };
        for name in due {
            let Some(certificate) = self.certificates.get(&name) else { continue };
            let id = certificate.leaf().and_then(|leaf| CertificateIdentifier::try_from(leaf).ok());
            let window = match &id {
                Some(id) => self.acme.renewal_window(id).await,
                None => None,
            };
            let mut names = self.names();
            let Some(known) = names.get_mut(&name) else { continue };
            let again = window.map_or(ASK_AGAIN, |(_, _, again)| again.clamp(Duration::from_secs(60), ASK_AGAIN * 4));
            known.ask_at = now.saturating_add(i64::try_from(again.as_millis()).unwrap_or(i64::MAX));
            if let Some((start, end, _)) = window {
                let dice = u64::from_le_bytes(crate::random::bytes());
                known.renew_at = Some(renewal::within(start * 1000, end * 1000, certificate.not_after, dice));
                known.replaceable = true;
            }
        }
    }

    /// Lists names with their certificates and what is wrong.
    pub(super) fn status(&self) -> Vec<CertificateStatus> {
        let mut all: Vec<CertificateStatus> = self
            .names()
            .iter()
            .map(|(name, known)| CertificateStatus {
                name: name.clone(),
                not_after: None,
                problem: known.problem.clone(),
                retry_at: known.problem.is_some().then_some(known.retry_at),
                limited: known.problem.is_some() && known.limited,
            })
            .collect();
        for (name, certificate) in self.certificates.list() {
            if let Some(status) = all.iter_mut().find(|status| status.name == name) {
                status.not_after = Some(certificate.not_after);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

/// Tells all who wait that an order has ended.
struct Ended {
    orders: Arc<Orders>,
    end: Option<watch::Sender<()>>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.end.take());
        self.orders.ended.notify_waiters();
    }
}
