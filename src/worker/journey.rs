//! The spans of one delivery: received, waiting for its turn, the gateway's call, the settlement.
//!
//! All of them are parts of one span, which is a part of the trace the message came with; so every attempt of an item hangs
//! on the same place, and its outcome on the settlement that told it. A message without a trace begins one, and keeps it.
//! Promise: ids, words of ours and a gateway's codes are told, and nothing of a request, an answer's text or a secret.

use crate::domain::reply::Reply;
use crate::domain::settlement::Settlement;
use crate::domain::trace::TraceContext;
use crate::gateway::GatewayAccount;
use crate::queue::Delivery;
use crate::queue::envelope::Envelope;
use crate::trace::{Kind, Span};
use crate::worker::context::{Context, GatewayTrace};

/// Characters of a gateway's code that are told.
const MAX_CODE: usize = 64;

/// A delivery on its way through a worker.
pub(super) struct Journey {
    span: Span,
    /// The trace that goes on, where this worker makes no spans of its own.
    brought: Option<TraceContext>,
    gateway_trace: GatewayTrace,
}

impl Journey {
    /// Begins when the message came into this process, which may be a while ago: it waits there for a place.
    pub(super) fn begin(context: &Context, delivery: &mut Delivery) -> Self {
        let Context { tracer, gateway_trace, worker, .. } = context;
        let received = tracer.is_on().then(|| delivery.received_at());
        let Envelope { account, trace, attempt, deferrals, .. } = &mut *delivery.envelope;
        let mut span = tracer.begin_at(|| format!("process {account}"), Kind::Consumer, trace.as_ref(), received);
        if tracer.is_on() {
            drop(span.part_at("receive", Kind::Internal, received));
            span.note("messaging.operation.type", "process");
            span.note("takedown.account", account.to_string());
            span.note("takedown.attempt", i64::from(*attempt));
            span.note("takedown.deferrals", i64::from(*deferrals));
            span.note("takedown.worker", worker.to_string());
        }
        if trace.is_none() {
            *trace = span.context();
        }
        Self { span, brought: trace.clone(), gateway_trace: *gateway_trace }
    }

    /// Returns what log lines of the delivery are told with.
    pub(super) fn lines(&self, envelope: &Envelope) -> tracing::Span {
        match self.span.context().as_ref().or(envelope.trace.as_ref()) {
            Some(trace) => tracing::error_span!(
                "delivery",
                trace_id = %trace.trace_id_text(),
                span_id = %trace.span_id_text()
            ),
            None => tracing::Span::none(),
        }
    }

    /// Begins a part without a kind of its own.
    pub(super) fn part(&self, name: &'static str) -> Span {
        self.span.part(name, Kind::Internal)
    }

    /// Begins the call. Its address has neither query nor user (`Endpoint`'s rule).
    pub(super) fn call(&self, gateway: &GatewayAccount) -> Span {
        let mut span = self.span.part("call gateway", Kind::Client);
        if self.span.context().is_some() {
            let url = gateway.endpoint().url();
            span.note("takedown.gateway", gateway.gateway().as_str());
            span.note("server.address", url.host_str().unwrap_or_default().to_owned());
            span.note("server.port", i64::from(url.port_or_known_default().unwrap_or_default()));
        }
        span
    }

    /// Returns what the gateway is told.
    pub(super) fn told_to_gateway(&self, call: &Span) -> Option<TraceContext> {
        match self.gateway_trace {
            GatewayTrace::Told => call.context().or_else(|| self.brought.clone()),
            GatewayTrace::Kept => None,
        }
    }

    /// Begins the settlement, and notes on the whole what the delivery came to.
    pub(super) fn settle(&mut self, id: &str, delivery: &Delivery, settlement: &Settlement) -> Span {
        let mut span = self.span.part("settle", Kind::Producer);
        if self.span.context().is_none() {
            return span;
        }
        self.span.note("takedown.id", id.to_owned());
        self.span.note("takedown.redelivered", delivery.envelope.delivery_count > 0);
        let (word, reason) = match settlement {
            Settlement::Complete(outcome) => ("complete", Some(outcome.reason.as_str())),
            Settlement::DeadLetter(outcome) => ("dead_letter", Some(outcome.reason.as_str())),
            Settlement::Retry { .. } => ("retry", None),
            Settlement::Defer { reason, .. } => ("defer", Some(reason.as_str())),
            Settlement::GiveBack => ("give_back", None),
        };
        for span in [&mut self.span, &mut span] {
            span.note("takedown.settlement", word);
            if let Some(reason) = reason {
                span.note("takedown.reason", reason);
            }
        }
        if let Settlement::Complete(outcome) | Settlement::DeadLetter(outcome) = settlement {
            self.span.note("takedown.status", outcome.status().as_str());
            if let Some(batch) = &outcome.batch {
                self.span.note("takedown.batch", batch.clone());
            }
        }
        if let Settlement::DeadLetter(_) = settlement {
            self.span.fail("dead letter");
        }
        span
    }
}

/// Notes how a call ended.
pub(super) fn note_reply(span: &mut Span, reply: &Reply, outcome: &'static str, verdict: &'static str) {
    span.note("takedown.outcome", outcome);
    span.note("takedown.verdict", verdict);
    if let Some(code) = reply.code() {
        let code: String = code.chars().filter(char::is_ascii_graphic).take(MAX_CODE).collect();
        span.note("takedown.code", code);
    }
    match reply {
        Reply::Answered(_) => {}
        Reply::NotSent(_) | Reply::MaybeSent(_) | Reply::NotEncodable { .. } | Reply::NoToken { .. } => {
            span.fail(verdict)
        }
    }
}
