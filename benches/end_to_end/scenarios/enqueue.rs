//! A file into the queue: rows a second, processor time, memory; beside it lapin alone, publishing the same messages.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use takedown::signing::SignType;

use crate::accounts::{Account, Limits};
use crate::bare;
use crate::file_run::FileRun;
use crate::items::Lot;
use crate::process::Process;
use crate::queues::Queues;
use crate::results::{Bound, Chapter, Table};
use crate::sample::{Sample, number};
use crate::stage::Stage;
use crate::usage::Usage;
use crate::worker::takedown;

/// Unconfirmed publishes of the bare publisher.
const WINDOW: usize = 1_000;

/// Longest wait for a whole file.
const PATIENCE: Duration = Duration::from_secs(300);

/// One file taken in.
struct TakenIn {
    rows: u64,
    wall: Duration,
    usage: Usage,
}

impl TakenIn {
    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    fn rate(&self) -> f64 {
        self.rows as f64 / self.wall.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    fn cpu(&self) -> f64 {
        self.usage.cpu().as_secs_f64() * 1e6 / self.rows as f64
    }
}

pub(crate) fn run(stage: &Stage) -> Result<Chapter> {
    let (few, many) = stage.effort.pick((20_000, 100_000), (200_000, 1_000_000));
    let times = stage.effort.pick(1, 3);
    let (mut commands, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..times {
        bares.push(bare_publisher(stage, few)?);
        commands.push(command(stage, few)?);
    }
    let (bare_long, command_long) = (bare_publisher(stage, many)?, command(stage, many)?);
    let embedded = embedded(stage, many)?;
    let mut chapter = Chapter::new("Enqueue");
    chapter.prose(format!(
        "A CSV of mapi items, from the command's start to its end: read, checked, published and confirmed. The bare publisher: \
         lapin, one connection, one channel, {WINDOW} publishes unconfirmed at most, none waiting for another to be handed \
         over, the same messages, persistent, mandatory, into a queue declared the same, nothing read from a file. \
         `takedown run`: from its start until the last row is committed."
    ));
    let mut table = Table::new(["", "rows", "rows/s", "µs of processor a row", "peak memory, MiB"]);
    let mut row = |name: &str, taken: &[TakenIn]| {
        let of = |value: fn(&TakenIn) -> f64| taken.iter().map(value).collect::<Sample>().text();
        let peak = taken.iter().map(|one| one.usage.peak_mib()).fold(0.0, f64::max);
        let rows = taken.first().map_or(0, |one| one.rows);
        table.row([name.to_owned(), rows.to_string(), of(TakenIn::rate), of(TakenIn::cpu), number(peak)]);
    };
    row("bare publisher", &bares);
    row("`takedown enqueue`", &commands);
    row("bare publisher", std::slice::from_ref(&bare_long));
    row("`takedown enqueue`", std::slice::from_ref(&command_long));
    row("`takedown run`, intake", std::slice::from_ref(&embedded));
    chapter.table(table);
    let ratios: Sample = commands.iter().zip(&bares).map(|(command, bare)| command.rate() / bare.rate()).collect();
    let bound = Bound::AtLeast(0.85);
    chapter.reach(
        format!("`takedown enqueue` of {few} rows, of the bare publisher's rows/s"),
        bound,
        ratios.median(),
        "×",
    );
    let ratio = command_long.rate() / bare_long.rate();
    chapter.reach(format!("the same of {many} rows"), bound, ratio, "×");
    for (name, taken) in [("`takedown enqueue`", &command_long), ("`takedown run`", &embedded)] {
        let what = format!("peak memory of {name} taking in {many} rows");
        chapter.reach(what, Bound::AtMost(64.0), taken.usage.peak_mib(), "MiB");
    }
    Ok(chapter)
}

fn told(name: &str, taken: TakenIn) -> TakenIn {
    let (rate, cpu, peak) = (number(taken.rate()), number(taken.cpu()), number(taken.usage.peak_mib()));
    eprintln!("  {name}, {} rows: {rate} rows/s, {cpu} µs a row, {peak} MiB", taken.rows);
    taken
}

fn bare_publisher(stage: &Stage, rows: u64) -> Result<TakenIn> {
    let account = Account::of(SignType::Md5);
    let queues = Queues::declare(stage, std::slice::from_ref(&account))?;
    let ended = bare::enqueue(&queues, &account, rows, WINDOW)?;
    Ok(told("bare publisher", TakenIn { rows, wall: ended.wall, usage: ended.usage }))
}

fn command(stage: &Stage, rows: u64) -> Result<TakenIn> {
    let (account, directory) = (Account::of(SignType::Md5), stage.directory()?);
    let queues = Queues::declare(stage, std::slice::from_ref(&account))?;
    let accounts =
        stage.credentials.configuration("http://127.0.0.1:9", std::slice::from_ref(&account), &Limits::unbound(100));
    fs::write(directory.join("takedown.toml"), format!("{}{accounts}", queues.configuration()))?;
    Lot::new().write(&directory.join("items.csv"), &account, 0..rows)?;
    let started = Instant::now();
    let process = Process::start("takedown enqueue", takedown(stage, &directory, &["enqueue", "items.csv"]))?;
    let ended = process.end(started, PATIENCE)?;
    fs::remove_dir_all(&directory)?;
    Ok(told("takedown enqueue", TakenIn { rows, wall: ended.wall, usage: ended.usage }))
}

/// The gateway is called as seldom as can be, and is not there.
fn embedded(stage: &Stage, rows: u64) -> Result<TakenIn> {
    let (account, directory) = (Account::of(SignType::Md5), stage.directory()?);
    let limits = Limits { rate: "1/min".to_owned(), burst: 1, ..Limits::unbound(1) };
    let accounts = stage.credentials.configuration("http://127.0.0.1:9", std::slice::from_ref(&account), &limits);
    Lot::new().write(&directory.join("items.csv"), &account, 0..rows)?;
    let mut run = FileRun::start(stage, &directory, &accounts)?;
    let wall = run.wait(FileRun::taken_in, rows)?;
    let usage = Usage::of(run.process.id()).unwrap_or_default();
    drop(run);
    fs::remove_dir_all(&directory)?;
    Ok(told("takedown run", TakenIn { rows, wall, usage }))
}
