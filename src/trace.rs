//! Spans: what this process adds to the traces its messages belong to.
//!
//! The one file that makes spans; where they go is told by whoever builds the [`Tracer`]. Promise: a tracer that is off
//! costs a look at an `Option`, and one that is on never waits: a span that ends is handed to a bounded queue, or dropped.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, SpanId, TraceId, Value};
use opentelemetry_sdk::trace::SdkTracer;

use crate::domain::trace::TraceContext;

/// Makes spans, or none. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tracer(Option<SdkTracer>);

/// What a span stands for (OpenTelemetry, trace API, `SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work within this process.
    Internal,
    /// A call to somebody else, until the answer.
    Client,
    /// Work on a message that was received.
    Consumer,
    /// A message that is sent.
    Producer,
}

/// A span at work; dropped, it has ended. Of a tracer that is off it is nothing, and takes no room where it is kept.
#[derive(Default)]
pub struct Span(Option<Box<Recording>>);

struct Recording {
    tracer: SdkTracer,
    span: opentelemetry_sdk::trace::Span,
}

impl Tracer {
    /// Returns one that makes no spans.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Says whether spans are made.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a span: of the trace its message brings, else of a new one.
    #[must_use]
    pub fn begin(&self, name: impl FnOnce() -> String, kind: Kind, parent: Option<&TraceContext>) -> Span {
        self.begin_at(name, kind, parent, None)
    }

    /// Begins a span that began at a moment that has passed.
    #[must_use]
    pub fn begin_at(
        &self,
        name: impl FnOnce() -> String,
        kind: Kind,
        parent: Option<&TraceContext>,
        start: Option<SystemTime>,
    ) -> Span {
        let Some(tracer) = &self.0 else { return Span(None) };
        let parent = match parent {
            Some(parent) => Context::new().with_remote_span_context(remote(parent)),
            None => Context::new(),
        };
        Span::build(tracer, name().into(), kind, &parent, start)
    }
}

impl From<SdkTracer> for Tracer {
    fn from(tracer: SdkTracer) -> Self {
        Self(Some(tracer))
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "Tracer(on)" } else { "Tracer(off)" })
    }
}

impl Span {
    /// Begins a part of this one.
    #[must_use]
    pub fn part(&self, name: &'static str, kind: Kind) -> Self {
        self.part_at(name, kind, None)
    }

    /// Begins a part of this one that began at a moment that has passed.
    #[must_use]
    pub fn part_at(&self, name: &'static str, kind: Kind, start: Option<SystemTime>) -> Self {
        let Some(Recording { tracer, span }) = self.0.as_deref() else { return Self(None) };
        // Not remote: the parent is of this process.
        let parent = Context::new().with_remote_span_context(span.span_context().clone());
        Self::build(tracer, name.into(), kind, &parent, start)
    }

    /// Notes a fact. No secret, no text of a gateway beyond its code.
    pub fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(Recording { span, .. }) = self.0.as_deref_mut() {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Marks it as failed, by one of our own words.
    pub fn fail(&mut self, word: &'static str) {
        if let Some(Recording { span, .. }) = self.0.as_deref_mut() {
            span.set_status(Status::error(word));
        }
    }

    /// Returns what a message or call that comes of it carries; `None` where spans are off.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        let Recording { span, .. } = self.0.as_deref()?;
        let context = span.span_context();
        let state = context.trace_state().header();
        let (trace, span) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
        TraceContext::new(trace, span, context.trace_flags().to_u8(), Some(&state))
    }

    fn build(
        tracer: &SdkTracer,
        name: std::borrow::Cow<'static, str>,
        kind: Kind,
        parent: &Context,
        start: Option<SystemTime>,
    ) -> Self {
        let mut builder = SpanBuilder::from_name(name).with_kind(match kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Client => SpanKind::Client,
            Kind::Consumer => SpanKind::Consumer,
            Kind::Producer => SpanKind::Producer,
        });
        if let Some(start) = start {
            builder = builder.with_start_time(start);
        }
        let span = tracer.build_with_context(builder, parent);
        Self(Some(Box::new(Recording { tracer: tracer.clone(), span })))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.context()).finish()
    }
}

fn remote(context: &TraceContext) -> SpanContext {
    let TraceContext { trace_id, span_id, flags, state } = context;
    let state = state.as_deref().and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    SpanContext::new(
        TraceId::from_bytes(*trace_id),
        SpanId::from_bytes(*span_id),
        TraceFlags::new(*flags & 1),
        true,
        state,
    )
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn tracer(sampler: Sampler) -> Tracer {
        SdkTracerProvider::builder().with_sampler(sampler).build().tracer("test").into()
    }

    #[test]
    fn a_span_goes_on_with_the_trace_it_is_given_and_begins_one_without() {
        let parent = TraceContext::read(PARENT, Some("vendor=x"));
        let tracer = tracer(Sampler::AlwaysOn);
        let span = tracer.begin(|| "work".to_owned(), Kind::Consumer, parent.as_ref());
        let (parent, own, part) = (parent.unwrap(), span.context().unwrap(), span.part("part", Kind::Client));
        assert_eq!((own.trace_id, &own.state), (parent.trace_id, &parent.state));
        assert_ne!(own.span_id, parent.span_id);
        let part = part.context().unwrap();
        assert_eq!((part.trace_id, part.is_sampled()), (own.trace_id, true));
        assert_ne!(part.span_id, own.span_id);
        let fresh = tracer.begin(|| "work".to_owned(), Kind::Producer, None).context().unwrap();
        assert_ne!(fresh.trace_id, own.trace_id);
    }

    #[test]
    fn a_trace_that_is_not_recorded_goes_on_and_says_so() {
        let parent = TraceContext::read(PARENT, Some("vendor=x")).unwrap();
        let span = tracer(Sampler::AlwaysOff).begin(|| "work".to_owned(), Kind::Consumer, Some(&parent));
        let context = span.context().unwrap();
        assert_eq!((context.trace_id, context.is_sampled(), context.state), (parent.trace_id, false, parent.state));
    }

    #[test]
    fn a_tracer_that_is_off_makes_nothing() {
        let tracer = Tracer::off();
        let mut span = tracer.begin(|| unreachable!("no name is needed"), Kind::Consumer, None);
        span.note("key", "value");
        span.fail("word");
        assert_eq!(span.context(), None);
        assert_eq!(span.part("part", Kind::Client).context(), None);
    }
}
