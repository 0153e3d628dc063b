//! Through RabbitMQ: items a second, and what each costs, by sign type and calls in flight.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use takedown::signing::SignType;

use crate::accounts::{Account, Limits};
use crate::bare::{BareLoop, Work};
use crate::gateway::{Gateway, Kind};
use crate::items::Lot;
use crate::meter::{Measured, Meter, Window};
use crate::openssl::{self, Key};
use crate::queues::Queues;
use crate::results::{Bound, Chapter, Table};
use crate::sample::{Sample, number, percent, sample};
use crate::stage::Stage;
use crate::worker::Worker;

const IN_FLIGHT: [u32; 3] = [1, 10, 100];
/// What the bounds are of.
const FULL: u32 = 100;
const SIGN_TYPES: [SignType; 3] = [SignType::Md5, SignType::Dsa, SignType::Rsa2];

/// Everything measured of one point, time after time.
type Points<K> = BTreeMap<K, Vec<Measured>>;

/// What a bare loop does of an item, and how it signs where it calls.
type BareWork = (&'static str, Option<&'static str>);

pub(crate) fn run(stage: &Stage) -> Result<Chapter> {
    let times = stage.effort.pick(1, 3);
    let mut speeds: BTreeMap<Key, [Sample; 3]> = BTreeMap::new();
    let mut workers: Points<(&str, u32)> = BTreeMap::new();
    let mut loops: Points<(u32, BareWork)> = BTreeMap::new();
    time_signatures(stage, &mut speeds)?;
    for _ in 0..times {
        for in_flight in IN_FLIGHT {
            for sign_type in SIGN_TYPES {
                let measured = work(stage, &Account::of(sign_type), in_flight)?;
                workers.entry((sign_type.as_str(), in_flight)).or_default().push(measured);
            }
            for work in [Work::Outcome, Work::Claim] {
                let measured = loop_alone(stage, &Account::of(SignType::Md5), in_flight, &work)?;
                loops.entry((in_flight, (work.word(), None))).or_default().push(measured);
            }
        }
        for sign_type in [SignType::Md5, SignType::Rsa2] {
            let gateway = Gateway::start(stage, Kind::Strict)?;
            let work = Work::Call(&stage.credentials, &gateway.url);
            let measured = loop_alone(stage, &Account::of(sign_type), FULL, &work)?;
            loops.entry((FULL, (work.word(), Some(sign_type.as_str())))).or_default().push(measured);
        }
    }
    time_signatures(stage, &mut speeds)?;
    Ok(chapter(&speeds, &workers, &loops))
}

/// Measures a worker with one account, on queues of its own.
pub(crate) fn work(stage: &Stage, account: &Account, in_flight: u32) -> Result<Measured> {
    let queues = Queues::declare(stage, std::slice::from_ref(account))?;
    let (window, count) = window(stage, in_flight);
    queues.fill(&Lot::new(), account, count)?;
    let gateway = Gateway::start(stage, Kind::Strict)?;
    let accounts =
        stage.credentials.configuration(&gateway.url, std::slice::from_ref(account), &Limits::unbound(in_flight));
    let worker = Worker::start(stage, &format!("{}{accounts}", queues.configuration()))?;
    let meter = Meter {
        workers: vec![worker.process.id()],
        gateway: Some(gateway.process.id()),
        broker: Some(stage.broker_process()?),
    };
    let measured = meter.measure(window, &mut || worker.settled())?;
    eprintln!(
        "  {:4} {in_flight:3} in flight: {} items/s, {} µs an item",
        account.sign_type,
        number(measured.rate()),
        number(measured.cpu())
    );
    Ok(measured)
}

/// The same queues and messages by lapin alone.
fn loop_alone(stage: &Stage, account: &Account, in_flight: u32, work: &Work<'_>) -> Result<Measured> {
    let queues = Queues::declare(stage, std::slice::from_ref(account))?;
    let (window, count) = window(stage, in_flight);
    queues.fill(&Lot::new(), account, count * 2)?;
    let mut bare = BareLoop::start(&queues, account, in_flight, work)?;
    let meter = Meter { workers: vec![bare.process.id()], gateway: None, broker: Some(stage.broker_process()?) };
    let measured = meter.measure(Window { until: count * 2, ..window }, &mut || bare.settled())?;
    eprintln!(
        "  bare {in_flight:3} in flight, {}: {} items/s, {} µs an item",
        work.word(),
        number(measured.rate()),
        number(measured.cpu())
    );
    Ok(measured)
}

/// What is put into the queue must last for the window at the highest pace that is to be expected.
fn window(stage: &Stage, in_flight: u32) -> (Window, u64) {
    let seconds = stage.effort.pick(2, 4);
    let (warm_up, pace) = match in_flight {
        ..5 => (100, 1_000),
        5..50 => (1_000, 6_000),
        50.. => (1_000, 10_000),
    };
    let count = warm_up + pace * (seconds + 1);
    (Window { warm_up, length: Duration::from_secs(seconds), until: count }, count)
}

/// `openssl speed`, alone and with both processors busy; DSA and RSA of 1024 bits only alone.
fn time_signatures(stage: &Stage, speeds: &mut BTreeMap<Key, [Sample; 3]>) -> Result<()> {
    let seconds = stage.effort.pick(1, 2);
    for key in Key::ALL {
        let alone = openssl::speed(key, 1, seconds)?;
        let together = openssl::speed(key, 2, seconds)?;
        let samples = speeds.entry(key).or_default();
        for (sample, value) in samples.iter_mut().zip([alone.sign, together.sign, alone.verify]) {
            sample.add(value);
        }
    }
    Ok(())
}

