//! `takedown status` against real workers: at a glance, watched on a terminal, watched through a pipe.

use serde_json::Value;

use super::rehearsal::Rehearsal;
use crate::support::broker::{shared_url, unique_prefix};
use crate::support::command::{Running, end};
use crate::support::pty::Pty;

struct Fleet {
    rehearsal: Rehearsal,
    url: String,
    prefix: String,
}

impl Fleet {
    fn new(items: usize) -> Self {
        let fleet = Self { rehearsal: Rehearsal::start(items, &[]), url: shared_url(), prefix: unique_prefix() };
        assert_eq!(end(fleet.command(&["topology", "apply"])).code, Some(0));
        fleet
    }

    fn set(&self) -> [(&'static str, &str); 4] {
        [
            ("TAKEDOWN_AMQP__URL", &self.url),
            ("TAKEDOWN_AMQP__PREFIX", &self.prefix),
            ("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0"),
            ("TAKEDOWN_ACCOUNTS__SHOPS__RATE", "5/s"),
        ]
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.rehearsal.command(arguments);
        command.envs(self.set());
        command
    }

    fn worker(&self, name: &str) -> Running {
        let mut command = self.command(&["worker"]);
        command.env("TAKEDOWN_WORKER__ID", name);
        let worker = Running::start(command);
        worker.line("worker started");
        worker
    }

    fn on_terminal(&self, arguments: &[&str], size: (u16, u16), set: &[(&str, &str)]) -> Pty {
        let set = [&self.set()[..], set].concat();
        Pty::start(self.rehearsal.home.path(), arguments, size, &set)
    }
}

#[test]
#[ignore = "needs RabbitMQ"]
fn without_a_worker_the_backlog_is_shown_and_the_remedy_told() {
    let fleet = Fleet::new(6);
    assert_eq!(end(fleet.command(&["enqueue", "items.csv"])).code, Some(0));
    let ended = end(fleet.command(&["status"]));
    assert_eq!(ended.code, Some(11), "{ended:?}");
    assert!(ended.stderr.contains("no worker is alive") && ended.stderr.contains("takedown worker"), "{ended:?}");
    let row = ended.stdout.lines().find(|line| line.contains(" shops ")).unwrap();
    assert!(row.contains("unserved") && row.contains(" 3 "), "{}", ended.stdout);
    let stranger = end(fleet.command(&["status", "nobody"]));
    assert_eq!(stranger.code, Some(2), "{stranger:?}");
    assert!(stranger.stderr.contains("name one of: desk, shops"), "{stranger:?}");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_status_tells_states_rates_holds_and_their_causes() {
    let fleet = Fleet::new(6);
    let (_one, _two) = (fleet.worker("w-1"), fleet.worker("w-2"));
    let paused = end(fleet.command(&["pause", "shops", "--reason", "key\u{1b}[31m rotation"]));
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert_eq!(end(fleet.command(&["enqueue", "items.csv"])).code, Some(0));

    let told = end(fleet.command(&["status", "--json"]));
    assert_eq!(told.code, Some(0), "{told:?}");
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["replicas"].as_array().unwrap().len(), 2, "{told}");
    let accounts = told["accounts"].as_array().unwrap();
    let shops = accounts.iter().find(|account| account["account"] == "shops").unwrap();
    assert_eq!(shops["state"], "paused", "{told}");
    assert_eq!(shops["rate_per_second"], 5.0, "{told}");
    assert_eq!(shops["left_ms"], Value::Null, "{told}");
    assert!(shops["hold"]["since"].as_str().unwrap().starts_with("20"), "{told}");
    assert_eq!(shops["shares"].as_array().unwrap().len(), 2, "{told}");

    let shown = end(fleet.command(&["status"]));
    assert!(shown.stdout.starts_with("2 replicas: w-1 (4 accounts"), "{}", shown.stdout);
    assert!(shown.stdout.contains("shops: paused since "), "{}", shown.stdout);
    assert!(shown.stdout.contains("rotation\n  what to do:"), "{}", shown.stdout);
    assert!(shown.stdout.contains("takedown resume shops"), "{}", shown.stdout);
    assert!(!shown.stdout.contains('\u{1b}'), "a reason steers no terminal: {:?}", shown.stdout);
    let one = end(fleet.command(&["status", "desk"]));
    assert!(one.stdout.contains(" desk ") && !one.stdout.contains("shops"), "{}", one.stdout);
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_watched_status_is_redrawn_in_place_and_ctrl_c_leaves_the_terminal_whole() {
    let fleet = Fleet::new(6);
    let _worker = fleet.worker("w-1");
    let every = ["status", "--watch", "--every", "200ms"];
    let mut wide = fleet.on_terminal(&every, (110, 40), &[]);
    wide.until("Ctrl-C ends");
    let drawn = wide.until("A\r1 replica: w-1");
    assert!(drawn.contains("\u{1b}[J"), "{drawn:?}");
    // No mode of the terminal is touched: no other screen, no hidden cursor by the frames themselves.
    assert!(!drawn.contains("\u{1b}[?1049h"), "{drawn:?}");
    let paused = end(fleet.command(&["pause", "shops"]));
    assert_eq!(paused.code, Some(0), "{paused:?}");
    let drawn = wide.until("shops: \u{1b}[33mpaused since");
    assert!(drawn.contains("what to do: a person paused it"), "{drawn:?}");
    wide.press("\u{3}");
    let (code, _) = wide.end();
    assert_eq!(code, 0);

    let mut narrow = fleet.on_terminal(&every, (60, 20), &[("NO_COLOR", "1"), ("LC_ALL", "C")]);
    let drawn = narrow.until("Ctrl-C ends").replace('\r', "");
    narrow.press("\u{3}");
    assert_eq!(narrow.end().0, 0);
    let first = drawn.split("1 replica").nth(1).unwrap();
    assert!(first.contains("shops\u{1b}[K\n  state paused   rate 5/s"), "{first:?}");
    let plain = first.replace("\u{1b}[K", "").replace("\u{1b}[J", "");
    assert!(plain.is_ascii() && !plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.lines().skip(1).all(|line| line.len() <= 60), "{plain}");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_watched_status_that_is_piped_tells_a_line_for_each_change() {
    let fleet = Fleet::new(6);
    let worker = fleet.worker("w-1");
    let watching = Running::start(fleet.command(&["status", "--watch", "--every", "100ms"]));
    watching.line("replicas: 1 alive: w-1");
    watching.line(" shops: idle, backlog 0, in flight 0, dead 0");
    assert_eq!(end(fleet.command(&["pause", "shops"])).code, Some(0));
    watching.line(" shops: paused since ");
    worker.signal("TERM");
    let lines = watching.lines_to("replicas: no worker is alive");
    assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "{lines:?}");
    watching.signal("INT");
    let (ended, lines) = watching.wait();
    assert_eq!(ended.code(), Some(11), "{lines:?}");

    let watching = Running::start(fleet.command(&["status", "--watch", "--every", "100ms", "--json"]));
    let line: Value = serde_json::from_str(&watching.line("accounts")).unwrap();
    assert_eq!(line["accounts"][0]["account"], "desk", "{line}");
    watching.signal("TERM");
    watching.wait();
}
