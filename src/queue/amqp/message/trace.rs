//! The trace a message belongs to, in the two headers W3C Trace Context names.

use lapin::BasicProperties;
use lapin::types::FieldTable;

use crate::domain::outcome::FinalOutcome;
use crate::domain::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use crate::queue::amqp::message::{outcome, short, string, text};

/// Says whether a header tells a trace.
pub(super) fn is_header(key: &str) -> bool {
    [TRACEPARENT, TRACESTATE].contains(&key)
}

/// Reads the trace a producer put a message in.
pub(super) fn read(headers: &FieldTable) -> Option<TraceContext> {
    TraceContext::read(&string(headers, TRACEPARENT)?, string(headers, TRACESTATE).as_deref())
}

/// Writes a trace, if there is one.
pub(super) fn write(headers: &mut FieldTable, trace: Option<&TraceContext>) {
    let Some(trace) = trace else { return };
    headers.insert(short(TRACEPARENT), text(&trace.to_string()));
    if let Some(state) = &trace.state {
        headers.insert(short(TRACESTATE), text(state));
    }
}

/// Returns the properties of an outcome that is told, and with it the trace it came of.
pub(in crate::queue::amqp) fn told(told: &FinalOutcome, trace: Option<&TraceContext>) -> BasicProperties {
    let properties = outcome(told);
    if trace.is_none() {
        return properties;
    }
    let mut headers = FieldTable::default();
    write(&mut headers, trace);
    properties.with_headers(headers)
}
