//! The demo's stage: a sandbox with keys made for it, items of every fate, faults of every kind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::clock;
use crate::domain::ids::{AccountId, WorkerId};
use crate::domain::outcome::FinalOutcome;
use crate::domain::takedown::{Gateway, Takedown};
use crate::ops::cli::assemble;
use crate::ops::cli::demo::compare::Comparison;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::cli::rehearsal::{self, Pace};
use crate::ops::cli::watch::Watch;
use crate::ops::config::{Config, ConfigError};
use crate::ops::metrics::Metrics;
use crate::ops::observe::observer;
use crate::sandbox::faults::{Effect, Fault, Faults, Scripted};
use crate::sandbox::mix::Mix;
use crate::sandbox::setup::{MAPI_ACCOUNT, OPEN_PLATFORM_ACCOUNT, Setup, SetupError};
use crate::sandbox::{ItemState, Sandbox, SandboxSettings};
use crate::signing::SignType;
use crate::trace::Tracer;
use crate::worker::context::Context;

/// Items whose deadline has passed.
const EXPIRED: usize = 3;
/// Messages that are no takedowns.
const UNREADABLE: usize = 2;
/// The rate is chosen so that the calls take about this long.
const SECONDS_OF_CALLS: u32 = 5;
/// What retries, a throttled rate and the hold add to it.
const SECONDS_OF_TROUBLE: u32 = 4;
/// Calls a second of each account that two cores sign, serve and verify with room to spare; more items take longer.
const MAX_RATE: u32 = 100;
const MAX_ATTEMPTS: u32 = 4;
/// Attempts at an unlisted code, as the built-in default has them.
const UNKNOWN_CODE_ATTEMPTS: usize = 3;

/// A set stage.
pub(super) struct Stage {
    pub(super) sandbox: Sandbox,
    pub(super) mix: Mix,
    setup: Setup,
    directory: TempDir,
    /// Calls a second of each account, all workers together.
    rate: u32,
}

impl Stage {
    /// Makes keys and items, starts the gateways.
    ///
    /// `replicas` workers share the rate.
    pub(super) async fn set(items: u32, seed: u64, replicas: u32) -> Result<Self, Failure> {
        let unset = |error: &dyn std::error::Error| {
            Failure::new(Exit::Unexpected, format!("the demo cannot be set up: {}", chain(error)))
        };
        // RSA keys take a moment of computing.
        let setup = tokio::task::spawn_blocking(|| Setup::generate(SignType::Rsa));
        let setup: Result<Setup, SetupError> = setup.await.map_err(|error| unset(&error))?;
        let setup = setup.map_err(|error| unset(&error))?;
        let directory = TempDir::with_prefix("takedown-demo-").map_err(|error| unset(&error))?;
        rehearsal::write_keys(directory.path(), &setup)?;
        let mut mix = Mix::new(usize::try_from(items).unwrap_or(usize::MAX), seed, &setup);
        let past = clock::now() - Duration::from_hours(1);
        for index in on_sale(&mix).take(EXPIRED).collect::<Vec<_>>() {
            mix.takedowns[index].deadline = Some(past);
        }
        let settings = setup.settings().map_err(|error| unset(&error))?;
        let settings =
            SandboxSettings { faults: faults(&mix, replicas), seed, latency: Duration::from_millis(20), ..settings };
        let sandbox = Sandbox::start(settings).await?;
        mix.prepare(&sandbox);
        let rate = (items / 2 / SECONDS_OF_CALLS).clamp(10, MAX_RATE);
        Ok(Self { sandbox, mix, setup, directory, rate })
    }

    /// Says beforehand what will be seen, and why it takes as long as it does.
    pub(super) fn introduction(&self, is_broker: bool) -> String {
        let queue = if is_broker { "RabbitMQ and two workers" } else { "an embedded queue and one worker" };
        format!(
            "{} items, and {UNREADABLE} messages nobody can read, through {queue};\n\
             both gateways on {} with keys made for this demo.\n\
             Each account may make {} calls a second, so this takes about {} seconds.\n\
             Faults are played on purpose.\n",
            self.mix.takedowns.len(),
            self.sandbox.address(),
            self.rate,
            self.total() / 2 / u64::from(self.rate) + u64::from(SECONDS_OF_TROUBLE),
        )
    }

    /// Returns how many messages are to end: the items and the unreadable ones.
    pub(super) fn total(&self) -> u64 {
        (self.mix.takedowns.len() + UNREADABLE) as u64
    }

