//! Configuration: a TOML file and the environment, checked whole before anything starts.
//!
//! The annotated default (`default.toml`, printed by `takedown config`) is the lowest of three layers and the reference;
//! the file lies over it, the environment over both. Promise: every fault is reported at once, each with its key, its
//! place and a remedy, and no secret is ever printed.

mod account;
pub(super) mod amqp;
mod certificates;
mod desk;
mod environment;
mod fault;
mod keys;
mod mapi;
mod open_platform;
mod protocol;
mod quota;
mod raw;
mod section;
mod sources;
pub(super) mod suggest;
mod telemetry;
mod tls;
pub(super) mod units;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use account::AccountConfig;
pub use fault::{ConfigError, Fault, Origin};
pub use sources::Seen;
pub(in crate::ops) use worker::token_of_file;

use zeroize::Zeroizing;

use crate::domain::ids::{AccountId, WorkerId};
use crate::domain::retry::RetryPolicy;
use crate::domain::secret::Secret;
use crate::domain::takedown::Gateway;
use crate::gateway::http::HttpSettings;
use crate::limits::Sharing;
use crate::limits::fleet::{MAX_HEARTBEAT, Pace};
use crate::limits::rate::Rate;
use crate::ops::config::fault::{Faults, Problem};
use crate::ops::config::keys::Secrets;
use crate::ops::config::raw::Table;
use crate::ops::config::section::Section;
use crate::ops::config::sources::Sources;
use crate::ops::config::worker::Worker;
use crate::ops::telemetry::TelemetrySettings;
use crate::queue::amqp::AmqpSettings;

/// The annotated default file: the reference of every setting.
pub const DEFAULT: &str = include_str!("default.toml");

/// A whole, valid configuration; keys are loaded.
pub struct Config {
    /// This replica's name.
    pub worker: WorkerId,
    /// Where `/healthz`, `/readyz` and `/metrics` listen.
    pub listen: SocketAddr,
    /// What is asked of whoever wants more than `/healthz`; always there if `listen` is not loopback.
    pub token: Option<Secret>,
    /// How long a drain waits.
    pub drain_timeout: Duration,
    /// How often replicas hear of each other.
    pub pace: Pace,
    /// The broker.
    pub amqp: AmqpSettings,
    /// The HTTP client.
    pub http: HttpSettings,
    /// Where the desk keeps what it counted.
    pub desk_file: PathBuf,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Where spans go.
    pub telemetry: TelemetrySettings,
    /// Every account; at least one.
    pub accounts: BTreeMap<AccountId, AccountConfig>,
    /// What is no fault but should be mended: files of secrets that others may read.
    pub warnings: Vec<Fault>,
}

impl fmt::Debug for Config {
    /// Names the accounts; the broker's address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts: Vec<_> = self.accounts.keys().collect();
        f.debug_struct("Config").field("worker", &self.worker).field("accounts", &accounts).finish_non_exhaustive()
    }
}

/// What a producer or an operator needs to know: the broker and the accounts' names. No key is read but what the broker's
/// TLS needs.
pub struct Outline {
    /// The broker.
    pub amqp: AmqpSettings,
    /// How often replicas hear of each other.
    pub pace: Pace,
    /// Where spans go.
    pub telemetry: TelemetrySettings,
    /// Where the desk keeps what it counted.
    pub desk_file: PathBuf,
    /// The gateway of every account; at least one.
    pub accounts: BTreeMap<AccountId, Gateway>,
    /// How the rate of every account is shared, and with it how its work queue is declared.
    pub sharing: BTreeMap<AccountId, Sharing>,
    /// The rate of every account.
    pub rates: BTreeMap<AccountId, Rate>,
}

impl Config {
    /// Reads a file (or none) and the `TAKEDOWN_…` variables of `environment`, and checks everything.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
    pub fn load(path: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        Self::read(path, environment).0
    }

    /// Does the same, and returns the files that were read or missed, so that a change of them can be noticed.
    ///
    /// # Errors
    /// As [`Config::load`]; the files are told all the same.
    pub fn read(path: Option<&Path>, environment: &BTreeMap<String, String>) -> (Result<Self, ConfigError>, Seen) {
        let mut seen = Seen::default();
        if let Some(path) = path {
            seen.note(path);
        }
        let (text, base) = match open(path) {
            Ok(opened) => opened,
            Err(error) => return (Err(error), seen),
        };
        let sources = Sources::new(base, seen);
        let config = Self::parse_with(&text, &sources, environment).map_err(|faults| error(path, faults));
        (config, sources.into_seen())
    }

    /// Reads a text instead of a file; paths in it are relative to `base`.
    ///
    /// # Errors
    /// Every fault.
    pub fn parse(text: &str, base: &Path, environment: &BTreeMap<String, String>) -> Result<Self, Vec<Fault>> {
        Self::parse_with(text, &Sources::new(base, Seen::default()), environment)
    }

