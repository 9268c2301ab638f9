//! `/metrics`: everything that is counted, in the text format of OpenMetrics, which Prometheus reads.
//!
//! Names follow <https://prometheus.io/docs/practices/naming/>: `relay_` in front, base units (seconds, bytes), `_total` for
//! counters, `_timestamp_seconds` for moments. docs/OBSERVE.md lists them; a test keeps the list complete.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use common::Clock as _;
use http::header::CONTENT_TYPE;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::latency::{BOUNDS, Counted};
use super::process;
use crate::auth::Admin;
use crate::backup::{Backups, Status};
use crate::error::XrpcError;
use crate::state::AppState;
use crate::status::milestone::Outcome;
use crate::status::{DiskStatus, disk_status, milestones};
use crate::store::account;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/metrics` at the server's own address: for the operator.
pub(crate) async fn handler(State(app): State<AppState>, _: Admin) -> Result<Response, XrpcError> {
    answer(&app).await
}

/// Serves `/metrics` to whoever reaches `address`.
pub(crate) async fn serve(app: AppState, listener: TcpListener, address: SocketAddr) {
    let stop = app.stop.clone();
    let routes = Router::new().route("/metrics", get(async |State(app): State<AppState>| answer(&app).await)).with_state(app);
    if let Err(err) = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::warn!(error = &err as &dyn std::error::Error, %address, "the metrics are no longer served");
    }
}

async fn answer(app: &AppState) -> Result<Response, XrpcError> {
    let text = encode(app).await?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

/// Writes all metrics.
pub(crate) async fn encode(app: &AppState) -> Result<String, XrpcError> {
    let accounts = app.db.scan(account::count_by_status).await.map_err(XrpcError::from)?;
    let milestones = milestones(app).await?;
    let scrape = Scrape { app: app.clone(), accounts, disk: disk_status(app), milestones };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).map_err(XrpcError::internal)?;
    Ok(text)
}

/// All figures at one moment.
#[derive(Debug)]
struct Scrape {
    app: AppState,
    accounts: Vec<(account::Status, u64)>,
    disk: DiskStatus,
    milestones: BTreeMap<String, Outcome>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.server(&mut out)?;
        self.requests(&mut out)?;
        self.store(&mut out)?;
        self.firehose(&mut out)?;
        self.background(&mut out)?;
        process_metrics(&mut out)
    }
}

impl Scrape {
    fn server(&self, out: &mut Out<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
        out.gauges("relay_build_info", "The version, as a label", [(version, 1.0)])?;
        let accounts = self
            .accounts
            .iter()
            .map(|(status, count)| ([("status", status.as_str().unwrap_or("active").to_owned())], *count as f64));
        out.gauges("relay_accounts", "Accounts by status", accounts)
    }

    fn requests(&self, out: &mut Out<'_>) -> fmt::Result {
        let telemetry = &self.app.telemetry;
        let routes = telemetry.requests.asked();
        let counts = routes.iter().flat_map(|(route, requests)| {
            let label = move |status: u16| [("route", (*route).to_owned()), ("status", status.to_string())];
            requests.statuses().into_iter().map(move |(status, count)| (label(status), count))
        });
        out.counters("relay_http_requests", "Requests by route and status of the answer", counts)?;
        let latencies = routes.iter().map(|(route, requests)| ([("route", (*route).to_owned())], requests.latency.counted()));
        out.histograms("relay_http_request_duration_seconds", "Time until the head of the answer", latencies)?;
        out.counter("relay_handler_panics", "Handlers that panicked: faults of the program", telemetry.panics.load(Relaxed))
    }

    fn store(&self, out: &mut Out<'_>) -> fmt::Result {
        let stats = self.app.db.stats();
        let transactions = stats.transactions.counted();
        out.histograms("relay_write_transaction_duration_seconds", "Transactions of the database", [(NONE, transactions)])?;
        out.counter("relay_write_jobs", "Writes that were in them", stats.jobs.load(Relaxed))?;
        out.counter("relay_write_transaction_failures", "Transactions that failed", stats.failures.load(Relaxed))?;
        out.counter("relay_writes_refused", "Writes refused because too many waited", stats.refused.load(Relaxed))?;
        let (waiting, places) = self.app.db.write_queue();
        out.gauge("relay_write_queue_length", "Writes that wait", Some(waiting as f64))?;
        out.gauge("relay_write_queue_capacity", "Writes that may wait", Some(places as f64))?;
        out.gauge("relay_database_size_bytes", "Size of the database file", Some(self.disk.database_bytes as f64))?;
        out.gauge("relay_database_log_size_bytes", "Size of the write-ahead log", Some(self.disk.log_bytes as f64))?;
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        out.gauge("relay_disk_free_bytes", "Room on the disk of data.dir", bytes(self.disk.free_bytes))?;
        out.gauge("relay_disk_size_bytes", "Size of the disk of data.dir", bytes(self.disk.total_bytes))
    }

    fn firehose(&self, out: &mut Out<'_>) -> fmt::Result {
        let stats = self.app.db.stats();
        out.counter("relay_firehose_events", "Events that became durable", stats.events.load(Relaxed))?;
        out.counter("relay_firehose_event_bytes", "Bytes of their frames", stats.event_bytes.load(Relaxed))?;
        out.gauge("relay_firehose_seq", "The seq of the newest event", Some(self.app.firehose.latest_seq() as f64))?;
        out.gauge("relay_firehose_subscribers", "Subscribers", Some(self.app.firehose.subscribers() as f64))?;
        let told = self.app.crawlers.all();
        let at = told.iter().filter_map(|(host, told)| Some(([("crawler", host.clone())], seconds(told.told_at?))));
        out.gauges("relay_crawler_told_timestamp_seconds", "When a crawler was last told of this server", at)?;
        let failures = told.iter().map(|(host, told)| ([("crawler", host.clone())], f64::from(told.failures)));
        out.gauges("relay_crawler_failures_in_a_row", "Failed attempts to tell a crawler since", failures)
    }

    fn background(&self, out: &mut Out<'_>) -> fmt::Result {
        let tasks = self.app.tasks.all();
        let label = |name: &str| [("task", name.to_owned())];
        let counts = |outcome: &'static str, count: u64, name: &str| {
            ([("task", name.to_owned()), ("outcome", outcome.to_owned())], count)
        };
        let turns = tasks.iter().flat_map(|(name, task)| {
            [
                counts("success", task.successes, name),
                counts("failure", task.failures - task.panics, name),
                counts("panic", task.panics, name),
            ]
        });
        out.counters("relay_task_turns", "Turns of background tasks by outcome", turns)?;
        let at = tasks.iter().filter_map(|(name, task)| Some((label(name), seconds(task.last_success_at?))));
        out.gauges("relay_task_last_success_timestamp_seconds", "When a background task last succeeded", at)?;
        let periods = tasks.iter().filter_map(|(name, task)| Some((label(name), task.period_seconds? as f64)));
        out.gauges("relay_task_period_seconds", "How often a background task has its turn", periods)?;
        let label = |name: &str| [("what", name.to_owned())];
        let milestones = || self.milestones.iter();
        let at = milestones().map(|(name, outcome)| (label(name), seconds(outcome.at)));
        out.gauges("relay_safety_last_run_timestamp_seconds", "When backup, drill and verification were last tried", at)?;
        let at = milestones().filter_map(|(name, outcome)| Some((label(name), seconds(outcome.last_success_at?))));
        out.gauges("relay_safety_last_success_timestamp_seconds", "When backup, drill and verification last succeeded", at)?;
        self.places(out)?;
        let problems = self.app.notices.problems();
        let problems = problems.into_iter().map(|problem| ([("topic", problem.topic)], 1.0));
        out.gauges("relay_problem", "What is not well, by the topic of its notice", problems)?;
        let clock = seconds(self.app.clock.millis());
        out.gauge("relay_clock_timestamp_seconds", "The server's clock", Some(clock))?;
        out.gauge("process_start_time_seconds", "When the server started", Some(seconds(self.app.telemetry.started_millis)))
    }
}

impl Scrape {
    /// The backups, by place.
    fn places(&self, out: &mut Out<'_>) -> fmt::Result {
        let places: Vec<_> = self.app.backups.iter().map(Backups::status).collect();
        let moments = |moment: fn(&Status) -> Option<i64>| {
            places.iter().filter_map(move |status| Some(([("place", status.place.clone())], seconds(moment(status)?))))
        };
        let at = moments(|status| status.last_backup.as_ref().map(|backup| backup.ended_at));
        out.gauges("relay_backup_last_timestamp_seconds", "When the last backup ended, by place", at)?;
        let at = moments(|status| status.verified_at);
        out.gauges("relay_backup_verified_timestamp_seconds", "When a restored copy was last found good, by place", at)?;
        let at = moments(|status| status.shipping.through);
        out.gauges("relay_backup_shipped_timestamp_seconds", "Through when all changes were sent, by place", at)?;
        let waiting = places.iter().map(|status| ([("place", status.place.clone())], status.shipping.waiting_bytes as f64));
        out.gauges("relay_backup_waiting_bytes", "Changes that wait to be sent, by place", waiting)
    }
}

fn process_metrics(out: &mut Out<'_>) -> fmt::Result {
    let process = process::read();
    let float = |value: Option<u64>| value.map(|value| value as f64);
    out.gauge("process_resident_memory_bytes", "Resident memory", float(process.resident_bytes))?;
    out.gauge("process_virtual_memory_bytes", "Virtual memory", float(process.virtual_bytes))?;
    out.gauge("process_threads", "Threads", float(process.threads))?;
    out.gauge("process_open_fds", "Open file descriptors", float(process.open_fds))?;
    out.gauge("process_max_fds", "File descriptors that may be open", float(process.max_fds))?;
    out.float_counter("process_cpu_seconds", "Processor time", process.cpu_seconds)
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

const NONE: [(&str, String); 0] = [];

/// Where metrics are written. A family without members is left out.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    fn float_counter(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        ConstCounter::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Counter)?)
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, String); N], f64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.family(name, help, MetricType::Gauge, values)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, help, MetricType::Counter, values)
    }

    fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, String); N], Counted)>,
    ) -> fmt::Result {
        let values = values.into_iter().map(|(labels, counted)| (labels, Histogram(counted)));
        self.family(name, help, MetricType::Histogram, values)
    }

    fn family<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        members: impl IntoIterator<Item = ([(&'static str, String); N], impl EncodeMetric)>,
    ) -> fmt::Result {
        // By labels, so that each stands once and in order.
        let members: BTreeMap<_, _> = members.into_iter().collect();
        if members.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, metric) in &members {
            if N == 0 {
                return metric.encode(family);
            }
            metric.encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

/// A histogram at one moment.
struct Histogram(Counted);

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.0.buckets).collect();
        encoder.encode_histogram::<NoLabelSet>(self.0.sum_micros as f64 / 1e6, self.0.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
