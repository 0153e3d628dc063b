//! The trace a message belongs to, in the two headers W3C Trace Context names.

use lapin::types::FieldTable;

use crate::domain::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use crate::queue::amqp::message::{short, string, text};

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
