//! The bound on what waits, and the count of what arrives and what is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use crate::ops::metrics::SpanCounters;

/// Most spans that wait or are being sent; a span is about a kilobyte.
pub(super) const MAX_WAITING: usize = 2048;

/// What the bound and the exporter share.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    waiting: Arc<AtomicUsize>,
    spans: SpanCounters,
}

/// Lets no more spans wait than [`MAX_WAITING`], and counts the others.
///
/// The batch processor would drop them too, without telling how many.
#[derive(Debug)]
pub(super) struct Bounded {
    batches: BatchSpanProcessor,
    bounds: Bounds,
}

impl Bounded {
    pub(super) fn new(batches: BatchSpanProcessor, bounds: Bounds) -> Self {
        Self { batches, bounds }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let Bounds { waiting, spans } = &self.bounds;
        if waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING {
            self.batches.on_end(span);
        } else {
            waiting.fetch_sub(1, Ordering::Relaxed);
            spans.lost(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends batches, and tells once when the collector stops or begins to take them.
#[derive(Debug)]
pub(super) struct Tallied {
    inner: OtlpExporter,
    bounds: Bounds,
    is_failing: AtomicBool,
}

impl Tallied {
    pub(super) fn new(inner: OtlpExporter, spans: SpanCounters) -> (Self, Bounds) {
        let bounds = Bounds { waiting: Arc::default(), spans };
        (Self { inner, bounds: bounds.clone(), is_failing: AtomicBool::new(false) }, bounds)
    }
}

impl SpanExporter for Tallied {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.inner.export(batch).await;
        self.bounds.waiting.fetch_sub(count, Ordering::Relaxed);
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Ok(()) => {
                self.bounds.spans.exported(count);
                if was_failing {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.bounds.spans.lost(count);
                if !was_failing {
                    tracing::warn!(%error, "the collector takes no spans; the work goes on, its spans are lost");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
