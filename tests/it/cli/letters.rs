//! The dead-letter desk as a person works at it, on a broker: planned, paced, interrupted, killed, resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use serde_json::Value;
use takedown::domain::outcome::{FinalOutcome, ItemIds, Status};

use super::broker::Production;
use crate::support::broker::shared_url;
use crate::support::command::{Ended, Running, end, http};

const ITEMS: usize = 60;

/// A production whose every item is a dead letter, and nobody at work.
struct Night {
    production: Production,
    channel: Channel,
    _connection: Connection,
}

impl Night {
    async fn fall() -> Self {
        let production = tokio::task::spawn_blocking(|| {
            let (production, worker) = Production::with_dead_letters_of(ITEMS);
            for _ in 0..ITEMS {
                worker.line("item is a dead letter");
            }
            leave(worker);
            production
        });
        let production = production.await.unwrap();
        let connection = Connection::connect(&shared_url(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { production, channel, _connection: connection }
    }

    /// From now on the gateways answer as they should.
    fn heal(&self) {
        assert_eq!(http(self.production.rehearsal.address, "PUT", "/sandbox/faults", "").0, 204);
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        end(self.production.command(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    }

    fn plan(&self, filter: &[&str]) -> String {
        let plan = self.json(&[&["dead-letters", "plan", "--json"], filter].concat());
        plan["plan"].as_str().unwrap().to_owned()
    }

    fn replay(&self, plan: &str, options: &[&str]) -> Command {
        self.production.command(&[&["dead-letters", "replay", "--plan", plan], options].concat())
    }

    fn letters(&self) -> Vec<Value> {
        self.json(&["dead-letters", "list", "--json", "--limit", "1000"]).as_array().unwrap().clone()
    }

    /// A worker that has two messages in hand at most, so that what waits is most of what is left to do.
    fn worker(&self) -> Running {
        let arguments = ["worker", "--log-format", "json", "--log", "takedown=debug"];
        let mut worker = self.production.command(&arguments);
        worker.env("TAKEDOWN_RETRY__MAX_UNKNOWN_CODE_ATTEMPTS", "1");
        for account in ["DESK", "SHOPS"] {
            worker.env(format!("TAKEDOWN_ACCOUNTS__{account}__IN_FLIGHT"), "1");
        }
        let worker = Running::start(worker);
        worker.line("worker started");
        worker
    }

    async fn ready(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let name = format!("{}.{queue}", self.production.prefix);
        let queue = self.channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await.unwrap();
        queue.message_count()
    }

    async fn waiting(&self) -> u32 {
        let mut sum = 0;
        // A call that a busy machine did not make in time is put off for a while.
        for queue in ["work.desk", "work.shops", "retry.1s", "retry.2s", "retry.5s", "retry.30s", "retry.2m"] {
            sum += self.ready(queue).await;
        }
        sum
    }

    /// Works off all that is at work, and has the worker leave: each copy of a message is told once, whatever it comes to.
    /// (That nothing is ready says little: a worker that leaves gives back what it had in hand.)
    async fn work_off(&self) {
        let copies = self.waiting().await;
        let worker = self.worker();
        tokio::task::block_in_place(|| {
            for _ in 0..copies {
                worker.line("item ended");
            }
            leave(worker);
        });
        assert_eq!(self.waiting().await, 0);
    }

    /// Takes the outcomes told so far; by message id, every different body.
    async fn outcomes(&self) -> BTreeMap<String, BTreeSet<Vec<u8>>> {
        let name = format!("{}.results.all", self.production.prefix);
        let mut outcomes: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
        while let Some(got) =
            self.channel.basic_get(name.as_str().into(), BasicGetOptions { no_ack: true }).await.unwrap()
        {
            let id = got.properties.message_id().as_ref().unwrap().to_string();
            outcomes.entry(id).or_default().insert(got.data.clone());
        }
        outcomes
    }

    /// Calls the gateways have seen, by item.
    fn calls(&self) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for line in http(self.production.rehearsal.address, "GET", "/sandbox/seen", "").1.lines() {
            let Ok(seen) = serde_json::from_str::<Value>(line) else { continue };
            *calls.entry(seen["item"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        calls
    }
}

fn leave(worker: Running) {
    worker.signal("TERM");
    let (ended, lines) = worker.wait();
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
}

/// Every item has one outcome in the round of its replay, no letter is left, and nobody was called for again after its end.
async fn assert_replayed_once(night: &Night, calls_before: &BTreeMap<String, usize>) {
    let outcomes = night.outcomes().await;
    let mut rounds: BTreeMap<(String, u32), BTreeSet<Vec<u8>>> = BTreeMap::new();
    for body in outcomes.values().flatten() {
        let outcome = FinalOutcome::decode(body).unwrap();
        rounds.entry((outcome.id, outcome.replays)).or_default().insert(body.clone());
    }
    // Calls that are accounted for by item, and whether they must be as many.
    let mut allowed: BTreeMap<String, (usize, bool)> = BTreeMap::new();
    let ids: BTreeSet<&str> = rounds.keys().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids.len(), ITEMS);
    for id in ids {
        let round = |number| rounds.get(&(id.to_owned(), number));
        assert_eq!(round(0).map(BTreeSet::len), Some(1), "{id}: its death");
        assert_eq!(round(1).map(BTreeSet::len), Some(1), "{id}: one outcome in the round");
        assert_eq!(round(2), None, "{id}: replayed twice");
        let ended = FinalOutcome::decode(round(1).unwrap().first().unwrap()).unwrap();
        assert_ne!(ended.status(), Status::Dead, "{ended:?}");
        let ItemIds { goods_id, commodity_id, shop_id } = ended.item;
        let item = goods_id.unwrap_or_else(|| format!("{}@{}", commodity_id.unwrap(), shop_id.unwrap()));
        let calls = (ended.attempts + ended.deferrals) as usize;
        // What was put off may have been so before its call reached anybody.
        let earlier = allowed.insert(item, (calls, ended.attempts == 1 && ended.deferrals == 0));
        assert_eq!(earlier, None, "{id}: an item of its own");
    }
    assert!(night.letters().is_empty());
    assert_eq!(night.waiting().await, 0);
    let again: Vec<_> = night
        .calls()
        .into_iter()
        .map(|(item, count)| (count - calls_before.get(&item).copied().unwrap_or_default(), item))
        .filter(|(count, item)| {
            let (calls, is_exact) = allowed[item];
            if is_exact { *count != calls } else { *count > calls }
        })
        .collect();
    assert_eq!(again, [], "calls that no attempt accounts for");
}

/// Killed at several moments, each time in the midst of what it publishes, or between a confirm and the ack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_replay_killed_at_any_moment_goes_on_and_ends_every_letter_once() {
    let night = Night::fall().await;
    let plan = night.plan(&[]);
    night.heal();
    let before = night.calls();
    let mut deaths = 0;
    for point in ["published:1", "published:2", "published:9", "replaying:1", "replaying:3", "replaying:7"] {
        let mut replay = night.replay(&plan, &["--rate", "100/s"]);
        replay.env("TAKEDOWN_FAULT_POINT", point);
        let (status, lines) = tokio::task::block_in_place(|| Running::start(replay).wait());
        assert_eq!(status.signal(), Some(9), "{point}: {lines:#?}");
        deaths += 1;
    }
    // And by a hand from outside, at whatever it is doing.
    for _ in 0..3 {
        let replay = Running::start(night.replay(&plan, &["--rate", "20/s"]));
        tokio::task::block_in_place(|| replay.line("put back to work"));
        replay.signal("KILL");
        let (status, _) = tokio::task::block_in_place(|| replay.wait());
        deaths += u32::from(status.signal() == Some(9));
    }
    assert!(deaths >= 8, "{deaths}");
    let left = night.letters().len();
    assert!((1..ITEMS).contains(&left), "{left} letters after the last death");
    let resumed = night.run(&["dead-letters", "replay", "--plan", &plan, "--rate", "500/s"]);
    assert_eq!((resumed.code, resumed.stdout), (Some(0), format!("{left} put back to work\n")));
    assert!(night.letters().is_empty());
    let doubled = night.waiting().await as usize - ITEMS;
    night.work_off().await;
    println!("{deaths} deaths, {left} letters left for the last run, {doubled} letters twice at work");
    assert_replayed_once(&night, &before).await;
}

/// As a crash between a confirm and an ack leaves them, beside one another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn copies_of_a_message_are_called_for_once() {
    let night = Night::fall().await;
    let plan = night.plan(&[]);
    night.heal();
    let before = night.calls();
    for _ in 0..8 {
        let mut replay = night.replay(&plan, &["--rate", "500/s", "--limit", "1"]);
        replay.env("TAKEDOWN_FAULT_POINT", "replaying:1");
        let (status, lines) = tokio::task::block_in_place(|| Running::start(replay).wait());
        assert_eq!(status.signal(), Some(9), "{lines:#?}");
    }
    assert_eq!(night.run(&["dead-letters", "replay", "--plan", &plan, "--rate", "500/s"]).code, Some(0));
    assert_eq!(night.waiting().await as usize, ITEMS + 8);
    night.work_off().await;
    assert_replayed_once(&night, &before).await;
}

/// Killed when the edited letter is there and the old one still is; what was wrong must not be called for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn an_edit_killed_in_between_is_ended_by_the_same_command_and_the_old_message_is_not_worked() {
    let night = Night::fall().await;
    let letters = night.letters();
    let id = letters.iter().find(|letter| letter["account"] == "shops").unwrap()["id"].as_str().unwrap();
    let of_id = || night.letters().into_iter().filter(|letter| letter["id"] == id).collect::<Vec<_>>();
    let killed = |value: &str| {
        let mut edit = night.production.command(&["dead-letters", "edit", id, "--set", value]);
        edit.env("TAKEDOWN_FAULT_POINT", "published:1");
        let (status, lines) = tokio::task::block_in_place(|| Running::start(edit).wait());
        assert_eq!(status.signal(), Some(9), "{lines:#?}");
        assert_eq!(of_id().len(), 2);
    };
    killed("shop_id=2088");
    let again = night.run(&["dead-letters", "edit", id, "--set", "shop_id=2088"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let [edited] = &of_id()[..] else { panic!("copies are left") };
    assert_eq!(edited["message"]["takedown"]["shop_id"], "2088");

    killed("shop_id=2099");
    night.heal();
    let before = night.calls();
    let replayed = night.run(&["dead-letters", "replay", "--id", id]);
    assert_eq!((replayed.code, replayed.stdout.as_str()), (Some(0), "1 put back to work\n"));
    night.work_off().await;
    let made = || {
        let calls = night.calls().into_iter().filter(|(item, count)| before.get(item) != Some(count));
        calls.map(|(item, count)| (item.split('@').nth(1).map(str::to_owned), count)).collect::<Vec<_>>()
    };
    assert_eq!(made(), [(Some("2099".to_owned()), 1)]);
    // What is left of it ends by the outcome its round has.
    let rest = night.run(&["dead-letters", "replay", "--id", id]);
    assert_eq!((rest.code, rest.stdout.as_str()), (Some(0), "1 put back to work\n"));
    night.work_off().await;
    assert_eq!(made(), [(Some("2099".to_owned()), 1)]);
    assert_eq!(of_id(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_plan_says_that_its_batch_was_cancelled_since() {
    let night = Night::fall().await;
    let plan = night.plan(&[]);
    night.heal();
    let before = night.calls();
    let letters = night.letters();
    let batch = letters[0]["batch"].as_str().unwrap();
    assert_eq!(night.run(&["batch", "cancel", batch]).code, Some(0));
    let told = format!("{ITEMS} letters are of batch {batch}, which ");
    let planned = night.run(&["dead-letters", "plan"]);
    assert!(planned.stdout.contains(&told), "{planned:?}");
    assert_eq!(night.json(&["dead-letters", "plan", "--json"])["cancelled"][0]["letters"], ITEMS);
    let replayed = night.run(&["dead-letters", "replay", "--plan", &plan, "--rate", "500/s"]);
    assert_eq!((replayed.code, replayed.stdout), (Some(0), format!("{ITEMS} put back to work\n")));
    assert!(replayed.stderr.contains(&told) && replayed.stderr.contains("without a call"), "{}", replayed.stderr);
    night.work_off().await;
    assert_eq!(night.calls(), before);
    assert!(night.letters().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_replay_is_stopped_by_a_signal_and_limited_by_number() {
    let night = Night::fall().await;
    let plan = night.plan(&[]);
    night.heal();
    let before = night.calls();
    let limited = night.run(&["dead-letters", "replay", "--plan", &plan, "--limit", "7"]);
    assert_eq!(limited.code, Some(0), "{limited:?}");
    assert!(limited.stdout.starts_with("7 put back to work; 53 of the plan wait: "), "{limited:?}");
    let replay = Running::start(night.replay(&plan, &["--rate", "10/s"]));
    tokio::task::block_in_place(|| replay.line("put back to work"));
    replay.signal("INT");
    let (status, lines) = tokio::task::block_in_place(|| replay.wait());
    assert_eq!(status.code(), Some(10), "{lines:#?}");
    let told = lines.iter().find(|line| line.contains("then stopped")).unwrap();
    let replayed: usize = told.split(' ').next().unwrap().parse().unwrap();
    let left = night.letters().len();
    assert_eq!((left, night.waiting().await as usize), (ITEMS - 7 - replayed, 7 + replayed), "{told}");
    assert!(told.contains(&format!("{left} are dead letters still: takedown dead-letters replay --plan {plan}")));
    let rest = night.run(&["dead-letters", "replay", "--plan", &plan]);
    assert_eq!((rest.code, rest.stdout), (Some(0), format!("{left} put back to work\n")));
    night.work_off().await;
    assert_replayed_once(&night, &before).await;
}

/// The gateway is as ill as before, so that every letter dies again while the others are being replayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_letter_that_dies_again_during_a_replay_is_not_replayed_again() {
    let night = Night::fall().await;
    let worker = night.worker();
    let plan = night.plan(&[]);
    let replayed = night.run(&["dead-letters", "replay", "--plan", &plan, "--rate", "30/s"]);
    assert_eq!((replayed.code, replayed.stdout), (Some(0), format!("{ITEMS} put back to work\n")));
    tokio::task::block_in_place(|| {
        for _ in 0..ITEMS {
            worker.line("item is a dead letter");
        }
        leave(worker);
    });
    let again = night.run(&["dead-letters", "replay", "--plan", &plan]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "0 put back to work\n"));
    let letters = night.letters();
    assert_eq!(letters.len(), ITEMS);
    for letter in &letters {
        assert_eq!(letter["replays"], 1, "{letter}");
        let history: Vec<_> =
            letter["history"].as_array().unwrap().iter().map(|e| e["what"].as_str().unwrap()).collect();
        assert_eq!(history, ["attempt", "end", "replay", "attempt", "end"], "{letter}");
        assert_eq!(letter["history"][2]["how"], plan.as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn letters_are_grouped_paged_edited_exported_and_purged() {
    let night = Night::fall().await;
    let groups = night.json(&["dead-letters", "groups", "--json"]);
    let counts: u64 = groups.as_array().unwrap().iter().map(|group| group["letters"].as_u64().unwrap()).sum();
    assert_eq!(counts, ITEMS as u64);
    let text = night.run(&["dead-letters", "groups"]);
    assert!(text.stdout.contains("unknown_code: The gateway answers a code that no table lists."), "{text:?}");

    let (mut seen, mut after) = (BTreeSet::new(), Vec::new());
    loop {
        let options: Vec<&str> = after.iter().map(String::as_str).collect();
        let page = night.json(&[&["dead-letters", "list", "--json", "--limit", "25"], options.as_slice()].concat());
        let page = page.as_array().unwrap();
        let ids: Vec<_> = page.iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.iter().all(|id| seen.insert(id.clone())), "a letter on two pages");
        match page.last() {
            Some(last) if page.len() == 25 => after = vec!["--after".into(), last["place"].as_str().unwrap().into()],
            Some(_) | None => break,
        }
    }
    assert_eq!(seen.len(), ITEMS);

    let letters = night.letters();
    let mapi = letters.iter().find(|letter| letter["account"] == "desk").unwrap();
    let id = mapi["id"].as_str().unwrap();
    let secret = night.run(&["dead-letters", "edit", id, "--set", "key=2011041704C579B6A4F446E7AA4421BC4CD218D7"]);
    assert_eq!(secret.code, Some(2), "{secret:?}");
    assert!(!secret.stderr.contains("20110417"), "{secret:?}");
    let wrong = night.run(&["dead-letters", "edit", id, "--set", "sns_user_id="]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("field `takedown.sns_user_id` is missing"), "{wrong:?}");
    let key = night.production.rehearsal.home.path().join("key.txt");
    std::fs::write(&key, "A0A1041704C579B6A4F446E7AA4421BC4CD218D7\n").unwrap();
    let key = format!("key=@{}", key.display());
    let edited = night.run(&["dead-letters", "edit", id, "--set", "close_reason=counterfeit", "--set", &key]);
    assert_eq!(edited.code, Some(0), "{edited:?}");
    assert!(edited.stdout.contains("changed takedown.close_reason, takedown.key;"), "{edited:?}");
    let shown = night.run(&["dead-letters", "show", id]);
    for part in ["counterfeit", r#""key": "***""#, "edited: takedown.close_reason, takedown.key"] {
        assert!(shown.stdout.contains(part), "{part} in {shown:?}");
    }
    assert_eq!(night.letters().len(), ITEMS);

    let file = night.production.rehearsal.home.path().join("letters.csv");
    let path = file.to_str().unwrap();
    let exported = night.run(&["dead-letters", "export", path, "--format", "csv", "--account", "desk"]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let mut rows = csv::Reader::from_path(&file).unwrap();
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    let desk = letters.iter().filter(|letter| letter["account"] == "desk").count();
    assert_eq!(rows.len(), desk);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("A0A10417") && text.contains("***"), "{text}");
    assert_eq!(night.run(&["dead-letters", "export", path]).code, Some(2), "it exists");

    // The number of before, when one more has come or gone, deletes nothing.
    let stale = night.run(&["dead-letters", "purge", "--account", "desk", "--expect", &(desk + 1).to_string()]);
    assert_eq!(stale.code, Some(9), "{stale:?}");
    assert_eq!(night.letters().len(), ITEMS);
    let purged = night.run(&["dead-letters", "purge", "--account", "desk", "--expect", &desk.to_string()]);
    assert_eq!((purged.code, purged.stdout), (Some(0), format!("{desk} deleted\n")));
    assert_eq!(night.letters().len(), ITEMS - desk);
}
