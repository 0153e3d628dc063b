//! Through the embedded queue: `takedown run`, every outcome committed and synced.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use takedown::signing::SignType;

use crate::accounts::{Account, Limits};
use crate::file_run::FileRun;
use crate::gateway::{Gateway, Kind};
use crate::items::Lot;
use crate::meter::{Measured, Meter, Window};
use crate::results::{Bound, Chapter, Table};
use crate::sample::{number, percent, sample};
use crate::stage::Stage;

const IN_FLIGHT: [u32; 3] = [1, 10, 100];

/// Sign type, gateway, calls in flight.
type Point = (&'static str, Kind, u32);

pub(crate) fn run(stage: &Stage) -> Result<Chapter> {
    let mut measured: BTreeMap<Point, Vec<Measured>> = BTreeMap::new();
    for _ in 0..stage.effort.pick(1, 2) {
        for in_flight in IN_FLIGHT {
            for sign_type in [SignType::Md5, SignType::Dsa, SignType::Rsa2] {
                let point = (sign_type.as_str(), Kind::Lean, in_flight);
                measured.entry(point).or_default().push(work(stage, sign_type, Kind::Lean, in_flight)?);
            }
        }
        let strict = work(stage, SignType::Md5, Kind::Strict, 100)?;
        measured.entry((SignType::Md5.as_str(), Kind::Strict, 100)).or_default().push(strict);
    }
    Ok(chapter(&measured))
}

fn work(stage: &Stage, sign_type: SignType, kind: Kind, in_flight: u32) -> Result<Measured> {
    let (account, directory) = (Account::of(sign_type), stage.directory()?);
    let (window, count) = window(stage, sign_type, in_flight);
    Lot::new().write(&directory.join("items.csv"), &account, 0..count)?;
    let gateway = Gateway::start(stage, kind)?;
    let accounts = stage.credentials.configuration(&gateway.url, &[account], &Limits::unbound(in_flight));
    let mut run = FileRun::start(stage, &directory, &accounts)?;
    let meter = Meter { workers: vec![run.process.id()], gateway: Some(gateway.process.id()), broker: None };
    let measured = meter.measure(window, &mut || run.settled())?;
    eprintln!(
        "  {sign_type:4} {in_flight:3} in flight, {} gateway: {} items/s, {} µs an item",
        kind.word(),
        number(measured.rate()),
        number(measured.cpu())
    );
    Ok(measured)
}

/// What is in the file must last for the window at the highest pace that is to be expected.
fn window(stage: &Stage, sign_type: SignType, in_flight: u32) -> (Window, u64) {
    let seconds = stage.effort.pick(2, 3);
    let (warm_up, pace) = match (sign_type, in_flight) {
        (_, ..5) => (50, 2_000),
        (_, 5..50) => (500, 8_000),
        (SignType::Md5, _) => (2_000, 18_000),
        (SignType::Dsa | SignType::Rsa | SignType::Rsa2, _) => (500, 8_000),
    };
    let count = warm_up + pace * (seconds + 1);
    (Window { warm_up, length: Duration::from_secs(seconds), until: count }, count)
}

fn chapter(measured: &BTreeMap<Point, Vec<Measured>>) -> Chapter {
    let mut chapter = Chapter::new("Through the embedded queue");
    chapter.prose(
        "`takedown run` on a file, one account; every outcome is committed and synced before it counts. The strict gateway is \
         the sandbox; the lean one answers a signed success and does nothing else (DSA it signs each time, the answer of the \
         Open Platform once), so that it bounds as little as can be.",
    );
    let mut table = Table::new([
        "sign type, gateway, in flight",
        "settled/s",
        "worker: µs an item",
        "of it user",
        "sleeps an item",
        "gateway: µs",
        "gateway: cores",
        "worker: cores",
        "machine busy",
    ]);
    for ((sign_type, kind, in_flight), times) in measured {
        table.row([
            format!("{sign_type}, {}, {in_flight}", kind.word()),
            sample(times, Measured::rate).text(),
            sample(times, Measured::cpu).text(),
            number(sample(times, |point| point.each(point.worker.user)).median()),
            number(sample(times, Measured::sleeps).median()),
            number(sample(times, |point| point.each(point.gateway.cpu())).median()),
            number(sample(times, |point| point.cores(point.gateway.cpu())).median()),
            number(sample(times, |point| point.cores(point.worker.cpu())).median()),
            percent(sample(times, |point| point.busy).median()),
        ]);
    }
    chapter.table(table);
    let md5 = measured.get(&(SignType::Md5.as_str(), Kind::Lean, 100));
    let rate = md5.map_or(f64::NAN, |times| sample(times, Measured::rate).median());
    chapter.reach(
        "MD5 items settled through the embedded queue, 100 in flight, lean gateway",
        Bound::AtLeast(10_000.0),
        rate,
        "/s",
    );
    chapter
}
