//! A collector in trouble is no trouble of the worker's.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::collector::{Collector, Manners};
use super::stage::{Stage, series};

const ITEMS: usize = 40;

/// The last spans are given 3 s; the rest is for a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// Works some items off, drains, and returns how many spans were lost by then.
async fn work_and_drain(endpoint: &str, collector: Option<&Collector>) -> f64 {
    let stage = Stage::start().await;
    let (worker, status) = stage.worker(&[("TAKEDOWN_TELEMETRY__ENDPOINT", endpoint)]);
    for item in 0..ITEMS {
        stage.publish(&format!("c{item}"), "", &[]).await;
    }
    for _ in 0..ITEMS {
        assert!(worker.line("item ended").contains("taken_down"));
    }
    assert_eq!(series(status, "takedown_ready"), Some(1.0));
    if let Some(collector) = collector {
        collector.wait_for_calls(1);
    } else {
        worker.line("the collector takes no spans");
    }
    let lost = series(status, "takedown_spans_total{result=\"lost\"}").unwrap();
    worker.signal("TERM");
    let draining = Instant::now();
    let (ended, lines) = worker.wait();
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
    assert!(draining.elapsed() < SOON, "{:?}", draining.elapsed());
    stage.end().await;
    lost
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_collector_nobody_reaches_costs_its_spans_and_nothing_else() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(work_and_drain(&format!("http://{address}/v1/traces"), None).await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_collector_that_fails_costs_its_spans_and_nothing_else() {
    let collector = Collector::start(Manners::Failing);
    work_and_drain(&collector.endpoint(), Some(&collector)).await;
    assert!(collector.calls() > 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_collector_that_never_answers_holds_nothing_up() {
    let collector = Collector::start(Manners::Silent);
    work_and_drain(&collector.endpoint(), Some(&collector)).await;
    assert!(collector.calls() > 0);
}
