//! Traces for a collector of OpenTelemetry, by OTLP over HTTP.
//!
//! They go through the server's own HTTP client, by one task, from a queue that has a bound: a collector that is slow or away costs
//! traces and a line in the log, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanProcessor};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::spans;
use crate::config::Config;
use crate::identity::fetch::FetchError;
use crate::identity::http::{ClientError, HttpClient};

/// Spans that wait to be sent; some 2 MB at most.
const QUEUE: usize = 4096;
/// Spans of one request to the collector.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long a request to the collector may take, and all that are left when the server stops.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the collector's answer.
const MAX_ANSWER: usize = 64 << 10;

/// The traces of a running server.
#[derive(Debug)]
pub(crate) struct Traces {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Traces {
    /// Sends what is left, as far as the collector takes it in time.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(PATIENCE, self.task).await.is_err() {
            tracing::warn!("the last traces were not sent: the collector does not answer");
        }
    }
}

/// Returns the layer that makes traces and what sends them, if the configuration names a collector.
pub(crate) fn start<S>(config: &Config) -> Result<Option<(impl Layer<S> + use<S>, Traces)>, ClientError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let settings = &config.telemetry;
    let Some(url) = settings.traces_url.clone() else { return Ok(None) };
    let client = HttpClient::for_operator(config.network.roots(), PATIENCE)?;
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))]);
    for (name, value) in &settings.headers {
        let mut value = HeaderValue::from_str(value.expose()).expect("headers were checked when they were read");
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let resource = Resource::builder_empty().with_service_name(settings.service_name.clone()).with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", config.server.public_url.host().to_owned()),
    ]);
    let resource = resource.build();
    let (sender, queue) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let stop = CancellationToken::new();
    let collector = Collector { client, url, headers, resource: (&resource).into(), lost: Arc::clone(&lost), is_away: false };
    let task = tokio::spawn(collector.send_all(queue, stop.clone()));
    // All spans of a trace have its id, so that all are taken or none; that of a stranger is taken no more often than others.
    let sampler = Sampler::TraceIdRatioBased(f64::from(settings.sample_percent) / 100.0);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Queue { sender, lost })
        .with_sampler(sampler)
        .with_resource(resource)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("relay"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(spans::TARGET, Level::TRACE));
    Ok(Some((layer, Traces { task, stop })))
}

/// Makes `span` part of the trace that a caller names, if it names one.
pub(super) fn follow(span: &Span, headers: &HeaderMap) {
    if headers.contains_key(TraceParent::NAME) {
        let caller = TraceContextPropagator::new().extract_with_context(&Context::new(), &TraceParent(headers));
        // There is no layer for it when a second start in one process keeps the first log.
        let _ = span.set_parent(caller);
    }
}

/// The one header that is believed.
struct TraceParent<'a>(&'a HeaderMap);

impl TraceParent<'_> {
    const NAME: &'static str = "traceparent";
}

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == Self::NAME { self.0.get(key)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![Self::NAME]
    }
}

/// Takes spans that ended.
#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<SpanData>,
    lost: Arc<AtomicU64>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.sender.try_send(span).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Why the collector did not take a batch.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("it answered {0}")]
    Refused(StatusCode),
}

/// What traces are sent to.
#[derive(Debug)]
struct Collector {
    client: HttpClient,
    url: Url,
    headers: HeaderMap,
    resource: ResourceAttributesWithSchema,
    lost: Arc<AtomicU64>,
    is_away: bool,
}

impl Collector {
    /// Sends batches until `stop`, and then what is left.
    async fn send_all(mut self, mut queue: mpsc::Receiver<SpanData>, stop: CancellationToken) {
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            tokio::select! {
                _ = queue.recv_many(&mut batch, BATCH) => {}
                () = stop.cancelled(), if !queue.is_closed() => queue.close(),
            }
            let full = async {
                while let room @ 1.. = BATCH - batch.len() {
                    if queue.recv_many(&mut batch, room).await == 0 {
                        break;
                    }
                }
            };
            tokio::select! {
                () = full => {}
                () = tokio::time::sleep(DELAY) => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
            if !batch.is_empty() {
                self.send(batch).await;
            } else if queue.is_closed() {
                break;
            }
        }
        let lost = self.lost.load(Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "spans of traces were lost: the collector was away or too slow");
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        match self.post(batch).await {
            Ok(()) if self.is_away => {
                self.is_away = false;
                tracing::info!(lost = self.lost.swap(0, Relaxed), "the collector takes traces again");
            }
            Ok(()) => {}
            Err(err) => {
                self.lost.fetch_add(count, Relaxed);
                if !self.is_away {
                    self.is_away = true;
                    let error = &err as &dyn std::error::Error;
                    tracing::warn!(error, "the collector takes no traces; they are dropped until it does");
                }
            }
        }
    }

    async fn post(&self, batch: Vec<SpanData>) -> Result<(), SendError> {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let request = self.client.request(Method::POST, &self.url)?.headers(self.headers.clone()).body(body);
        let reply = self.client.exchange(request, MAX_ANSWER).await?;
        if reply.status.is_success() { Ok(()) } else { Err(SendError::Refused(reply.status)) }
    }
}
