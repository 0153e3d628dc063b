//! A worker's post: whoever dies there is relieved, as an orchestrator would do; proxies stand before broker and gateway.
//!
//! Promise: a post that is manned has a process, or will in a moment; every end nobody ordered is remembered.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::proxy::Proxy;
use crate::support::command::{self, takedown};

/// Before a process that ended by itself is followed by another.
const PAUSE: Duration = Duration::from_millis(200);

/// Exit code of a worker that cannot reach its broker: no fault of its own.
const BROKER: i32 = 4;

/// What a worker is started with besides its configuration, by the number of its post (from 1) and of its life (from 1).
pub(crate) type Environment = dyn Fn(usize, u32) -> Vec<(&'static str, String)> + Send + Sync;

/// One worker's place.
pub(crate) struct Post {
    /// Between the worker and the broker.
    pub(crate) broker: Proxy,
    /// Between the worker and both gateways.
    pub(crate) gateway: Proxy,
    shared: Arc<Shared>,
    keeper: Mutex<Option<JoinHandle<Option<ExitStatus>>>>,
}

struct Shared {
    number: usize,
    dir: PathBuf,
    /// Set by the proxies' addresses; the same for every life.
    ways: Vec<(String, String)>,
    environment: Arc<Environment>,
    process: Mutex<Option<u32>>,
    is_manned: AtomicBool,
    lives: AtomicU32,
    killed: AtomicU32,
    odd_ends: Mutex<Vec<String>>,
}

impl Post {
    /// Sets up an empty post in a directory with a configuration. `broker_url` is the broker's own address.
    pub(crate) async fn new(
        number: usize,
        dir: &Path,
        broker_url: &str,
        gateway: SocketAddr,
        environment: Arc<Environment>,
    ) -> Self {
        let mut url = url::Url::parse(broker_url).unwrap();
        let broker = Proxy::start(url.socket_addrs(|| Some(5672)).unwrap()[0]).await;
        url.set_ip_host(broker.address().ip()).unwrap();
        url.set_port(Some(broker.address().port())).unwrap();
        // A dead peer is found after twice as many seconds.
        url.set_query(Some("heartbeat=2"));
        let gateway = Proxy::start(gateway).await;
        let way = |path: &str| format!("http://{}{path}", gateway.address());
        let ways = [
            ("TAKEDOWN_AMQP__URL", url.to_string()),
            ("TAKEDOWN_ACCOUNTS__DESK__ENDPOINT", way(takedown::sandbox::mapi::PATH)),
            ("TAKEDOWN_ACCOUNTS__SHOPS__ENDPOINT", way(takedown::sandbox::open_platform::PATH)),
        ];
        let shared = Shared {
            number,
            dir: dir.to_owned(),
            ways: ways.map(|(name, value)| (name.to_owned(), value)).into(),
            environment,
            process: Mutex::new(None),
            is_manned: AtomicBool::new(false),
            lives: AtomicU32::new(0),
            killed: AtomicU32::new(0),
            odd_ends: Mutex::default(),
        };
        Self { broker, gateway, shared: Arc::new(shared), keeper: Mutex::new(None) }
    }

    /// Returns where the worker last started tells of itself, once it has said so in its log.
    pub(crate) fn listen(&self) -> Option<SocketAddr> {
        let log = std::fs::read_to_string(self.shared.log()).ok()?;
        let told =
            log.lines().rev().find_map(|line| line.split_once("status server listens")?.1.split_once("listen="))?;
        told.1.split(' ').next()?.parse().ok()
    }

    /// Starts a worker, and another one whenever it ends.
    pub(crate) fn man(&self) {
        let mut keeper = self.keeper.lock().unwrap();
        assert!(keeper.is_none(), "the post is manned already");
        self.shared.is_manned.store(true, Ordering::SeqCst);
        *keeper = Some(tokio::spawn(keep(Arc::clone(&self.shared))));
    }

    /// Kills the process without warning; the next one follows at once.
    pub(crate) fn kill(&self) {
        self.shared.signal("KILL");
    }

    /// Stops the process where it is, until [`Post::thaw`].
    pub(crate) fn freeze(&self) {
        self.shared.signal("STOP");
    }

    /// Lets a frozen process go on.
    pub(crate) fn thaw(&self) {
        self.shared.signal("CONT");
    }

    /// Has the worker drain and leaves the post empty; returns how its process ended, if there was one at that moment.
    pub(crate) async fn relieve(&self) -> Option<ExitStatus> {
        self.thaw();
        self.leave("TERM").await
    }

    /// Kills the worker and leaves the post empty.
    pub(crate) async fn clear(&self) {
        self.leave("KILL").await;
    }

    async fn leave(&self, signal: &str) -> Option<ExitStatus> {
        let keeper = self.keeper.lock().unwrap().take()?;
        self.shared.dismiss(signal);
        keeper.await.unwrap()
    }

    /// Returns how many processes have been started.
    pub(crate) fn lives(&self) -> u32 {
        self.shared.lives.load(Ordering::SeqCst)
    }

    /// Returns how many processes died by SIGKILL, whoever sent it.
    pub(crate) fn killed(&self) -> u32 {
        self.shared.killed.load(Ordering::SeqCst)
    }

    /// Returns the ends nobody ordered that no fault explains.
    pub(crate) fn odd_ends(&self) -> Vec<String> {
        self.shared.odd_ends.lock().unwrap().clone()
    }
}

impl Shared {
    /// A signal that finds nobody is for nobody: the next process is about to start.
    fn signal(&self, name: &str) {
        send(name, *self.process.lock().unwrap());
    }

    /// Has nobody follow the one who gets this signal.
    fn dismiss(&self, signal: &str) {
        let process = self.process.lock().unwrap();
        self.is_manned.store(false, Ordering::SeqCst);
        send(signal, *process);
    }

    /// Starts the next process, if one is to follow.
    fn spawn(&self) -> Option<Child> {
        let mut process = self.process.lock().unwrap();
        if !self.is_manned.load(Ordering::SeqCst) {
            return None;
        }
        let child = self.command().spawn().unwrap();
        *process = child.id();
        Some(child)
    }

    fn log(&self) -> PathBuf {
        self.dir.join(format!("worker-{}.log", self.number))
    }

    fn command(&self) -> tokio::process::Command {
        let life = self.lives.fetch_add(1, Ordering::SeqCst) + 1;
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = takedown(&self.dir, &["worker"]);
        command
            .env("TAKEDOWN_WORKER__ID", format!("worker-{}.{life}", self.number))
            .env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0")
            // lapin has 8 MiB of buffers a connection, zeroed. glibc would learn from the first that is closed to take them
            // from its heap, where they stay in memory or not by chance, and nobody could see whether memory grows.
            .env("MALLOC_MMAP_THRESHOLD_", "131072")
            .envs(self.ways.iter().cloned())
            .envs((self.environment)(self.number, life))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        command
    }

    fn judge(&self, status: ExitStatus) {
        match (status.code(), status.signal()) {
            (_, Some(9)) => drop(self.killed.fetch_add(1, Ordering::SeqCst)),
            (Some(BROKER), _) => {}
            _ => self.odd_ends.lock().unwrap().push(format!("worker-{}: {status}", self.number)),
        }
    }
}

fn send(signal: &str, process: Option<u32>) {
    if let Some(id) = process {
        command::signal(signal, id);
    }
}

/// Returns how the last process ended that was there when the post was left.
async fn keep(shared: Arc<Shared>) -> Option<ExitStatus> {
    loop {
        let mut child = shared.spawn()?;
        let status = child.wait().await.unwrap();
        *shared.process.lock().unwrap() = None;
        if !shared.is_manned.load(Ordering::SeqCst) {
            return Some(status);
        }
        shared.judge(status);
        if status.signal() != Some(9) {
            sleep(PAUSE).await;
        }
    }
}
