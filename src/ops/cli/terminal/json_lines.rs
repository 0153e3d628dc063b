//! Log lines as JSON: one object a line, an event's fields beside its message, and of a delivery with a trace its
//! `trace_id` and `span_id` there too, where whoever collects lines looks for them
//! (OpenTelemetry, "trace context in non-OTLP log formats").

use std::fmt;

use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The format.
pub(super) struct JsonLines(Format<Json>);

impl JsonLines {
    pub(super) fn new() -> Self {
        Self(Format::default().json().flatten_event(true).with_current_span(false).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some((trace, span)) = trace(context) else { return self.0.format_event(context, writer, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let object = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        writeln!(writer, "{object},\"trace_id\":{trace},\"span_id\":{span}}}")
    }
}

/// Finds the ids noted on the nearest span that has them.
fn trace<S, N>(context: &FmtContext<'_, S, N>) -> Option<(Value, Value)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    context.event_scope()?.find_map(|span| {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>()?;
        let fields: Value = serde_json::from_str(fields).ok()?;
        Some((fields.get("trace_id")?.clone(), fields.get("span_id")?.clone()))
    })
}
