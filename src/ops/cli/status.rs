//! `takedown status`: the fleet at a glance, once or for as long as somebody watches.
//!
//! It tells the fleet nothing and takes no message. Promise: a terminal is left as it was, however the command ends: no
//! mode of it is ever changed.

mod frame;
mod json;
pub(super) mod words;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::desk::fleet::FleetReport;
use crate::desk::fleet::watch::{COUNT_EVERY, FleetWatch};
use crate::domain::ids::AccountId;
use crate::domain::takedown::rfc3339;
use crate::ops::cli::Surroundings;
use crate::ops::cli::canvas;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::intake::account;
use crate::ops::cli::signals::Signals;
use crate::ops::cli::status::frame::Frame;
use crate::ops::cli::tables::Output;
use crate::ops::cli::times;
use crate::ops::config::units::duration;

/// Show accounts and replicas: state, rate, backlog, holds and their causes, dead letters.
///
/// Listens to the replicas for three heartbeats, some three seconds, or for six if none is heard, and counts what waits in
/// the broker's queues. `rate` is what the configuration allows, `now` what is called; `left` is how long the backlog takes
/// at the rate items truly end. Exit code 11 if no worker is there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  takedown status
  takedown status --watch              # redrawn until Ctrl-C
  takedown status shops --json         # one account, for programs
  takedown status --watch | tee log    # a line for each change")]
pub(super) struct StatusCommand {
    /// Only these accounts.
    #[arg(value_name = "ACCOUNT", value_parser = account)]
    accounts: Vec<AccountId>,
    /// Go on until interrupted: redrawn on a terminal, a line for each change elsewhere.
    #[arg(long, short)]
    watch: bool,
    /// How often to look again with --watch.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = every)]
    every: Duration,
    #[command(flatten)]
    output: Output,
}

fn every(text: &str) -> Result<Duration, String> {
    let every = duration(text).map_err(|problem| problem.to_string())?;
    if every < Duration::from_millis(100) { Err("at least 100ms".to_owned()) } else { Ok(every) }
}

impl StatusCommand {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let outline = surroundings.load_outline()?;
        self.refuse_strangers(outline.accounts.keys())?;
        let mut signals = Signals::new()?;
        let terminal = &surroundings.terminal;
        let (some, none) = (outline.pace.heartbeat * 3, outline.pace.lease());
        let waiting = terminal.waiting(&format!(
            "listening to the replicas: {}, or {} if none is heard",
            times::span(some),
            times::span(none)
        ));
        let mut fleet = FleetWatch::start(&outline.amqp, outline.accounts.into_keys(), COUNT_EVERY).await?;
        let is_interrupted = tokio::select! {
            () = fleet.settle(outline.pace.heartbeat) => false,
            () = signals.next() => true,
        };
        drop(waiting);
        if is_interrupted {
            return Ok(Exit::Interrupted);
        }
        let report = if self.watch {
            self.keep_watching(surroundings, &fleet, &mut signals).await?
        } else {
            let report = self.meant(fleet.look());
            let text = if self.output.json { json::of(&report).to_string() } else { frame::whole(&report) };
            terminal.result(&text)?;
            report
        };
        fleet.close();
        if !report.replicas.is_empty() {
            return Ok(Exit::Done);
        }
        let problem = "no worker is alive: nobody makes calls, and what is enqueued waits";
        terminal.fail(&Failure::new(Exit::Nobody, problem).remedy(
            "start one: takedown worker; or compare `amqp.url`, `amqp.prefix` and the version of the program with theirs",
        ));
        Ok(Exit::Nobody)
    }

    fn refuse_strangers<'a>(&self, known: impl Iterator<Item = &'a AccountId>) -> Result<(), Failure> {
        let known: Vec<&str> = known.map(AccountId::as_str).collect();
        let Some(stranger) = self.accounts.iter().find(|account| !known.contains(&account.as_str())) else {
            return Ok(());
        };
        let problem = format!("account `{stranger}` is not configured");
        Err(Failure::new(Exit::Usage, problem).remedy(format!("name one of: {}", known.join(", "))))
    }

    /// Leaves only what was asked for.
    fn meant(&self, mut report: FleetReport) -> FleetReport {
        if !self.accounts.is_empty() {
            report.accounts.retain(|account| self.accounts.contains(&account.id));
        }
        report
    }

    /// Looks again and again until a signal; returns the last look.
    async fn keep_watching(
        &self,
        surroundings: &Surroundings,
        fleet: &FleetWatch,
        signals: &mut Signals,
    ) -> Result<FleetReport, Failure> {
        let terminal = &surroundings.terminal;
        let is_redrawn = std::io::stdout().is_terminal() && !self.output.json && canvas::can_redraw();
        let mut timer = interval(self.every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut frame, mut told) = (Frame::default(), BTreeMap::new());
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                () = signals.next() => break,
            }
            let report = self.meant(fleet.look());
            let text = if self.output.json {
                json::of(&report).to_string()
            } else if is_redrawn {
                let foot = format!("{}, Ctrl-C ends", rfc3339(report.at));
                frame.redrawn(&format!("{}{foot}", frame::whole(&report)), canvas::size())
            } else {
                words::changed_lines(&report, &mut told).join("\n")
            };
            if !text.is_empty() {
                terminal.result(&text)?;
            }
        }
        let mut report = self.meant(fleet.look());
        report.at = clock::now();
        Ok(report)
    }
}
