//! One outcome an item: a worker dies between confirm and ack, and whoever comes after it finds a world in which the item
//! would be judged otherwise.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::{FinalOutcome, Reason};
use takedown::domain::takedown::Takedown;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::intake::AmqpIntake;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::{DeadLetters, Intake};
use takedown::sandbox::faults::Faults;
use takedown::sandbox::setup::Setup;
use takedown::sandbox::{ItemState, Sandbox};
use takedown::signing::SignType;

use crate::support::command::{Running, takedown};
use crate::support::queue::{account, within};
use crate::support::{broker, rehearsal};

const SETTINGS: &str = "[retry]\ndelays = [\"200ms\"]\nrungs = [\"200ms\", \"1s\"]\n";

/// What the second worker would make of the item by itself.
struct Case {
    id: &'static str,
    /// The item beforehand.
    state: ItemState,
    /// How the call of the first worker fails, if it does.
    fault: Option<&'static str>,
    max_attempts: &'static str,
    /// Whether the item's deadline has passed when the second worker comes.
    is_late: bool,
    /// What both tell.
    reason: Reason,
    /// Most calls.
    calls: usize,
}

const CASES: [Case; 4] = [
    // Redelivered, it would read as taken down by the first.
    Case {
        id: "off-sale",
        state: ItemState::OffSale,
        fault: None,
        max_attempts: "6",
        is_late: false,
        reason: Reason::NotOnSale,
        calls: 1,
    },
    // It would have expired.
    Case {
        id: "late",
        state: ItemState::OnSale,
        fault: None,
        max_attempts: "6",
        is_late: true,
        reason: Reason::TakenDown,
        calls: 1,
    },
    // Another call would succeed.
    Case {
        id: "exhausted",
        state: ItemState::OnSale,
        fault: Some("system_error"),
        max_attempts: "1",
        is_late: false,
        reason: Reason::OutcomeUnknown,
        calls: 1,
    },
    // The message and the one put back to wait are both there, and may both be called for.
    Case {
        id: "put-back",
        state: ItemState::OnSale,
        fault: Some("system_error"),
        max_attempts: "6",
        is_late: false,
        reason: Reason::TakenDownEarlier,
        calls: 3,
    },
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_worker_that_dies_after_a_confirm_has_said_the_last_word() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::generate(SignType::Rsa).unwrap();
    let sandbox = Sandbox::start(setup.settings().unwrap()).await.unwrap();
    let settings = broker::settings(tokio::task::spawn_blocking(broker::shared_url).await.unwrap());
    let general = format!("[amqp]\nurl = {:?}\nprefix = {:?}\n{SETTINGS}", settings.urls[0], settings.prefix);
    rehearsal::write(dir.path(), &setup, &sandbox, &general, "mode = \"static\"\nshare = \"1/1\"");
    let accounts = ["desk", "shops"].map(account).to_vec();
    let topology = Topology::new(&settings, &accounts);
    topology.apply(&settings).await.unwrap();
    let intake = AmqpIntake::connect(&settings).await.unwrap();
    let mut results = Results::connect(&settings).await.unwrap();

    for case in CASES {
        let item = message(&case).item.label();
        sandbox.set_item(&item, case.state);
        let script = case.fault.map(|fault| format!("{{\"fault\":{fault:?}}}\n")).unwrap_or_default();
        sandbox.set_faults(Faults::parse(std::iter::empty(), &script).unwrap());
        intake.enqueue(vec![message(&case)]).await.unwrap();
        let mut first = worker(dir.path(), &case);
        first.env("TAKEDOWN_FAULT_POINT", "confirmed:1");
        let (status, lines) = tokio::task::spawn_blocking(|| Running::start(first).wait()).await.unwrap();
        assert_eq!(status.signal(), Some(9), "{}: {lines:#?}", case.id);

        let mut second = worker(dir.path(), &case);
        if case.is_late {
            let clock = dir.path().join("clock");
            std::fs::write(&clock, "86400").unwrap();
            second.env("TAKEDOWN_CLOCK_FILE", clock);
        }
        let second = Running::start(second);
        let mut told: Vec<(String, FinalOutcome)> = Vec::new();
        for _ in 0..2 {
            told.push(within("an outcome", results.next()).await.unwrap());
        }
        second.signal("TERM");
        let (status, lines) = tokio::task::spawn_blocking(|| second.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{lines:#?}");
        assert_eq!(told[0], told[1], "{}", case.id);
        assert_eq!((told[0].1.id.as_str(), told[0].1.reason), (case.id, case.reason));
        assert!(lines.iter().any(|line| line.contains("the item had ended before")), "{}: {lines:#?}", case.id);
        let calls = sandbox.seen().iter().filter(|seen| seen.item == item).count();
        assert!(calls <= case.calls, "{}: {calls} calls", case.id);
    }
    let letters = AmqpDeadLetters::connect(&settings, accounts).await.unwrap();
    let letters = letters.list(&LetterFilter::default()).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["exhausted"]);
    topology.delete(&settings).await.unwrap();
}

fn worker(dir: &Path, case: &Case) -> std::process::Command {
    let mut command = takedown(dir, &["worker"]);
    command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0").env("TAKEDOWN_RETRY__MAX_ATTEMPTS", case.max_attempts);
    command
}

fn message(case: &Case) -> Takedown {
    let soon = std::time::SystemTime::now() + Duration::from_hours(1);
    Takedown { deadline: case.is_late.then_some(soon), ..crate::support::queue::takedown(case.id, "shops") }
}
