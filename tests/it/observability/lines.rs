//! Lines of the log: one object a line, named fields, and the ids of the trace they belong to.

use serde_json::Value;
use takedown::sandbox::faults::{Effect, Fault};

use super::stage::Stage;
use crate::support::command::Running;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn lines_of_a_traced_delivery_tell_its_trace_and_others_none() {
    let stage = Stage::start().await;
    let traced = format!("00-{TRACE}-{PARENT}-01");
    stage.play([Fault::Reset(Effect::NotTaken)]);
    let (worker, _) = stage.worker(&[]);
    stage.publish("c1", "", &[("traceparent", &traced)]).await;
    stage.take("results.all").await;
    stage.publish("c2", "", &[]).await;
    stage.take("results.all").await;
    worker.signal("TERM");
    let (ended, lines) = worker.wait();
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
    }
    let of = |id: &str, message: &str| {
        let found = lines.iter().find(|line| line["request.id"] == id && line["message"] == message);
        found.unwrap_or_else(|| panic!("{message} of {id} in {lines:#?}"))
    };
    for message in ["item will be tried again", "item ended"] {
        let line = of("c1", message);
        assert_eq!((line["trace_id"].as_str(), line["span_id"].as_str()), (Some(TRACE), Some(PARENT)), "{line}");
        assert_eq!((&line["account.id"], line["attempt"].is_u64()), (&Value::from("shops"), true), "{line}");
    }
    // Also what lower layers say meanwhile.
    let broke = lines.iter().find(|line| line["message"] == "gateway call broke").unwrap();
    assert_eq!(broke["trace_id"], TRACE, "{broke}");
    let untraced = of("c2", "item ended");
    assert!(untraced.get("trace_id").is_none() && untraced.get("span_id").is_none(), "{untraced}");

    let text = Running::start(stage.command(&["worker", "--log", "takedown=debug"], &[]));
    stage.publish("c3", "", &[("traceparent", &traced)]).await;
    let line = text.line("item ended");
    assert!(line.contains(&format!("trace_id={TRACE} span_id={PARENT}")), "{line}");
    text.signal("TERM");
    assert_eq!(text.wait().0.code(), Some(0));
    stage.end().await;
}
