//! Spans on their way to a collector: OTLP over HTTP, protobuf, in batches, from a thread of its own.
//!
//! Promise: a worker never waits for a collector and never fails by one. What cannot be delivered is counted and lost: no
//! more than 2048 spans wait, a batch is given 5 s, and the end of the process 3 s.

mod exporter;
mod transport;

use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tokio::sync::oneshot;
use tokio::time::timeout;
use url::Url;

use crate::domain::cause::chain;
use crate::ops::metrics::SpanCounters;
use crate::ops::telemetry::exporter::{Bounded, MAX_WAITING, Tallied};
use crate::ops::telemetry::transport::Transport;
use crate::trace::Tracer;
use crate::worker::context::GatewayTrace;

/// Longest wait for a collector to take a batch, tries again included.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the last batches when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Between two batches.
const EXPORT_INTERVAL: Duration = Duration::from_secs(2);

/// Spans in a batch.
const BATCH: usize = 512;

/// Where spans go, and what is told of traces.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TelemetrySettings {
    /// Whoever collects spans; without, none are made.
    pub export: Option<Export>,
    /// What gateways are told.
    pub gateway_trace: GatewayTrace,
}

/// A collector, and what it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The whole address, `…/v1/traces`.
    pub endpoint: Url,
    /// `service.name`.
    pub service_name: String,
    /// Which traces are recorded.
    pub sampling: Sampling,
}

/// Which traces are recorded, by the names of `OTEL_TRACES_SAMPLER`
/// (OpenTelemetry, SDK environment variables, general configuration).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Whether the message's own trace decides, where it has one.
    pub parent: ParentSampling,
    /// The part of all others, from 0 to 1.
    pub ratio: f64,
}

/// Who decides on a trace that a message brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentSampling {
    /// Whoever began it.
    Decides,
    /// This process, as on all others.
    IsIgnored,
}

/// The way to a collector, while the process lives.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Opens the way, if there is a collector; nothing is sent yet. Must be called within the runtime.
    ///
    /// One that cannot be set up is told and left out.
    #[must_use]
    pub fn start(settings: &TelemetrySettings, instance: Option<&str>, spans: SpanCounters) -> Self {
        let Some(export) = &settings.export else { return Self { provider: None } };
        match provider(export, instance, spans) {
            Ok(provider) => Self { provider: Some(provider) },
            Err(error) => {
                tracing::error!(error = %chain(&error), "no spans are made: the way to the collector cannot be set up");
                Self { provider: None }
            }
        }
    }

    /// Returns what makes spans.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        self.provider.as_ref().map_or_else(Tracer::off, |provider| provider.tracer("takedown").into())
    }

    /// Sends what is left, within 3 s.
    pub async fn finish(self) {
        let Some(provider) = self.provider else { return };
        let (sender, done) = oneshot::channel();
        // A thread that nothing waits for: a blocking task would keep the runtime from ending.
        let flushing = thread::Builder::new().name("spans".to_owned()).spawn(move || {
            let flushed = provider.shutdown_with_timeout(FLUSH_TIMEOUT);
            sender.send(flushed).unwrap_or_default();
        });
        let flushed = match flushing {
            Ok(_) => {
                timeout(FLUSH_TIMEOUT + Duration::from_secs(1), done).await.is_ok_and(|done| matches!(done, Ok(Ok(()))))
            }
            Err(_) => false,
        };
        if !flushed {
            tracing::warn!("the last spans were not delivered to the collector");
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum TelemetryError {
    #[error("the HTTP client")]
    Client(#[from] reqwest::Error),
    #[error("the exporter")]
    Exporter(#[from] ExporterBuildError),
}

fn provider(export: &Export, instance: Option<&str>, spans: SpanCounters) -> Result<SdkTracerProvider, TelemetryError> {
    let Export { endpoint, service_name, sampling } = export;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Transport::new(endpoint, EXPORT_TIMEOUT)?)
        .with_endpoint(endpoint.as_str())
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let (tallied, bounds) = Tallied::new(exporter, spans);
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_WAITING)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(EXPORT_INTERVAL)
        .build();
    let processor = BatchSpanProcessor::builder(tallied).with_batch_config(batches).build();
    // `Resource::builder` reads OTEL_RESOURCE_ATTRIBUTES.
    let resource = Resource::builder()
        .with_service_name(service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(instance.map(|instance| KeyValue::new("service.instance.id", instance.to_owned())));
    let own = Sampler::TraceIdRatioBased(sampling.ratio);
    let builder = SdkTracerProvider::builder()
        .with_span_processor(Bounded::new(processor, bounds))
        .with_resource(resource.build());
    Ok(match sampling.parent {
        ParentSampling::Decides => builder.with_sampler(Sampler::ParentBased(Box::new(own))),
        ParentSampling::IsIgnored => builder.with_sampler(own),
    }
    .build())
}