    /// Returns messages a broken producer might send.
    pub(super) fn unreadable(&self) -> [(AccountId, Vec<u8>); UNREADABLE] {
        let account = |name| AccountId::new(name).expect("invariant: both account names are account names");
        let misspelt = br#"{"version":1,"id":"broken-1","account":"shops","takedown":{"gateway":"open_platform","commodity":"1"}}"#;
        [
            (account(OPEN_PLATFORM_ACCOUNT), misspelt.to_vec()),
            (account(MAPI_ACCOUNT), b"close 2011063000011840 pls".to_vec()),
        ]
    }

    /// Returns where the demo keeps its files.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Loads the configuration as any command would; the rate is shared by the replicas.
    pub(super) fn config(&self, replicas: u32, environment: &BTreeMap<String, String>) -> Result<Config, Failure> {
        let pace = Pace {
            rate: format!("{}/s", (self.rate / replicas).max(1)),
            delays: &["300ms", "600ms", "1s"],
            rungs: &["500ms", "1s"],
            max_attempts: MAX_ATTEMPTS,
            total_timeout: "1s",
            cool_down: "300ms",
            first_probe: "500ms",
        };
        let text = rehearsal::configuration(&self.setup, &self.sandbox, &pace);
        let faults = |faults| Failure::from(ConfigError { path: None, faults });
        Config::parse(&text, self.directory.path(), environment).map_err(faults)
    }

    /// Builds one worker's context.
    pub(super) fn context(&self, name: &str, config: Config, watch: &Arc<Watch>) -> Result<Arc<Context>, Failure> {
        let worker = WorkerId::new(name).expect("invariant: the demo's worker names are worker names");
        let observer = watch.observer(observer(Arc::new(Metrics::new())));
        assemble::context(Config { worker, ..config }, Tracer::off(), observer)
    }

    /// Compares the outcomes with what the gateways know.
    pub(super) fn compare(&self, outcomes: &[FinalOutcome]) -> Comparison {
        Comparison::new(&self.mix, &self.sandbox, outcomes)
    }

    /// Stops the gateways.
    pub(super) async fn strike(self) {
        self.sandbox.stop().await;
    }
}

/// Indices of items that are simply on sale, in their order.
fn on_sale(mix: &Mix) -> impl Iterator<Item = usize> + '_ {
    let is_on_sale = |takedown: &&Takedown| mix.state(takedown) == ItemState::OnSale;
    let is_plain = move |(_, takedown): &(usize, &Takedown)| is_on_sale(takedown) && takedown.deadline.is_none();
    mix.takedowns.iter().enumerate().filter(is_plain).map(|(index, _)| index)
}

/// Every kind of fault by rates; and by a script those whose items must die, and one that holds an account.
fn faults(mix: &Mix, replicas: u32) -> Faults {
    let plain: Vec<usize> = on_sale(mix).collect();
    let label = |index: usize| Some(mix.takedowns[index].item.label());
    let mut script = Vec::new();
    let mut play = |index: usize, fault: &Fault, times: usize| {
        let entry = Scripted { item: label(index), fault: Some(fault.clone()) };
        script.extend(std::iter::repeat_n(entry, times));
    };
    for index in plain.iter().skip(4).take(2) {
        play(*index, &Fault::UnlistedCode, UNKNOWN_CODE_ATTEMPTS);
    }
    for index in plain.iter().skip(6).take(2) {
        play(*index, &Fault::SystemError(Effect::NotTaken), MAX_ATTEMPTS as usize);
    }
    // One refusal of a signature may be one item's odd text; two different items in a row hold the account.
    let is_app = |index: &usize| mix.takedowns[*index].item.gateway() == Gateway::OpenPlatform;
    for index in (mix.takedowns.len() / 3..mix.takedowns.len()).filter(is_app).take(3 * replicas as usize) {
        play(index, &Fault::IllegalSign, 1);
    }
    let rates = vec![
        (Fault::SystemError(Effect::Either), 0.03),
        (Fault::Timeout(Effect::Either), 0.01),
        (Fault::Reset(Effect::Either), 0.02),
        (Fault::Garbage, 0.01),
        (Fault::UnsignedSuccess, 0.01),
        (Fault::BadSignature, 0.01),
        (Fault::Throttled, 0.01),
        (Fault::Gbk, 0.03),
        (Fault::Latency(Duration::from_millis(200)), 0.05),
        (Fault::UnlistedCode, 0.01),
    ];
    Faults { script, rates }
}
