//! A broker of its own prefix, a sandbox, a worker, and a desk before them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cli::rehearsal::Rehearsal;
use crate::support::broker::{shared_url, unique_prefix};
use crate::support::command::{Running, end, http};
use crate::support::queue::eventually;

/// The batch the items are enqueued as.
pub(crate) const BATCH: &str = "mix-1";

/// The scene.
pub(crate) struct Stage {
    rehearsal: Rehearsal,
    prefix: String,
    worker: Option<(Running, SocketAddr)>,
}

impl Stage {
    /// Items enqueued as one batch, and nobody at work.
    pub(crate) async fn new(items: usize, options: &[&str]) -> Self {
        let stage = Self { rehearsal: Rehearsal::start(items, options), prefix: unique_prefix(), worker: None };
        assert_eq!(end(stage.command(&["topology", "apply"])).code, Some(0));
        let enqueued = end(stage.command(&["enqueue", "items.csv", "--batch", BATCH]));
        assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
        stage
    }

    /// Items that all became dead letters, half of them of each account, and a worker that would do better now.
    pub(crate) async fn with_dead_letters(items: usize) -> Self {
        let mut stage = Self::new(items, &["--fault", "unlisted_code=1"]).await;
        let mut worker = stage.command(&["worker", "--log-format", "json"]);
        worker.env("TAKEDOWN_RETRY__MAX_UNKNOWN_CODE_ATTEMPTS", "1");
        let worker = Running::start(worker);
        let line: Value = serde_json::from_str(&worker.line("status server listens")).unwrap();
        let address = line["listen"].as_str().unwrap().parse().unwrap();
        for _ in 0..items {
            worker.line("item is a dead letter");
        }
        stage.worker = Some((worker, address));
        stage
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.rehearsal.command(arguments);
        command.env("TAKEDOWN_AMQP__URL", shared_url()).env("TAKEDOWN_AMQP__PREFIX", &self.prefix);
        command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
        command
    }

    pub(crate) fn home(&self) -> &Path {
        self.rehearsal.home.path()
    }

    pub(crate) fn worker_address(&self) -> SocketAddr {
        self.worker.as_ref().unwrap().1
    }

    /// From now on the gateways answer as they should.
    pub(crate) fn heal(&self) {
        assert_eq!(http(self.rehearsal.address, "PUT", "/sandbox/faults", "").0, 204);
    }

    /// Opens a desk.
    pub(crate) fn desk(&self, options: &[&str]) -> Desk {
        Desk::start(self.command(&[&["desk", "--listen", "127.0.0.1:0"], options].concat()))
    }

    /// Waits until the gateway was called for so many items of an account after the faults were gone.
    pub(crate) async fn expect_outcomes(&self, account: &str, count: usize) {
        let address = self.worker_address();
        let name = "takedown_outcomes_total{";
        eventually("the outcomes of what was replayed", async || {
            let metrics = http(address, "GET", "/metrics", "").1;
            let is_meant = |line: &&str| {
                line.starts_with(name) && line.contains(&format!("account=\"{account}\"")) && !line.contains("\"dead\"")
            };
            let lines = metrics.lines().filter(is_meant);
            lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>() >= count as f64
        })
        .await;
    }
}

/// A desk's process.
pub(crate) struct Desk {
    process: Running,
    /// What it printed for its operator.
    pub(crate) link: String,
    pub(crate) address: SocketAddr,
}

impl Desk {
    pub(crate) fn start(command: Command) -> Self {
        let process = Running::start(command);
        let line = process.line("the desk is open: ");
        let link = line.split("open: ").nth(1).unwrap().trim().to_owned();
        let address = link.split("//").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        Self { process, link, address }
    }

    /// Follows the printed link as a program; returns the session's cookie.
    pub(crate) fn log_in(&self) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-i", &self.link]);
        let answer = end(curl).stdout;
        let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        line.split(';').next().unwrap().to_owned()
    }

    /// Reads a page in a session.
    pub(crate) fn get(&self, path: &str, cookie: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-H", "Accept: text/html", "-H", &format!("Cookie: {cookie}")]);
        curl.arg(format!("http://{}{path}", self.address));
        end(curl).stdout
    }

    /// Ends in order.
    pub(crate) fn closes(self) {
        self.process.signal("TERM");
        let (ended, lines) = self.process.wait();
        assert_eq!(ended.code(), Some(0), "{lines:#?}");
    }
}
