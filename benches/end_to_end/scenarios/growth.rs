//! How the cost of an item grows with calls in flight, accounts, replicas and pace.

use std::time::Duration;

use anyhow::Result;
use takedown::signing::SignType;

use crate::accounts::{Account, Limits};
use crate::gateway::{Gateway, Kind};
use crate::items::Lot;
use crate::meter::{Measured, Meter, Window};
use crate::plot::{Line, Plot};
use crate::queues::Queues;
use crate::results::{Chapter, Table};
use crate::sample::{number, percent};
use crate::stage::Stage;
use crate::worker::Worker;

/// One point: what works, and on what.
#[derive(Debug, Clone, Copy)]
struct Setting {
    sign_type: SignType,
    accounts: u32,
    replicas: u32,
    /// Of each account, in each replica.
    in_flight: u32,
    /// Items a second, unless as many as there can be.
    rate: Option<u32>,
}

/// One plot.
struct Question {
    file: &'static str,
    title: &'static str,
    x: &'static str,
    points: &'static [u32],
    setting: fn(SignType, u32) -> Setting,
}

const QUESTIONS: [Question; 4] = [
    Question {
        file: "growth-in-flight",
        title: "Calls in flight and processor time an item",
        x: "calls in flight",
        points: &[1, 3, 10, 30, 100, 200],
        setting: |sign_type, in_flight| Setting { sign_type, accounts: 1, replicas: 1, in_flight, rate: None },
    },
    Question {
        file: "growth-accounts",
        title: "Accounts and processor time an item",
        x: "accounts, 200 calls in flight in all",
        points: &[1, 5, 20, 50, 200],
        setting: |sign_type, accounts| Setting {
            sign_type,
            accounts,
            replicas: 1,
            in_flight: 200 / accounts,
            rate: None,
        },
    },
    Question {
        file: "growth-replicas",
        title: "Replicas and processor time an item, all replicas together",
        x: "replicas, 50 calls in flight in each",
        points: &[1, 2, 4, 8],
        setting: |sign_type, replicas| Setting { sign_type, accounts: 1, replicas, in_flight: 50, rate: None },
    },
    Question {
        file: "growth-pace",
        title: "Pace and processor time an item",
        x: "items/s allowed, one replica, 50 calls in flight at most",
        points: &[50, 200, 500, 1_000, 2_000],
        setting: |sign_type, pace| Setting { sign_type, accounts: 1, replicas: 1, in_flight: 50, rate: Some(pace) },
    },
];

pub(crate) fn run(stage: &Stage) -> Result<Chapter> {
    let mut chapter = Chapter::new("How cost grows");
    chapter.prose(
        "Through RabbitMQ with the lean gateway, a few seconds each. A sleep is a thread of a worker that has nothing to do \
         and is woken again: the fewer items are in hand, the more of them fall to each. Signing in turn with 200 keys \
         costs what signing with one does; but a key's first signature costs more than two, as does each 32nd from then on, \
         for what blinds them is made anew. Each account's key has signed some eight times when its window begins.",
    );
    chapter.prose(
        "More accounts: lapin looks at each channel, and so at each account's, whenever it writes; system calls and sleeps \
         stay as they are, and the rest is spread over all that an item touches, which is its account's own and was last \
         touched that many items ago (by profiles of 1 and of 200 accounts). More replicas: each is delivered every claim of all \
         others, and spends on it about a tenth of what working an MD5 item costs it (by one that had nothing else to do); \
         with eight there are seven such deliveries an item. Less pace, in the last table, is like few calls in flight: each \
         item wakes every thread on its way by itself.",
    );
    for question in QUESTIONS {
        let mut table = Table::new([
            question.x,
            "sign type",
            "items/s",
            "worker: µs an item",
            "sleeps an item",
            "broker: µs",
            "busy",
        ]);
        let points = stage.effort.pick(&question.points[..2], question.points);
        let mut lines = Vec::new();
        for sign_type in [SignType::Md5, SignType::Rsa2] {
            let mut line = Line { name: sign_type.to_string(), points: Vec::new() };
            for point in points {
                let measured = measure(stage, (question.setting)(sign_type, *point))?;
                eprintln!("  {}, {point}, {sign_type}: {} µs an item", question.file, number(measured.cpu()));
                line.points.push((f64::from(*point), measured.cpu()));
                table.row([
                    point.to_string(),
                    sign_type.to_string(),
                    number(measured.rate()),
                    number(measured.cpu()),
                    number(measured.sleeps()),
                    number(measured.each(measured.broker.cpu())),
                    percent(measured.busy),
                ]);
            }
            lines.push(line);
        }
        chapter.table(table);
        chapter.plot(Plot {
            file: question.file,
            title: question.title.to_owned(),
            x: question.x,
            y: "processor time an item, µs",
            lines,
        });
    }
    Ok(chapter)
}

fn measure(stage: &Stage, setting: Setting) -> Result<Measured> {
    let Setting { sign_type, accounts, replicas, in_flight, rate } = setting;
    let accounts: Vec<Account> =
        (0..accounts).map(|number| Account { name: format!("account-{number}"), sign_type }).collect();
    let queues = Queues::declare(stage, &accounts)?;
    let (window, count) = match rate {
        None => window(stage, in_flight * replicas * setting.accounts, setting.accounts),
        Some(rate) => paced(stage, rate.into()),
    };
    let lot = Lot::new();
    queues.fill_all(&lot, &accounts, count)?;
    let gateway = Gateway::start(stage, Kind::Lean)?;
    let share = format!("mode = \"static\"\nshare = \"1/{replicas}\"\n");
    let mut limits = Limits { more: share, ..Limits::unbound(in_flight) };
    if let Some(rate) = rate {
        limits.rate = format!("{rate}/s");
        limits.burst = 1;
    }
    let text = stage.credentials.configuration(&gateway.url, &accounts, &limits);
    let workers = (0..replicas)
        .map(|_| Worker::start(stage, &format!("{}{text}", queues.configuration())))
        .collect::<Result<Vec<_>>>()?;
    let meter = Meter {
        workers: workers.iter().map(|worker| worker.process.id()).collect(),
        gateway: Some(gateway.process.id()),
        broker: Some(stage.broker_process()?),
    };
    meter.measure(window, &mut || workers.iter().map(Worker::settled).sum())
}

/// Signatures of a key before the window begins; the first is dearer.
const WARM_UP_EACH: u64 = 8;

/// What is put into the queues must last for the window at the highest pace that is to be expected.
fn window(stage: &Stage, in_flight: u32, accounts: u32) -> (Window, u64) {
    // Even at 1,000 items a second each key signs 64 times, so that what is made anew at each 32nd is in the figure.
    let seconds = stage.effort.pick(2, 3).max(u64::from(accounts) * 64 / 1_000);
    let (warm_up, pace) = match in_flight {
        ..5 => (100, 2_000),
        5..50 => (500, 8_000),
        50.. => (1_000, 12_000),
    };
    let warm_up = (WARM_UP_EACH * u64::from(accounts)).max(warm_up);
    let count = warm_up + pace * (seconds + 2);
    (Window { warm_up, length: Duration::from_secs(seconds), until: count }, count)
}

/// The same where the rate bounds the pace.
fn paced(stage: &Stage, rate: u64) -> (Window, u64) {
    let seconds = stage.effort.pick(2, 4);
    (Window { warm_up: rate, length: Duration::from_secs(seconds), until: u64::MAX }, rate * (seconds + 3))
}