    /// Returns what an operator's side needs of it.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let gateway = |account: &AccountConfig| account.gateway.gateway();
        Outline {
            amqp: self.amqp.clone(),
            pace: self.pace,
            desk_file: self.desk_file.clone(),
            telemetry: self.telemetry.clone(),
            accounts: self.accounts.iter().map(|(id, account)| (id.clone(), gateway(account))).collect(),
            sharing: self.accounts.iter().map(|(id, account)| (id.clone(), account.limits.sharing)).collect(),
            rates: self.accounts.iter().map(|(id, account)| (id.clone(), account.limits.rate)).collect(),
        }
    }

    fn parse_with(text: &str, sources: &Sources, environment: &BTreeMap<String, String>) -> Result<Self, Vec<Fault>> {
        parse(text, sources, Secrets::From(sources), environment, |document| {
            let Worker { id: worker, listen, token, drain_timeout } = document.worker?;
            let account = |(id, read): (AccountId, account::Read)| Some((id, read.config?));
            Some(Self {
                worker,
                listen,
                token,
                drain_timeout,
                pace: document.pace?,
                amqp: document.amqp?,
                http: document.http?,
                desk_file: document.desk_file?,
                retry: document.retry?,
                telemetry: document.telemetry?,
                accounts: document.accounts?.into_iter().map(account).collect::<Option<_>>()?,
                warnings: document.warnings,
            })
        })
    }
}

impl Outline {
    /// Reads the same as [`Config::load`] and checks the same, but for keys and other secrets.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
    pub fn load(path: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let (text, base) = open(path)?;
        let sources = Sources::new(base, Seen::default());
        let outline = parse(&text, &sources, Secrets::Unneeded, environment, |document| {
            let accounts = document.accounts?;
            let sharing = accounts.iter().map(|(id, read)| (id.clone(), read.sharing)).collect();
            let rates = accounts.iter().map(|(id, read)| (id.clone(), read.rate)).collect();
            let accounts = accounts.into_iter().map(|(id, read)| (id, read.gateway)).collect();
            let (pace, telemetry, desk_file) = (document.pace?, document.telemetry?, document.desk_file?);
            Some(Self { amqp: document.amqp?, pace, telemetry, desk_file, accounts, sharing, rates })
        });
        outline.map_err(|faults| error(path, faults))
    }
}

/// The text may hold secrets.
fn open(path: Option<&Path>) -> Result<(Zeroizing<String>, &Path), ConfigError> {
    let Some(path) = path else { return Ok((Zeroizing::default(), Path::new(""))) };
    let text = read_file(path).map(Zeroizing::new).map_err(|fault| error(Some(path), vec![fault]))?;
    Ok((text, path.parent().unwrap_or_else(|| Path::new(""))))
}

/// Reads the three layers; `build` takes what it needs of the document, which has it all if there is no fault.
fn parse<T>(
    text: &str,
    sources: &Sources,
    secrets: Secrets<'_>,
    environment: &BTreeMap<String, String>,
    build: impl FnOnce(Document) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    let faults = Faults::default();
    let mut tree = Table::parse(DEFAULT, &faults).without_origins();
    tree.overlay(Table::parse(text, &faults));
    let syntax = faults.into_sorted();
    if !syntax.is_empty() {
        return Err(syntax);
    }
    let faults = Faults::default();
    environment::overlay(&mut tree, environment, &faults);
    telemetry::fill(&mut tree, environment, &faults);
    let built = build(read(&tree, sources, secrets, environment, &faults));
    let faults = faults.into_sorted();
    built.filter(|_| faults.is_empty()).ok_or(faults)
}

fn error(path: Option<&Path>, faults: Vec<Fault>) -> ConfigError {
    ConfigError { path: path.map(Path::to_owned), faults }
}

fn read_file(path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|error| Fault {
        key: String::new(),
        origin: Origin::Nowhere,
        problem: format!("{} cannot be read: {}", path.display(), keys::reason(&error)),
        remedy: "name another with --config, or write one: takedown config > takedown.toml".to_owned(),
    })
}

/// Finds the file to read: the one named, else `takedown.toml` here if there is one.
#[must_use]
pub fn find_file(named: Option<PathBuf>) -> Option<PathBuf> {
    let here = PathBuf::from("takedown.toml");
    named.or_else(|| here.is_file().then_some(here))
}

/// Everything as it was read; what is absent has a fault noted.
struct Document {
    worker: Option<Worker>,
    pace: Option<Pace>,
    amqp: Option<AmqpSettings>,
    http: Option<HttpSettings>,
    desk_file: Option<PathBuf>,
    retry: Option<RetryPolicy>,
    telemetry: Option<TelemetrySettings>,
    accounts: Option<Vec<(AccountId, account::Read)>>,
    warnings: Vec<Fault>,
}

