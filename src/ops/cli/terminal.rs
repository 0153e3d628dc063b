//! What a command has of its terminal: results to stdout, progress and logs to stderr, and the two not garbling each
//! other.

mod json_lines;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::ops::chart::text::{Paint, visible};
use crate::ops::cli::canvas;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::terminal::json_lines::JsonLines;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Stdout, stderr and the bars between them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Terminal {
    bars: MultiProgress,
}

impl Terminal {
    /// Starts logging to stderr, beside the bars.
    ///
    /// # Errors
    /// [`Exit::Usage`] when the filter cannot be read.
    pub(super) fn start_logging(&self, filter: &str, format: LogFormat) -> Result<(), Failure> {
        let filter = EnvFilter::try_new(filter).map_err(|error| {
            Failure::new(Exit::Usage, format!("the log filter {filter:?} cannot be read: {error}"))
                .remedy("write --log info, --log debug, or --log takedown=debug,lapin=warn")
        })?;
        let filter = filter.and(filter_fn(is_discreet));
        let lines = fmt::layer()
            .with_writer(BesideBars(self.bars.clone()))
            .with_ansi(canvas::stderr().paint == Paint::Coloured);
        let lines = match format {
            LogFormat::Text => lines.with_filter(filter).boxed(),
            LogFormat::Json => {
                lines.fmt_fields(JsonFields::new()).event_format(JsonLines::new()).with_filter(filter).boxed()
            }
        };
        let started = tracing_subscriber::registry().with(lines).try_init();
        started.map_err(|error| Failure::new(Exit::Unexpected, format!("logging cannot start: {error}")))
    }

    /// Returns the bars.
    #[must_use]
    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Says whether a person may be looking at the bars.
    #[must_use]
    pub(super) fn has_bars(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Writes a result to stdout. A reader that has gone (`| head`) is no fault.
    ///
    /// # Errors
    /// [`Exit::Unexpected`] when stdout cannot be written.
    pub(super) fn result(&self, text: &str) -> Result<(), Failure> {
        let write = || {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            if !text.ends_with('\n') {
                out.write_all(b"\n")?;
            }
            out.flush()
        };
        match self.bars.suspend(write) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Unexpected, format!("stdout cannot be written: {error}")))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Tells why a command failed, on stderr. What others wrote of it loses its control characters.
    pub(super) fn fail(&self, failure: &Failure) {
        let bold = AnsiColor::Red.on_default().bold();
        let text: Vec<String> = failure.to_string().lines().map(visible).collect();
        let text = text.join("\n");
        let told = text.strip_prefix("error:").map(|rest| {
            let (word, remedy) = (canvas::stderr().painted("error:", bold), "  what to do:");
            format!("{word}{}", rest.replacen(remedy, &canvas::stderr().painted(remedy, Style::new().bold()), 1))
        });
        self.say(&told.unwrap_or(text));
    }

    /// Shows that something is waited for, as long as the returned bar lives; nothing where there is no terminal.
    #[must_use]
    pub(super) fn waiting(&self, what: &str) -> Waiting {
        let bar = self.has_bars().then(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Waiting(bar)
    }

    /// Says something to the person, on stderr; a result would go to stdout.
    pub(super) fn say(&self, text: &str) {
        let mut line = text.to_owned();
        line.push('\n');
        self.bars.suspend(|| to_stderr(line.as_bytes()));
    }
}

/// Turns while something is waited for, and gives its line back when dropped.
#[derive(Debug)]
pub(super) struct Waiting(Option<ProgressBar>);

impl Waiting {
    /// Says what is waited for now.
    pub(super) fn on(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Keeps the finest lines of other crates back, whatever the filter asked for: lapin shows the login and every message in
/// them, hyper and rustls what they write and read. Down to `debug` none of them tells more than hosts, sizes and errors;
/// `tests/it/secrets.rs` looks at all they print.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    let is_ours = metadata.target().split("::").next() == Some("takedown");
    *metadata.level() < Level::TRACE || is_ours
}

/// Writes to stderr. That nobody takes it any more (a full disk, a closed pipe) is no reason to stop working, and could
/// only be told to stderr.
fn to_stderr(bytes: &[u8]) {
    io::stderr().write_all(bytes).unwrap_or_default();
}

/// Writes log lines to stderr while the bars step aside.
struct BesideBars(MultiProgress);

impl<'a> MakeWriter<'a> for BesideBars {
    type Writer = BesideBarsWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        BesideBarsWriter(&self.0)
    }
}

struct BesideBarsWriter<'a>(&'a MultiProgress);

impl Write for BesideBarsWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An error would be told by the subscriber with `eprintln!`, which panics on it.
        self.0.suspend(|| to_stderr(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
