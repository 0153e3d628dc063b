//! How near the calls keep to the configured rate, and the most in any second: by when they come to the gateway.
//!
//! With a burst of 1, so that all that is lost shows. Lower rates go over RabbitMQ in the default mode, sharing with
//! nobody; the highest is more than broker, worker and gateway manage together on few cores, and comes from the queue
//! file. Between the permit and the gateway a call may be held up by a moment more than the one before it, which the
//! gateway sees as nearer together; the most in a second is told as it was seen there.

use std::time::Duration;

use anyhow::{Result, bail};
use takedown::signing::SignType;

use crate::accounts::{Account, Limits};
use crate::arrivals::Arrival;
use crate::file_run::FileRun;
use crate::gateway::{Gateway, Kind};
use crate::items::Lot;
use crate::queues::Queues;
use crate::results::{Bound, Chapter, Table};
use crate::sample::number;
use crate::stage::Stage;
use crate::worker::Worker;

const SECOND: Duration = Duration::from_secs(1);

/// Calls a second, and how long they are watched.
const RATES: [(u32, u64); 4] = [(1, 30), (20, 8), (500, 8), (5_000, 8)];

/// From here up through the queue file.
const FROM_FILE: u32 = 5_000;

/// What came of one rate.
struct Kept {
    rate: u32,
    calls: usize,
    achieved: f64,
    /// The most calls in any second.
    most: usize,
}

pub(crate) fn run(stage: &Stage) -> Result<Chapter> {
    let mut chapter = Chapter::new("How near to the rate");
    chapter.prose(
        "One MD5 account with a burst of 1 and more work than the rate takes, 100 in flight, the lean gateway noting when \
         each call came; the first second is not counted. Up to 500/s over RabbitMQ in the mode `fleet`, at 5,000/s from the \
         queue file (`takedown run`).",
    );
    let mut table =
        Table::new(["rate", "calls watched", "achieved ÷ configured", "most in any second", "rate + burst"]);
    for (rate, seconds) in RATES {
        let seconds = stage.effort.pick(seconds.min(10), seconds);
        let arrivals =
            if rate < FROM_FILE { over_amqp(stage, rate, seconds)? } else { from_file(stage, rate, seconds)? };
        let Kept { rate, calls, achieved, most } = kept(rate, &arrivals)?;
        eprintln!("  {rate}/s: {achieved:.4} of it, {most} in a second at most");
        table.row([
            format!("{rate}/s"),
            calls.to_string(),
            format!("{achieved:.4}"),
            most.to_string(),
            (rate + 1).to_string(),
        ]);
        chapter.reach(format!("calls at {rate}/s, of the rate"), Bound::AtLeast(0.99), achieved, "×");
        let (most, allowed) = (u32::try_from(most)?, f64::from(rate + 1));
        chapter.reach(format!("most in any second at {rate}/s"), Bound::AtMost(allowed), f64::from(most), "calls");
    }
    chapter.table(table);
    Ok(chapter)
}

fn limits(rate: u32, more: &str) -> Limits {
    Limits { rate: format!("{rate}/s"), burst: 1, in_flight: 100, more: more.to_owned() }
}

fn over_amqp(stage: &Stage, rate: u32, seconds: u64) -> Result<Vec<Arrival>> {
    let account = Account::of(SignType::Md5);
    let queues = Queues::declare(stage, std::slice::from_ref(&account))?;
    queues.fill(&Lot::new(), &account, u64::from(rate) * (seconds + 4) + 100)?;
    let mut gateway = Gateway::start(stage, Kind::Noting)?;
    let accounts = stage.credentials.configuration(&gateway.url, &[account], &limits(rate, ""));
    let worker = Worker::start(stage, &format!("{}{accounts}", queues.configuration()))?;
    // Calls begin a moment after it is ready: it listens for others first.
    worker.settled_to(1)?;
    std::thread::sleep(Duration::from_secs(seconds) + SECOND);
    gateway.arrivals(stage)
}

fn from_file(stage: &Stage, rate: u32, seconds: u64) -> Result<Vec<Arrival>> {
    let (account, directory) = (Account::of(SignType::Md5), stage.directory()?);
    Lot::new().write(&directory.join("items.csv"), &account, 0..u64::from(rate) * (seconds + 4))?;
    let mut gateway = Gateway::start(stage, Kind::Noting)?;
    let accounts = stage.credentials.configuration(&gateway.url, &[account], &limits(rate, ""));
    let mut run = FileRun::start(stage, &directory, &accounts)?;
    run.wait(FileRun::settled, 1)?;
    std::thread::sleep(Duration::from_secs(seconds) + SECOND);
    gateway.arrivals(stage)
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn kept(rate: u32, arrivals: &[Arrival]) -> Result<Kept> {
    let Some(begin) = arrivals.first().map(|first| first.at + SECOND) else { bail!("nothing came to the gateway") };
    let watched: Vec<Duration> = arrivals.iter().map(|arrival| arrival.at).filter(|at| *at >= begin).collect();
    let [first, .., last] = watched[..] else { bail!("{} calls came to the gateway", number(watched.len() as f64)) };
    let achieved = (watched.len() - 1) as f64 / (last - first).as_secs_f64() / f64::from(rate);
    let within = |(place, from): (usize, &Duration)| watched[place..].partition_point(|to| *to - *from < SECOND);
    Ok(Kept { rate, calls: watched.len(), achieved, most: watched.iter().enumerate().map(within).max().unwrap_or(0) })
}
