//! Where a story is played: a broker, a sandbox, a worker, and a shell in a directory of its own.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::likeness::Names;
use super::script::Line;
use crate::support::broker::{shared_url, unique_prefix};
use crate::support::command::{Running, end, takedown, tie};

/// What the page calls the sandbox and the worker's page.
const SANDBOX: &str = "127.0.0.1:8750";
const WORKER: &str = "127.0.0.1:9100";

/// For what must come to be printed.
const DEADLINE: Duration = Duration::from_secs(90);

/// Between two tries of what is repeated.
const PAUSE: Duration = Duration::from_millis(200);

/// Of the account with most to do; the page says 50/s.
const RATE: &str = "400/s";

/// Items in the rehearsal's file, as the section's beginning says.
const ITEMS: &str = "4000";

/// A stage with everything at work.
pub(super) struct Stage {
    home: TempDir,
    bin: TempDir,
    prefix: String,
    sandbox: Option<Running>,
    address: SocketAddr,
    worker: Option<Running>,
    listen: SocketAddr,
    names: Names,
}

impl Stage {
    /// Starts the sandbox and a worker, and declares the topology, as the section's beginning tells.
    pub(super) fn set() -> Self {
        let (home, bin) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        symlink(env!("CARGO_BIN_EXE_takedown"), bin.path().join("takedown")).unwrap();
        let unknown: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (prefix, names) = (unique_prefix(), Names::default());
        let mut stage =
            Self { home, bin, prefix, sandbox: None, address: unknown, worker: None, listen: unknown, names };
        stage.follow("start sandbox");
        assert_eq!(end(stage.command(&["topology", "apply"])).code, Some(0));
        stage.follow("start worker");
        stage
    }

    /// Does what a direction says: `start` (the sandbox with more options) or `stop` the `sandbox` or the `worker`; or waits
    /// until `the worker reads its configuration anew`.
    pub(super) fn follow(&mut self, direction: &str) {
        let (direction, options) = match direction.strip_prefix("start sandbox") {
            Some(options) => ("start sandbox", options),
            None => (direction, ""),
        };
        match direction {
            "start sandbox" => {
                let listen = self.address.to_string();
                let mut arguments = vec!["sandbox", "--dir", "rehearsal", "--listen", &listen, "--items", ITEMS];
                arguments.extend(options.split_whitespace());
                let sandbox = Running::start(takedown(self.home.path(), &arguments));
                let line = sandbox.line("open_platform");
                self.address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
                sandbox.line("Ctrl-C");
                self.sandbox = Some(sandbox);
            }
            "start worker" => {
                let worker = Running::start(self.command(&["worker", "--log-format", "json"]));
                let line: serde_json::Value = serde_json::from_str(&worker.line("status server listens")).unwrap();
                self.listen = line["listen"].as_str().unwrap().parse().unwrap();
                worker.line("worker started");
                self.worker = Some(worker);
            }
            "the worker reads its configuration anew" => {
                self.worker.as_ref().expect("a worker runs").line("configuration read anew");
            }
            "stop sandbox" => stop(self.sandbox.take()),
            "stop worker" => stop(self.worker.take()),
            other => panic!("nobody knows how to {other:?}"),
        }
    }

    /// Runs commands, each once; what they print must be what the page tells.
    pub(super) fn run_all(&mut self, lines: &[Line]) {
        for line in lines {
            if let Err(problem) = self.run(line) {
                panic!("{problem}");
            }
        }
    }

    /// Runs commands again and again, until all print what the page tells.
    pub(super) fn repeat(&mut self, lines: &[Line]) {
        let until = Instant::now() + DEADLINE;
        while let Err(problem) = lines.iter().try_for_each(|line| self.run(line)) {
            assert!(Instant::now() < until, "in vain for {} s: {problem}", DEADLINE.as_secs());
            thread::sleep(PAUSE);
        }
    }

    fn run(&mut self, line: &Line) -> Result<(), String> {
        let typed = self.names.translate(&line.command);
        let typed = typed.replace(SANDBOX, &self.address.to_string()).replace(WORKER, &self.listen.to_string());
        let mut shell = Command::new("bash");
        // As on a terminal: both outputs in the order of writing.
        shell.args(["-c", &format!("{{ {typed}\n}} 2>&1")]).current_dir(self.home.path()).stdin(Stdio::null());
        self.surround(&mut shell);
        tie(&mut shell);
        let output = shell.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout)
            .replace(&self.address.to_string(), SANDBOX)
            .replace(&self.listen.to_string(), WORKER)
            .replace(&self.prefix, "takedown");
        self.names.compare(&line.printed, &printed).map_err(|missing| {
            let told = line.printed.join("\n");
            format!("$ {typed}\nis told to print:\n{told}\nand printed:\n{printed}\nmissing: {missing}")
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = takedown(self.home.path(), arguments);
        self.surround(&mut command);
        command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
        command
    }

    fn surround(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap();
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TAKEDOWN_")) {
            command.env_remove(name);
        }
        command
            .env("PATH", format!("{}:{path}", self.bin.path().display()))
            .env("COLUMNS", "120")
            .env("XDG_STATE_HOME", self.home.path().join("state"))
            .env("TAKEDOWN_CONFIG", "rehearsal/takedown.toml")
            .env("TAKEDOWN_AMQP__URL", shared_url())
            .env("TAKEDOWN_AMQP__PREFIX", &self.prefix)
            // What the page does not wait for either.
            .env("TAKEDOWN_RETRY__MAX_UNKNOWN_CODE_ATTEMPTS", "1")
            .env("TAKEDOWN_ACCOUNTS__SHOPS__RATE", RATE);
    }
}

fn stop(running: Option<Running>) {
    let running = running.expect("it runs");
    running.signal("TERM");
    let (status, lines) = running.wait();
    assert!(status.success(), "{status}: {lines:#?}");
}
