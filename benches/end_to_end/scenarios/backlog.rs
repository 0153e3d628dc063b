//! What waits: how it tells in start-up, in processor time an item and in memory.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use takedown::signing::SignType;

use crate::accounts::{Account, Limits};
use crate::file_run::FileRun;
use crate::gateway::{Gateway, Kind};
use crate::items::Lot;
use crate::meter::{Measured, Meter, Window};
use crate::plot::{Line, Plot};
use crate::queues::Queues;
use crate::results::{Bound, Chapter, Table};
use crate::sample::number;
use crate::stage::Stage;
use crate::usage::Usage;
use crate::worker::Worker;

const IN_FLIGHT: u32 = 100;

/// Longest a backlog is worked before its memory is taken as it is.
const LONGEST: Duration = Duration::from_secs(420);

/// What one backlog came to.
struct Worked {
    backlog: u64,
    ready: Duration,
    first: Duration,
    measured: Measured,
    settled: u64,
    peak_mib: f64,
}

pub(crate) fn run(stage: &Stage) -> Result<Chapter> {
    let backlogs: &[u64] = stage.effort.pick(&[3_000, 20_000], &[3_000, 10_000, 100_000, 1_000_000]);
    let broker = backlogs.iter().map(|backlog| through_broker(stage, *backlog)).collect::<Result<Vec<_>>>()?;
    let file = backlogs.iter().map(|backlog| through_file(stage, *backlog)).collect::<Result<Vec<_>>>()?;
    let mut chapter = Chapter::new("Backlog: start-up and memory");
    chapter.prose(format!(
        "So many MD5 items wait when a worker starts with {IN_FLIGHT} in flight. Ready: /readyz says so; the embedded queue is \
         that once `takedown run`, called again on its file after it was killed, begins to work. First: the first outcome is \
         told. Through RabbitMQ every backlog is worked to its end, so that the journal of outcomes fills as well; the \
         embedded queue is worked for some seconds. Peak memory is the process's greatest resident set, its start included."
    ));
    let head = ["", "ready after, s", "first after, s", "µs an item", "worked", "peak memory, MiB"];
    let mut table = Table::new(head);
    for (name, all) in [("RabbitMQ", &broker), ("embedded", &file)] {
        for Worked { backlog, ready, first, measured, settled, peak_mib } in all {
            table.row([
                format!("{name}, {backlog}"),
                number(ready.as_secs_f64()),
                number(first.as_secs_f64()),
                number(measured.cpu()),
                settled.to_string(),
                number(*peak_mib),
            ]);
        }
    }
    chapter.table(table);
    for (name, all) in [("RabbitMQ", &broker), ("the embedded queue", &file)] {
        let peak = all.iter().map(|worked| worked.peak_mib).fold(0.0, f64::max);
        let what = format!("peak memory of a worker at any backlog, {name}");
        chapter.reach(what, Bound::AtMost(48.0), peak, "MiB");
    }
    for (file_name, y, value) in [
        ("backlog-cpu", "processor time an item, µs", (|worked: &Worked| worked.measured.cpu()) as fn(&Worked) -> f64),
        ("backlog-memory", "peak memory, MiB", |worked| worked.peak_mib),
    ] {
        let line = |name: &str, all: &[Worked]| Line {
            name: name.to_owned(),
            points: all.iter().map(|worked| (count(worked.backlog), value(worked))).collect(),
        };
        chapter.plot(Plot {
            file: file_name,
            title: format!("Backlog and {y}"),
            x: "items that wait at the start",
            y,
            lines: vec![line("RabbitMQ", &broker), line("embedded", &file)],
        });
    }
    Ok(chapter)
}

#[expect(clippy::cast_precision_loss, reason = "a number for a picture")]
fn count(number: u64) -> f64 {
    number as f64
}

fn through_broker(stage: &Stage, backlog: u64) -> Result<Worked> {
    let account = Account::of(SignType::Md5);
    let queues = Queues::declare(stage, std::slice::from_ref(&account))?;
    queues.fill(&Lot::new(), &account, backlog)?;
    let gateway = Gateway::start(stage, Kind::Lean)?;
    let accounts = stage.credentials.configuration(&gateway.url, &[account], &Limits::unbound(IN_FLIGHT));
    let worker = Worker::start(stage, &format!("{}{accounts}", queues.configuration()))?;
    let ready = worker.ready()?;
    let first = worker.settled_to(1)?;
    let process = worker.process.id();
    let meter =
        Meter { workers: vec![process], gateway: Some(gateway.process.id()), broker: Some(stage.broker_process()?) };
    let measured = meter.measure(window(backlog), &mut || worker.settled())?;
    let begun = Instant::now();
    let mut settled = worker.settled()?;
    while settled < backlog && begun.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_millis(500));
        settled = worker.settled()?;
    }
    Ok(told("RabbitMQ", Worked { backlog, ready, first, measured, settled, peak_mib: peak(process)? }))
}

fn through_file(stage: &Stage, backlog: u64) -> Result<Worked> {
    let (account, directory) = (Account::of(SignType::Md5), stage.directory()?);
    Lot::new().write(&directory.join("items.csv"), &account, 0..backlog)?;
    let gateway = Gateway::start(stage, Kind::Lean)?;
    let accounts = stage.credentials.configuration(&gateway.url, &[account], &Limits::unbound(IN_FLIGHT));
    let slow = Limits { rate: "1/min".to_owned(), burst: 1, ..Limits::unbound(1) };
    let slow = stage.credentials.configuration(&gateway.url, &[Account::of(SignType::Md5)], &slow);
    let mut intake = FileRun::start(stage, &directory, &slow)?;
    intake.wait(FileRun::taken_in, backlog)?;
    let intake_peak = peak(intake.process.id())?;
    drop(intake);
    let mut run = FileRun::start(stage, &directory, &accounts)?;
    run.process.line("known from an earlier run", Duration::from_secs(180))?;
    let ready = run.started.elapsed();
    let before = run.settled()?;
    let first = run.wait(FileRun::settled, before + 1)?;
    let process = run.process.id();
    let meter = Meter { workers: vec![process], gateway: Some(gateway.process.id()), broker: None };
    let measured = meter.measure(window(backlog), &mut || run.settled())?;
    let settled = run.settled()?;
    let peak_mib = peak(process)?.max(intake_peak);
    drop(run);
    fs::remove_dir_all(&directory)?;
    Ok(told("embedded", Worked { backlog, ready, first, measured, settled, peak_mib }))
}

/// A small backlog is over in less than a second.
fn window(backlog: u64) -> Window {
    Window { warm_up: (backlog / 10).min(2_000), length: Duration::from_secs(4), until: backlog * 9 / 10 }
}

fn peak(process: u32) -> Result<f64> {
    match Usage::of(process) {
        Some(usage) => Ok(usage.peak_mib()),
        None => bail!("process {process} has ended"),
    }
}

fn told(name: &str, worked: Worked) -> Worked {
    let Worked { backlog, ready, first, measured, peak_mib, .. } = &worked;
    eprintln!(
        "  {name}, {backlog}: ready after {ready:.2?}, first after {first:.2?}, {} items/s, {} µs an item, {} MiB",
        number(measured.rate()),
        number(measured.cpu()),
        number(*peak_mib)
    );
    worked
}
