//! How far a command has come: a bar with rate and time left on a terminal, a plain line every tenth elsewhere.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::ops::cli::terminal::Terminal;

/// Whole items a second.
fn rate(state: &ProgressState, text: &mut dyn fmt::Write) {
    // A bar that cannot be drawn is no reason to stop.
    write!(text, "{:.0}/s", state.per_sec()).unwrap_or_default();
}

/// One piece of work being watched.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    terminal: Terminal,
    verb: &'static str,
    total: u64,
    told_tenths: AtomicU64,
    started: Instant,
}

impl Progress {
    /// Begins; `verb` is what happens to the items (`enqueued`, `ended`).
    pub(super) fn new(terminal: &Terminal, verb: &'static str, total: u64) -> Self {
        let bar = terminal.has_bars().then(|| {
            let bar = terminal.bars().add(ProgressBar::new(total));
            let template = "{bar:20} {pos}/{len} {prefix}  {rate}, {eta} left  {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.with_key("rate", rate));
            }
            bar.set_prefix(verb);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, terminal: terminal.clone(), verb, total, told_tenths: AtomicU64::new(0), started: Instant::now() }
    }

    /// Moves on; `note` is shown beside the numbers.
    pub(super) fn set(&self, done: u64, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(note.to_owned());
            return;
        }
        let tenths = (done * 10).checked_div(self.total).unwrap_or(10);
        if self.told_tenths.fetch_max(tenths, Ordering::Relaxed) < tenths {
            let seconds = self.started.elapsed().as_secs_f64();
            let note = if note.is_empty() { String::new() } else { format!("  {note}") };
            self.terminal.say(&format!("{done} of {} {} after {seconds:.1} s{note}", self.total, self.verb));
        }
    }

    /// Ends; the bar gives its line back.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Returns the time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