fn chapter(
    speeds: &BTreeMap<Key, [Sample; 3]>,
    workers: &Points<(&str, u32)>,
    loops: &Points<(u32, BareWork)>,
) -> Chapter {
    let mut chapter = Chapter::new("Through RabbitMQ");
    chapter.prose(
        "One worker, one account, quorum queues of one node, the strict sandbox in a process of its own answering at once, \
         all on the same cores. Each value is the median of several windows, taken in turn (lowest–highest in brackets). \
         Processor time is user and system of the whole process between two marks, warm-up excluded, three or \
         four scrapes of /metrics included; a sleep is a thread of the worker that has nothing to do and is woken again.",
    );
    let mut table =
        Table::new(["bare signature (`openssl speed`)", "µs, alone", "µs, both cores busy", "µs to verify"]);
    for (key, [alone, together, verify]) in speeds {
        table.row([key.name().to_owned(), alone.text(), together.text(), verify.text()]);
    }
    chapter.table(table);
    let mut table = Table::new([
        "sign type, in flight",
        "items/s",
        "worker: µs an item",
        "of it user",
        "sleeps an item",
        "gateway: µs",
        "broker: µs",
        "machine busy",
        "of the bare loop's items/s",
        "µs, of the bare signature",
    ]);
    for ((sign_type, in_flight), measured) in workers {
        let bare = loops
            .get(&(*in_flight, (Work::Outcome.word(), None)))
            .map(|measured| sample(measured, Measured::rate).median());
        let (rate, cpu) = (sample(measured, Measured::rate), sample(measured, Measured::cpu));
        table.row([
            format!("{sign_type}, {in_flight}"),
            rate.text(),
            cpu.text(),
            number(sample(measured, |point| point.each(point.worker.user)).median()),
            number(sample(measured, Measured::sleeps).median()),
            number(sample(measured, |point| point.each(point.gateway.cpu())).median()),
            number(sample(measured, |point| point.each(point.broker.cpu())).median()),
            percent(sample(measured, |point| point.busy).median()),
            number(rate.median() / bare.unwrap_or(f64::NAN)),
            of_signature(Some(sign_type), cpu.median(), speeds),
        ]);
    }
    chapter.table(table);
    chapter.prose(
        "The bare loop: lapin alone consumes, publishes an outcome of the same length, waits for its confirm and acks, on \
         queues declared the same, as many in hand at once. A worker also claims each outcome in the journal, and waits \
         for that confirm before it tells the outcome; the loop is measured with that, too. And it is measured calling \
         the strict sandbox before that, with the worker's client, request and verification, and nothing else of a worker: \
         no rate, no retry, no group of outcomes, no metrics. What a worker costs beyond that is what it does of its own.",
    );
    let mut table = Table::new([
        "bare loop, in flight",
        "items/s",
        "µs an item",
        "of it user",
        "sleeps an item",
        "broker: µs",
        "machine busy",
        "µs, of the bare signature",
    ]);
    for ((in_flight, (work, sign_type)), measured) in loops {
        let cpu = sample(measured, Measured::cpu);
        table.row([
            sign_type.map_or_else(|| format!("{work}, {in_flight}"), |signed| format!("{work}, {signed}, {in_flight}")),
            sample(measured, Measured::rate).text(),
            cpu.text(),
            number(sample(measured, |point| point.each(point.worker.user)).median()),
            number(sample(measured, Measured::sleeps).median()),
            number(sample(measured, |point| point.each(point.broker.cpu())).median()),
            percent(sample(measured, |point| point.busy).median()),
            of_signature(*sign_type, cpu.median(), speeds),
        ]);
    }
    chapter.table(table);
    reach(&mut chapter, speeds, workers, loops);
    chapter
}

fn reach(
    chapter: &mut Chapter,
    speeds: &BTreeMap<Key, [Sample; 3]>,
    workers: &Points<(&str, u32)>,
    loops: &Points<(u32, BareWork)>,
) {
    let of = |sign_type: SignType, value: fn(&Measured) -> f64| {
        workers.get(&(sign_type.as_str(), FULL)).map_or(f64::NAN, |measured| sample(measured, value).median())
    };
    let bare = loops
        .get(&(FULL, (Work::Outcome.word(), None)))
        .map_or(f64::NAN, |measured| sample(measured, Measured::rate).median());
    let signature = speeds.get(&Key::Rsa2048).map_or(f64::NAN, |[alone, ..]| alone.median());
    let (rsa2, md5) = (of(SignType::Rsa2, Measured::cpu), of(SignType::Md5, Measured::cpu));
    let rate = of(SignType::Md5, Measured::rate);
    chapter.reach(
        format!("worker's processor time of an RSA2 item, {FULL} in flight, of the bare signature's"),
        Bound::AtMost(1.35),
        rsa2 / signature,
        "×",
    );
    chapter.reach(format!("the same of an MD5 item, {FULL} in flight"), Bound::AtMost(150.0), md5, "µs");
    chapter.reach(format!("MD5 items through RabbitMQ, {FULL} in flight"), Bound::AtLeast(4_000.0), rate, "/s");
    chapter.reach("or, of the bare loop on the same queues", Bound::AtLeast(0.6), rate / bare, "×");
}

/// Sets an item's microseconds against those of its signature by itself, where `openssl speed` has it.
fn of_signature(sign_type: Option<&str>, cpu: f64, speeds: &BTreeMap<Key, [Sample; 3]>) -> String {
    let keys = [(SignType::Dsa, Key::Dsa1024), (SignType::Rsa2, Key::Rsa2048)];
    let key = keys.into_iter().find(|(known, _)| Some(known.as_str()) == sign_type);
    key.map_or_else(|| "–".to_owned(), |(_, key)| format!("{} ×", number(cpu / speeds[&key][0].median())))
}
