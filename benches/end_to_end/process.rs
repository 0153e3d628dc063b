//! A process of the run: its lines, its cost, its end.
//!
//! Promise: dropped, it is gone; and none outlives the driver, however that ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command::tie;
use crate::usage::Usage;

/// One that runs.
pub(crate) struct Process {
    what: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// What one that ended came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) wall: Duration,
    /// As of a moment before its end.
    pub(crate) usage: Usage,
}

impl Process {
    /// Starts it; both outputs are read as they come.
    pub(crate) fn start(what: &str, mut command: Command) -> Result<Self> {
        tie(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{what} cannot be started"))?;
        let stdin = child.stdin.take();
        let (sender, lines) = channel();
        let outputs: [Option<Box<dyn Read + Send>>; 2] =
            [child.stdout.take().map(|out| Box::new(out) as _), child.stderr.take().map(|out| Box::new(out) as _)];
        for output in outputs.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
            });
        }
        Ok(Self { what: what.to_owned(), child, stdin, lines, seen: Vec::new() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that holds a text.
    pub(crate) fn line(&mut self, text: &str, patience: Duration) -> Result<String> {
        let until = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return Ok(line),
                Ok(line) => self.seen.push(line),
                Err(error) => bail!("{} told no line with {text:?} ({error}); it told: {:#?}", self.what, self.seen),
            }
        }
    }

    /// Says a line to it, and returns the next line it tells.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        let stdin = self.stdin.as_mut().context("it no longer listens")?;
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).with_context(|| self.what.clone())?;
        self.line("", Duration::from_secs(30))
    }

    /// Waits for its end, which must be a good one. Of what it costs the last look counts, at most 10 ms before.
    pub(crate) fn end(mut self, started: Instant, patience: Duration) -> Result<Ended> {
        let mut usage = Usage::default();
        loop {
            if let Some(last) = Usage::of(self.id()) {
                usage = last;
            }
            if let Some(status) = self.child.try_wait()? {
                let wall = started.elapsed();
                self.seen.extend(self.lines.iter());
                if !status.success() {
                    bail!("{} ended with {status}: {:#?}", self.what, self.seen);
                }
                return Ok(Ended { wall, usage });
            }
            if started.elapsed() > patience {
                bail!("{} does not end within {patience:?}: {:#?}", self.what, self.seen);
            }
            match self.lines.recv_timeout(Duration::from_millis(10)) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let ended = self.child.kill().and_then(|()| self.child.wait());
            if let Err(error) = ended {
                eprintln!("{} could not be ended: {error}", self.what);
            }
        }
    }
}
