//! A whole world of its own for one run: broker, gateways, workers behind proxies, and a reader of what they tell.
//!
//! [`World::start`], [`World::enqueue`], [`World::man`]; then whatever is to go wrong; then [`World::end`], which waits
//! for every outcome, drains, and gathers the [`Evidence`] for [`check`](crate::checker::check). Who interrupts work (a
//! killed connection, a stopped broker) says so by [`World::note_interruption`]; deaths by SIGKILL count by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use takedown::domain::ids::AccountId;
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::{FinalOutcome, ItemIds, Reason};
use takedown::queue::DeadLetters;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::topology::Topology;
use takedown::sandbox::faults::Faults;
use takedown::sandbox::mix::Mix;
use takedown::sandbox::setup::{MAPI_ACCOUNT, OPEN_PLATFORM_ACCOUNT, Setup};
use takedown::sandbox::{ItemState, Sandbox, SandboxSettings};
use takedown::signing::SignType;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::checker::{Allowed, Evidence};
use crate::post::{Environment, Post};
use crate::reader::Reader;
use crate::support::broker::Broker;
use crate::support::queue::within;
use crate::support::{broker, rehearsal};

/// Attempts of an item.
const ATTEMPTS: u32 = 12;

/// Calls in flight at once, of each account and worker.
const IN_FLIGHT: u32 = 16;

/// A broker that died while it moved a message out of a retry rung moves it again once this time is over; the default is
/// three minutes.
pub(crate) const QUICK_RUNGS: &str = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 1000}]}].";

/// Between two looks at the queues.
const PAUSE: Duration = Duration::from_millis(100);

const UNREADABLE: &str = r#"{"version":1,"#;
const STRANGER: &str = r#"{"version":1,"id":"stranger-1","account":"nobody","takedown":{"gateway":"open_platform","commodity_id":"1","shop_id":"2"}}"#;

/// Messages no producer should send: account, id, body, and the end each comes to.
const ODD: [(&str, &str, &str, Reason); 2] = [
    (MAPI_ACCOUNT, "unreadable-1", UNREADABLE, Reason::InvalidMessage),
    (OPEN_PLATFORM_ACCOUNT, "stranger-1", STRANGER, Reason::UnknownAccount),
];

/// Which broker.
pub(crate) enum Site {
    /// A node of the world's own, with these settings in the Erlang terms of `advanced.config`.
    Own(&'static str),
    /// Brokers that run already; the workers' proxies lead to the first of them.
    Given(Vec<String>),
}

/// How a world is set up.
pub(crate) struct Options {
    /// Seed of the mix and of the sandbox's draws.
    pub(crate) seed: u64,
    /// Takedowns; two messages no producer should send come on top.
    pub(crate) items: usize,
    /// Takedowns whose every call meets a code no table lists, so that they end as dead letters.
    pub(crate) doomed: usize,
    /// Workers.
    pub(crate) workers: usize,
    /// TOML in each account's table: its rate and how it is shared.
    pub(crate) limits: String,
    /// The broker.
    pub(crate) site: Site,
    /// What each worker is started with besides.
    pub(crate) environment: Arc<Environment>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            items: 300,
            doomed: 3,
            workers: 2,
            limits: "rate = \"200/s\"\nmode = \"static\"\nshare = \"1/2\"".into(),
            site: Site::Own(QUICK_RUNGS),
            environment: Arc::new(|_, _| Vec::new()),
        }
    }
}

/// A running world.
pub(crate) struct World {
    /// The way to the broker without a proxy, under the world's own prefix.
    pub(crate) settings: AmqpSettings,
    /// Both gateways.
    pub(crate) sandbox: Sandbox,
    /// The workers' posts; number 1 is the first.
    pub(crate) posts: Vec<Post>,
    dir: TempDir,
    urls: Vec<String>,
    broker: Option<Arc<Mutex<Broker>>>,
    mix: Mix,
    doomed: BTreeSet<String>,
    reader: Reader,
    interruptions: AtomicU32,
}

fn accounts() -> Vec<AccountId> {
    [MAPI_ACCOUNT, OPEN_PLATFORM_ACCOUNT].map(|name| AccountId::new(name).unwrap()).to_vec()
}

