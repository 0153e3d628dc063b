//! A trace from the message's headers to the gateway's call and the outcome, and its spans at a collector.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::Span;
use takedown::domain::hex::hex;
use takedown::ops::metrics::files::TABLE;
use takedown::sandbox::faults::{Effect, Fault};

use super::collector::{Collector, Manners, attribute};
use super::stage::{Stage, series};
use crate::support::command::{end, http};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const STATE: &str = "vendor=of-the-producer";

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

/// The spans of a trace, by name.
fn by_name(spans: &[Span], trace: &str) -> BTreeMap<String, Vec<Span>> {
    let mut named: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in spans.iter().filter(|span| hex(&span.trace_id) == trace) {
        named.entry(span.name.clone()).or_default().push(span.clone());
    }
    named
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_message_with_a_trace_is_followed_to_its_gateway_and_its_outcome() {
    let (stage, collector) = (Stage::start().await, Collector::start(Manners::Obliging));
    stage.play([Fault::SystemError(Effect::NotTaken)]);
    let token = stage.setup.merchants[0].1.expose().to_owned();
    let more = format!(r#","app_auth_token":"{token}""#);
    let (worker, _) = stage.worker(&[
        ("TAKEDOWN_TELEMETRY__ENDPOINT", &collector.endpoint()),
        ("OTEL_SERVICE_NAME", "night-shift"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
    ]);
    stage.publish("c1", &more, &[("traceparent", &traceparent()), ("tracestate", STATE)]).await;
    let outcome = stage.take("results.all").await;
    assert_eq!(outcome.body["reason"], "taken_down", "{}", outcome.body);

    let spans = collector.wait("second settlement", |spans| {
        let named = by_name(spans, TRACE);
        (named.get("settle")?.len() == 2 && named.get("process shops")?.len() == 2).then_some(named)
    });
    let names: Vec<_> = spans.keys().map(String::as_str).collect();
    assert_eq!(names, ["call gateway", "process shops", "receive", "settle", "wait for turn"]);
    // Both attempts hang on the producer's span; every part of one hangs on it.
    for process in &spans["process shops"] {
        assert_eq!(hex(&process.parent_span_id), PARENT);
        for part in ["receive", "wait for turn", "call gateway", "settle"] {
            let own: Vec<_> = spans[part].iter().filter(|span| span.parent_span_id == process.span_id).collect();
            assert_eq!(own.len(), 1, "{part}");
            assert!(own[0].start_time_unix_nano >= process.start_time_unix_nano);
            assert!(own[0].end_time_unix_nano <= process.end_time_unix_nano);
        }
    }
    let told = |span: &Span, key: &str| attribute(&span.attributes, key);
    let settled: Vec<_> =
        spans["process shops"].iter().map(|span| told(span, "takedown.settlement").unwrap()).collect();
    assert!(settled.contains(&"retry".to_owned()) && settled.contains(&"complete".to_owned()), "{settled:?}");
    let last = spans["process shops"].iter().find(|span| told(span, "takedown.status").is_some()).unwrap();
    assert_eq!(told(last, "takedown.id").as_deref(), Some("c1"));
    assert_eq!(told(last, "takedown.attempt").as_deref(), Some("2"));

    // Each call told its own span, the outcome the settlement that told it.
    let mut called: Vec<_> = stage.sandbox.seen().into_iter().map(|seen| seen.traceparent.unwrap()).collect();
    let mut calls: Vec<_> =
        spans["call gateway"].iter().map(|span| format!("00-{TRACE}-{}-01", hex(&span.span_id))).collect();
    called.sort();
    calls.sort();
    assert_eq!(called, calls);
    let settle = spans["settle"].iter().find(|span| span.parent_span_id == last.span_id).unwrap();
    assert_eq!(outcome.header("traceparent"), Some(format!("00-{TRACE}-{}-01", hex(&settle.span_id))));
    assert_eq!(outcome.header("tracestate").as_deref(), Some(STATE));

    let resource = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    let of_process = |key: &str| attribute(&resource.attributes, key);
    assert_eq!(of_process("service.name").as_deref(), Some("night-shift"));
    assert_eq!(of_process("service.instance.id").as_deref(), Some("w1"));
    assert_eq!(of_process("deployment.environment").as_deref(), Some("test"));
    assert!(collector.request_lines().iter().all(|line| line == "POST /v1/traces HTTP/1.1"));
    let bytes = collector.bytes();
    for secret in [token.as_str(), "app_auth_token", "biz_content", "sign="] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    worker.signal("TERM");
    assert_eq!(worker.wait().0.code(), Some(0));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn without_a_collector_a_trace_is_passed_on_as_it_came() {
    let stage = Stage::start().await;
    let (worker, _) = stage.worker(&[]);
    stage.publish("c1", "", &[("traceparent", &traceparent()), ("tracestate", STATE)]).await;
    let outcome = stage.take("results.all").await;
    assert_eq!(outcome.header("traceparent"), Some(traceparent()));
    assert_eq!(outcome.header("tracestate").as_deref(), Some(STATE));
    assert_eq!(stage.sandbox.seen()[0].traceparent, Some(traceparent()));

    for (id, broken) in
        [("c2", "00-zero-zero-01"), ("c3", ""), ("c4", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    {
        stage.publish(id, "", &[("traceparent", broken), ("tracestate", STATE)]).await;
        let outcome = stage.take("results.all").await;
        assert_eq!((outcome.body["id"].as_str(), outcome.body["reason"].as_str()), (Some(id), Some("taken_down")));
        assert_eq!((outcome.header("traceparent"), outcome.header("tracestate")), (None, None), "{broken}");
        assert_eq!(stage.sandbox.seen().last().unwrap().traceparent, None);
    }
    worker.signal("TERM");
    assert_eq!(worker.wait().0.code(), Some(0));

    // A dead letter keeps it; a gateway that is not to be told is not.
    let (worker, _) = stage.worker(&[("TAKEDOWN_TELEMETRY__TELL_GATEWAYS", "false")]);
    stage.play([Fault::UnlistedCode]);
    stage.publish("c5", "", &[("traceparent", &traceparent())]).await;
    assert_eq!(stage.take("results.all").await.header("traceparent"), Some(traceparent()));
    assert_eq!(stage.take("dead.shops").await.header("traceparent"), Some(traceparent()));
    assert_eq!(stage.sandbox.seen().last().unwrap().traceparent, None);
    worker.signal("TERM");
    assert_eq!(worker.wait().0.code(), Some(0));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn what_is_enqueued_begins_a_trace_an_item_and_its_wait_is_measured() {
    let (stage, collector) = (Stage::start().await, Collector::start(Manners::Obliging));
    let base = format!("http://{}/", collector.address);
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", base.as_str())];
    let items = "id,commodity_id,shop_id\nc1,c1,s1\nc2,c2,s1\nc3,c3,s1\n";
    std::fs::write(stage.directory.path().join("items.csv"), items).unwrap();
    let enqueue = stage.command(&["enqueue", "items.csv", "--account", "shops", "--batch", "b-1"], &variables);
    let enqueued = tokio::task::spawn_blocking(|| end(enqueue)).await.unwrap();
    assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
    // The command sent them before it ended.
    let begun: Vec<Span> = collector.spans();
    let traces: std::collections::BTreeSet<_> = begun.iter().map(|span| span.trace_id.clone()).collect();
    assert_eq!((begun.len(), traces.len()), (3, 3), "{begun:#?}");
    assert!(begun.iter().all(|span| span.name == "enqueue shops" && span.parent_span_id.is_empty()));
    assert!(begun.iter().all(|span| attribute(&span.attributes, "takedown.batch").as_deref() == Some("b-1")));

    let (worker, status) = stage.worker(&variables);
    for _ in 0..3 {
        worker.line("item ended");
    }
    let worked = collector.wait("three worked", |spans| {
        let found: Vec<_> = spans.iter().filter(|span| span.name == "process shops").cloned().collect();
        (found.len() == 3).then_some(found)
    });
    for span in &worked {
        let begun = begun.iter().find(|begun| begun.trace_id == span.trace_id).unwrap();
        assert_eq!(span.parent_span_id, begun.span_id);
    }
    for name in ["queue_wait", "settle", "call"] {
        let count = series(status, &format!("takedown_{name}_seconds_count{{account=\"shops\"}}"));
        assert_eq!(count, Some(3.0), "{name}");
    }
    // Whatever a worker exports is in the table, whoever asks for it in whatever format.
    let text = http(status, "GET", "/metrics", "").1;
    let families: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE takedown_")?.split(' ').next()).collect();
    let is_told = |name: &&str| TABLE.contains(&format!("`{name}`")) || TABLE.contains(&format!("`{name}_total`"));
    assert!(families.len() > 20 && families.iter().all(is_told), "{families:?}");
    let dead = "takedown_queue_messages{queue=\"dead\",account=\"shops\"}";
    assert_eq!(series(status, dead), Some(0.0), "{text}");
    let waited = series(status, "takedown_queue_wait_seconds_sum{account=\"shops\"}").unwrap();
    assert!(waited > 0.0, "{waited}");
    worker.signal("TERM");
    assert_eq!(worker.wait().0.code(), Some(0));
    stage.end().await;
}