fn read(
    tree: &Table,
    sources: &Sources,
    secrets: Secrets<'_>,
    environment: &BTreeMap<String, String>,
    faults: &Faults,
) -> Document {
    let mut root = Section::root(tree, faults);
    let worker = worker::read(root.section("worker"), secrets);
    let pace = fleet(root.section("fleet"));
    let (retry, rungs) = retry(root.section("retry"));
    let amqp = amqp::read(root.section("amqp"), Secrets::From(sources));
    let http = http(root.section("http"), secrets);
    let telemetry = telemetry::read(root.section("telemetry"));
    let desk = desk::read(root.section("desk"), sources.base());
    let accounts = accounts(&root.section("accounts"), secrets);
    root.finish();
    let amqp = match (amqp, rungs, &worker) {
        (Some((urls, prefix, confirm_timeout, tls)), Some(rungs), Some(Worker { id, .. })) => {
            Some(AmqpSettings { urls, tls, prefix, rungs, connection_name: id.to_string(), confirm_timeout })
        }
        _ => None,
    };
    let desk_file = desk.zip(amqp.as_ref()).map(|(named, amqp): (_, &AmqpSettings)| {
        named.unwrap_or_else(|| desk::default_file(sources.base(), environment, amqp))
    });
    Document { worker, pace, amqp, http, desk_file, retry, telemetry, accounts, warnings: faults.take_warnings() }
}

/// Shorter beats make more traffic, longer ones slower changes; a fence of less than a second would trip over any hiccup.
fn fleet(mut section: Section<'_>) -> Option<Pace> {
    let bounds = units::duration_within(Duration::from_millis(500), MAX_HEARTBEAT);
    let heartbeat = section.text("heartbeat", bounds);
    section.finish();
    Some(Pace { heartbeat: heartbeat? })
}

fn http(mut section: Section<'_>, secrets: Secrets<'_>) -> Option<HttpSettings> {
    let bounds = || units::duration_within(Duration::from_millis(10), Duration::from_mins(5));
    let connect_timeout = section.text("connect_timeout", bounds());
    let total_timeout = section.text("total_timeout", bounds());
    let max_body_bytes = section.number("max_body_bytes", 1024..=64 * 1024 * 1024);
    let roots = tls::roots(&mut section, secrets);
    if total_timeout < connect_timeout && total_timeout.is_some() {
        let problem = "is shorter than `connect_timeout`, which is a part of it";
        section.fault("total_timeout", Problem::new(problem, "make it longer"));
    }
    section.finish();
    Some(HttpSettings {
        connect_timeout: connect_timeout?,
        total_timeout: total_timeout?,
        max_body_bytes: max_body_bytes?,
        roots,
    })
}

fn retry(mut section: Section<'_>) -> (Option<RetryPolicy>, Option<Vec<Duration>>) {
    let bounds = || units::duration_within(Duration::from_millis(10), Duration::from_hours(24 * 7));
    let delays = section.list("delays", bounds());
    let rungs = section.list("rungs", bounds());
    for (key, list) in [("delays", &delays), ("rungs", &rungs)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            section.fault(key, Problem::new("is empty", "write at least one duration: [\"5s\"]"));
        }
    }
    if rungs.as_ref().is_some_and(|rungs| !rungs.is_sorted_by(|a, b| a < b)) {
        section.fault("rungs", Problem::new("is not ascending", "write the shortest first, and none twice"));
    }
    let max_attempts = section.number("max_attempts", 1..=1000);
    let max_unknown_code_attempts = section.number("max_unknown_code_attempts", 1..=1000);
    let max_age =
        section.text("max_age", units::duration_within(Duration::from_secs(1), Duration::from_hours(24 * 365)));
    section.finish();
    let policy = || {
        Some(RetryPolicy {
            delays: delays?,
            max_attempts: max_attempts?,
            max_unknown_code_attempts: max_unknown_code_attempts?,
            max_age: max_age?,
        })
    };
    (policy(), rungs)
}

fn accounts(section: &Section<'_>, secrets: Secrets<'_>) -> Option<Vec<(AccountId, account::Read)>> {
    let names = section.names();
    if names.is_empty() {
        let remedy = "add [accounts.NAME]; `takedown config` shows both kinds, `takedown sandbox --dir DIR` writes a \
                      rehearsal's configuration with keys of its own";
        section.fault_here(Problem::new("holds no account", remedy));
        return None;
    }
    let read = |name: &str| {
        let id = AccountId::new(name).map_err(|error| {
            section.fault(name, Problem::new(format!("as an account's name {error}"), "rename the account"));
        });
        let account = account::read(section.entry(name), secrets);
        Some((id.ok()?, account?))
    };
    let read: Vec<_> = names.into_iter().map(read).collect();
    read.into_iter().collect()
}