impl World {
    /// Starts everything but the workers; nothing is enqueued yet.
    pub(crate) async fn start(options: Options) -> Self {
        let Options { seed, items, doomed, workers, limits, site, environment } = options;
        let (urls, broker) = match site {
            Site::Own(advanced) => {
                let broker = tokio::task::spawn_blocking(move || Broker::start_with(advanced)).await.unwrap();
                (vec![broker.url()], Some(Arc::new(Mutex::new(broker))))
            }
            Site::Given(urls) => (urls, None),
        };
        let setup = Setup::generate(SignType::Rsa).unwrap();
        let sandbox = Sandbox::start(SandboxSettings { seed, ..setup.settings().unwrap() }).await.unwrap();
        let mix = Mix::new(items, seed, &setup);
        mix.prepare(&sandbox);
        let on_sale = mix.takedowns.iter().filter(|takedown| mix.state(takedown) == ItemState::OnSale);
        let doomed = on_sale.take(doomed).map(|takedown| takedown.item.label()).collect();

        let settings = AmqpSettings { urls: urls.clone(), ..broker::settings(urls[0].clone()) };
        let dir = tempfile::tempdir().unwrap();
        let general = format!(
            "[fleet]\nheartbeat = \"1s\"\n[amqp]\nurl = {:?}\nprefix = {:?}\nconfirm_timeout = \"10s\"\n\
             [http]\nconnect_timeout = \"1s\"\ntotal_timeout = \"2s\"\n\
             [retry]\ndelays = [\"200ms\"]\nrungs = [\"200ms\", \"1s\"]\nmax_attempts = {ATTEMPTS}\n",
            urls[0], settings.prefix
        );
        let limits = format!("{limits}\nin_flight = {IN_FLIGHT}\ncool_down = \"200ms\"\nhold.first_probe = \"500ms\"");
        rehearsal::write(dir.path(), &setup, &sandbox, &general, &limits);
        Topology::new(&settings, &accounts()).apply(&settings).await.unwrap();
        let reader = Reader::start(urls.clone(), format!("{}.results.all", settings.prefix));
        let mut posts = Vec::new();
        for number in 1..=workers {
            let environment = Arc::clone(&environment);
            posts.push(Post::new(number, dir.path(), &urls[0], sandbox.address(), environment).await);
        }
        let interruptions = AtomicU32::new(0);
        let world = Self { settings, sandbox, posts, dir, urls, broker, mix, doomed, reader, interruptions };
        world.set_faults(&[]);
        world
    }

    /// Changes how often what goes wrong at the gateways, by rates such as `system_error=0.05`. What is doomed stays so.
    pub(crate) fn set_faults(&self, rates: &[&str]) {
        // More than all attempts of a message and its twins.
        let entry = |item: &String| format!("{{\"item\":{item:?},\"fault\":\"unlisted_code\"}}\n").repeat(100);
        let script: String = self.doomed.iter().map(entry).collect();
        self.sandbox.set_faults(Faults::parse(rates.iter().copied(), &script).unwrap());
    }

    /// Mans every post.
    pub(crate) fn man(&self) {
        self.posts.iter().for_each(Post::man);
    }

    /// Has something done to the world's own broker, such as `Broker::kill9`; one after the other.
    pub(crate) async fn with_broker<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Broker) -> T + Send + 'static,
    ) -> T {
        let broker = Arc::clone(self.broker.as_ref().expect("the broker is the world's own"));
        tokio::task::spawn_blocking(move || act(&mut broker.lock().unwrap())).await.unwrap()
    }

    /// Counts a fault that takes deliveries out of the workers' hands, each of which may then be called for once more.
    pub(crate) fn note_interruption(&self) {
        self.interruptions.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns how many ids the world has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.mix.takedowns.len() + ODD.len()
    }

    /// Returns how many ids have an outcome by now.
    pub(crate) fn told(&self) -> usize {
        *self.reader.ids().borrow()
    }

    /// Returns the same once no more came for so long: what was told a moment ago is read a moment later.
    pub(crate) async fn told_at_last(&self, quiet: Duration) -> usize {
        let mut told = self.reader.ids();
        while timeout(quiet, told.changed()).await.is_ok_and(|open| open.is_ok()) {}
        self.told()
    }

    /// Waits until so many ids have an outcome; says whether they had it in time.
    pub(crate) async fn reach(&self, ids: usize, deadline: Instant) -> bool {
        let mut told = self.reader.ids();
        let reached = timeout_at(deadline, told.wait_for(|count| *count >= ids)).await;
        reached.is_ok_and(|open| open.is_ok())
    }

    async fn connect(&self) -> Connection {
        for url in self.urls.iter().cycle().take(100) {
            match Connection::connect(url, ConnectionProperties::default()).await {
                Ok(connection) => return connection,
                Err(_) => sleep(PAUSE).await,
            }
        }
        panic!("no broker answers at the end of the run");
    }
}

mod end;
mod supply;
mod tests;
