//! `takedown sandbox`: both gateways on loopback, to try things on.

mod directory;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::limits::rate::Rate;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::cli::sandbox::directory::Directory;
use crate::ops::cli::signals::Signals;
use crate::ops::cli::{Surroundings, program};
use crate::ops::config::units;
use crate::sandbox::faults::{self, Faults};
use crate::sandbox::mix::Mix;
use crate::sandbox::{Sandbox, SandboxSettings};

/// Serve both gateways on loopback, to rehearse on.
///
/// Strict where the real ones are: a wrong signature, timestamp or parameter is refused. The Open Platform answers by
/// version 1.0 and v3, in key and in certificate mode. Items have a state, so that taking one down twice is told apart. Faults come by rates or from a file. With --dir, keys, a configuration and a file
/// of items are written once and used again later.
#[derive(Debug, Args)]
#[command(after_help = format!("Examples:\n  takedown sandbox --dir rehearsal\n  \
    takedown sandbox --dir rehearsal --fault timeout:taken=0.02 --latency 80ms\n\n\
    Faults: {}\n\
    A file of faults has one JSON object a line:\n  {{\"item\":\"…\",\"fault\":\"reset:taken\"}}", faults::WORDS))]
pub(super) struct SandboxCommand {
    /// Loopback address and port; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8750")]
    listen: SocketAddr,
    /// Where keys, takedown.toml and items.csv are kept. Without it, a directory that is deleted at the end.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Share of requests that meet a fault; may be given several times.
    #[arg(long, value_name = "FAULT=RATE")]
    fault: Vec<String>,
    /// Faults in a file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Seed of every draw: the same seed, the same faults on the same items.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time every answer takes, such as 80ms.
    #[arg(long, default_value = "0s", value_parser = latency)]
    latency: Duration,
    /// Calls taken of each partner or app, such as 20/s; more are refused as the gateways refuse too many.
    #[arg(long, value_name = "RATE")]
    limit: Option<Rate>,
    /// Items in the items.csv of a new directory.
    #[arg(long, default_value_t = 200, value_name = "N")]
    items: usize,
}

fn latency(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|problem| problem.to_string())
}

impl SandboxCommand {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let faults = self.read_faults()?;
        let directory = Directory::open(self.dir.as_deref())?;
        let setup = directory.setup()?;
        let settings = setup.settings().map_err(|error| Failure::new(Exit::Configuration, chain(&error)))?;
        let settings = SandboxSettings {
            listen: self.listen,
            faults,
            seed: self.seed,
            latency: self.latency,
            period: self.limit.as_ref().map(Rate::period),
            ..settings
        };
        let sandbox = Sandbox::start(settings).await?;
        let mix = Mix::new(self.items, self.seed, &setup);
        mix.prepare(&sandbox);
        let notes = directory.write_callers_side(&setup, &sandbox, &mix)?;

        let terminal = &surroundings.terminal;
        let mut signals = Signals::new()?;
        terminal.result(&self.greeting(&sandbox, &directory, &notes))?;
        signals.next().await;
        let seen = sandbox.seen().len();
        sandbox.stop().await;
        terminal.say(&format!("stopped after {seen} requests"));
        Ok(Exit::Done)
    }

    fn read_faults(&self) -> Result<Faults, Failure> {
        let text = match &self.faults {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                Failure::new(Exit::Usage, format!("the faults file {} cannot be read: {error}", path.display()))
            })?,
        };
        Faults::parse(self.fault.iter().map(String::as_str), &text).map_err(|error| {
            let place = self.faults.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default();
            Failure::new(Exit::Usage, format!("{place}{}", chain(&error)))
        })
    }

    /// Another terminal is in another directory: every path is told whole.
    fn greeting(&self, sandbox: &Sandbox, directory: &Directory, notes: &[String]) -> String {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let path = whole(directory.path());
        let path = path.display();
        let mut program = program();
        if program.contains('/') {
            program = whole(Path::new(&program)).display().to_string();
        }
        let mut text = format!(
            "mapi           {}\nopen_platform  {}\n  by v3        {}\nstate          http://{}/sandbox/seen, /sandbox/items\n",
            sandbox.mapi_url(),
            sandbox.open_platform_url(),
            sandbox.open_platform_v3_url(),
            sandbox.address(),
        );
        for note in notes {
            text.push_str(&format!("{note}\n"));
        }
        text.push_str(&format!(
            "\nIn another terminal:\n  export TAKEDOWN_CONFIG={path}/takedown.toml\n  \
             {program} check --no-broker\n  {program} run {path}/items.csv\n\
             With a RabbitMQ:\n  export TAKEDOWN_AMQP__URL=amqp://guest:guest@127.0.0.1:5672/%2f\n  \
             {program} topology apply\n  {program} enqueue {path}/items.csv\n  {program} worker\n\nCtrl-C stops it.\n"
        ));
        text
    }
}
