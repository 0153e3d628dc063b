//! From the permit to the wire: how long a call takes to leave once it may, at 80 % of what the worker can do.
//!
//! Told by the product's own telemetry: the span `call gateway` begins right after the permit, its id goes to the gateway
//! in `traceparent`, and the gateway, on the same clock, notes when it has read the head of the request. So loopback and
//! the gateway's own waking are in it: what is told is an upper bound. One trace in ten is recorded, since telemetry itself
//! costs; and the highest load is found with it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, bail};
use takedown::domain::hex::hex;
use takedown::signing::SignType;

use crate::accounts::{Account, Limits};
use crate::arrivals::Arrival;
use crate::collector::{Collector, Manners};
use crate::gateway::{Gateway, Kind};
use crate::items::Lot;
use crate::meter::{Meter, Window};
use crate::queues::Queues;
use crate::results::{Bound, Chapter, Table};
use crate::sample::{number, percent};
use crate::stage::Stage;
use crate::worker::Worker;

/// Of the highest load.
const LOAD: f64 = 0.8;

/// Longest wait for the collector to have heard of what was called; it is told in batches.
const PATIENCE: Duration = Duration::from_secs(3);

/// The highest pace that is to be expected.
const PACE: u64 = 8_000;

/// What one sign type came to.
struct Times {
    items: f64,
    /// Machine busy, of all its processors.
    busy: f64,
    /// From the shortest up.
    to_wire: Vec<Duration>,
}

pub(crate) fn run(stage: &Stage) -> Result<Chapter> {
    let mut chapter = Chapter::new("From the permit to the wire");
    chapter.prose(
        "One account through RabbitMQ, 100 in flight, the lean gateway, at 80 % of the highest load reached just before, burst \
         1. From the beginning of the span `call gateway` to the gateway having read the request's head: loopback and the \
         gateway's own waking are in it, and telemetry of one item in ten, too.",
    );
    let mut table = Table::new([
        "sign type",
        "highest load, items/s",
        "at 80 %: busy",
        "calls timed",
        "p50, ms",
        "p99, ms",
        "longest, ms",
    ]);
    for sign_type in [SignType::Rsa2, SignType::Md5] {
        let highest = work(stage, sign_type, &Limits::unbound(100))?.items;
        let rate = Limits { rate: format!("{:.0}/s", highest * LOAD), burst: 1, ..Limits::unbound(100) };
        let Times { items: _, busy, to_wire } = work(stage, sign_type, &rate)?;
        let ms = |part: f64| at(&to_wire, part).as_secs_f64() * 1e3;
        eprintln!("  {sign_type}: {} items/s at most; p99 {} ms", number(highest), number(ms(0.99)));
        table.row([
            sign_type.to_string(),
            number(highest),
            percent(busy),
            to_wire.len().to_string(),
            number(ms(0.5)),
            number(ms(0.99)),
            number(ms(1.0)),
        ]);
        chapter.reach(
            format!("p99 from the permit to the wire, {sign_type}, at 80 % load"),
            Bound::AtMost(5.0),
            ms(0.99),
            "ms",
        );
    }
    chapter.table(table);
    Ok(chapter)
}

fn work(stage: &Stage, sign_type: SignType, limits: &Limits) -> Result<Times> {
    let account = Account::of(sign_type);
    let queues = Queues::declare(stage, std::slice::from_ref(&account))?;
    let seconds = stage.effort.pick(3, 6);
    let count = PACE * (seconds + 1);
    queues.fill(&Lot::new(), &account, count)?;
    let mut gateway = Gateway::start(stage, Kind::Noting)?;
    let collector = Collector::start(Manners::Obliging);
    let accounts = stage.credentials.configuration(&gateway.url, &[account], limits);
    let telemetry = format!(
        "[telemetry]\nendpoint = \"{}\"\nsampler = \"traceidratio\"\nsampler_arg = \"0.1\"\n",
        collector.endpoint()
    );
    let worker = Worker::start(stage, &format!("{telemetry}{}{accounts}", queues.configuration()))?;
    let meter = Meter { workers: vec![worker.process.id()], gateway: None, broker: None };
    let window = Window { warm_up: 1_000, length: Duration::from_secs(seconds), until: count };
    let measured = meter.measure(window, &mut || worker.settled())?;
    std::thread::sleep(PATIENCE);
    let to_wire = to_wire(&gateway.arrivals(stage)?, &collector);
    if to_wire.is_empty() {
        bail!("no call is known both to the collector and to the gateway");
    }
    Ok(Times { items: measured.rate(), busy: measured.busy, to_wire })
}

/// Joins what the worker told and what the gateway noted.
fn to_wire(arrivals: &[Arrival], collector: &Collector) -> Vec<Duration> {
    let came: HashMap<&str, Duration> = arrivals.iter().map(|arrival| (arrival.span.as_str(), arrival.at)).collect();
    let calls = collector.spans().into_iter().filter(|span| span.name == "call gateway");
    let mut times: Vec<Duration> = calls
        .filter_map(|span| {
            let at = came.get(hex(&span.span_id).as_str())?;
            Some(at.saturating_sub(Duration::from_nanos(span.start_time_unix_nano)))
        })
        .collect();
    times.sort();
    times
}

/// Returns the value that a part of all do not exceed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
fn at(sorted: &[Duration], part: f64) -> Duration {
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}
