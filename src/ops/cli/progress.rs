//! How far a command has come: a bar with rate and time left on a terminal, a plain line every tenth elsewhere.
//!
//! Whoever works tells the numbers, and once it knows them the pace: the rate at which items truly end, or what holds
//! them. Promise: no time left is shown for what does not move; and where lines are read instead of bars, one comes at
//! least every half minute, so that silence means that something is wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::ops::cli::terminal::Terminal;
use crate::ops::cli::times;

/// Longest silence where lines are read.
const SILENCE: Duration = Duration::from_secs(30);

/// How the work goes on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Pace {
    /// As it did: rate and time left are taken from what was done.
    #[default]
    Measured,
    /// As somebody else knows better.
    Known {
        /// Items a second.
        rate: Option<f64>,
        /// Until all is done.
        left: Option<Duration>,
    },
    /// Not at all, because of this: `held since 14:02 because ILLEGAL_SIGN`.
    Held(String),
}

/// One piece of work being watched.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    terminal: Terminal,
    verb: &'static str,
    total: u64,
    pace: Arc<Mutex<Pace>>,
    told: Mutex<Told>,
    started: Instant,
}

/// What was told in lines.
#[derive(Debug)]
struct Told {
    tenths: u64,
    at: Instant,
    pace: Pace,
}

impl Progress {
    /// Begins; `verb` is what happens to the items (`enqueued`, `ended`).
    pub(super) fn new(terminal: &Terminal, verb: &'static str, total: u64) -> Self {
        let pace: Arc<Mutex<Pace>> = Arc::default();
        let bar = terminal.has_bars().then(|| {
            let bar = terminal.bars().add(ProgressBar::new(total));
            if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {prefix}  {pace}  {wide_msg}") {
                let shown = Arc::clone(&pace);
                let style = style.with_key("pace", move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                    // A bar that cannot be drawn is no reason to stop.
                    text.write_str(&line(&lock(&shown), state)).unwrap_or_default();
                });
                bar.set_style(style);
            }
            bar.set_prefix(verb);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let started = Instant::now();
        let told = Mutex::new(Told { tenths: 0, at: started, pace: Pace::Measured });
        Self { bar, terminal: terminal.clone(), verb, total, pace, told, started }
    }

    /// Says how the work goes on from here.
    pub(super) fn pace(&self, pace: Pace) {
        *lock(&self.pace) = pace;
    }

    /// Moves on; `note` is shown beside the numbers.
    pub(super) fn set(&self, done: u64, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(note.to_owned());
            return;
        }
        let (total, pace) = (self.total, lock(&self.pace).clone());
        let tenths = (done * 10).checked_div(total).unwrap_or(10);
        {
            let mut told = lock(&self.told);
            if told.tenths >= tenths && is_as_told(&told.pace, &pace) && told.at.elapsed() < SILENCE {
                return;
            }
            *told = Told { tenths: told.tenths.max(tenths), at: Instant::now(), pace: pace.clone() };
        }
        let elapsed = self.started.elapsed();
        let mut text = format!("{done} of {total} {} after {:.1} s", self.verb, elapsed.as_secs_f64());
        let left = time_left(&pace, done, total, elapsed).filter(|left| left.as_secs() > 0);
        if let Some(left) = left {
            text.push_str(&format!(", {} left", times::span(left)));
        }
        for more in [held(&pace), note].into_iter().filter(|more| !more.is_empty()) {
            text.push_str(&format!("  {more}"));
        }
        self.terminal.say(&text);
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

/// A panic elsewhere leaves nothing half written here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A rate changes at every look, and the age in a hold's text too: neither is worth a line.
fn is_as_told(told: &Pace, now: &Pace) -> bool {
    let start = |text: &str| text.split(" (").next().map(ToOwned::to_owned);
    match (told, now) {
        (Pace::Held(told), Pace::Held(now)) => start(told) == start(now),
        (Pace::Measured | Pace::Known { .. }, Pace::Measured | Pace::Known { .. }) => true,
        (Pace::Held(_), _) | (_, Pace::Held(_)) => false,
    }
}

fn held(pace: &Pace) -> &str {
    match pace {
        Pace::Held(cause) => cause,
        Pace::Measured | Pace::Known { .. } => "",
    }
}

/// Writes `12/s, 40 s left`, or what holds it.
fn line(pace: &Pace, state: &ProgressState) -> String {
    let (rate, left) = match pace {
        Pace::Held(cause) => return cause.clone(),
        // Of what did not begin yet nobody knows how long it takes.
        Pace::Measured => (Some(state.per_sec()), Some(state.eta()).filter(|_| state.pos() > 0)),
        Pace::Known { rate, left } => (*rate, *left),
    };
    let left = left.map(|left| format!("{} left", times::span(left)));
    rate.map(times::rate).into_iter().chain(left).collect::<Vec<_>>().join(", ")
}

/// Returns how long the rest takes; `None` where nobody can know.
fn time_left(pace: &Pace, done: u64, total: u64, elapsed: Duration) -> Option<Duration> {
    let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let rate = match pace {
        Pace::Held(_) => return None,
        Pace::Measured => count(done) / elapsed.as_secs_f64(),
        Pace::Known { left, .. } => return *left,
    };
    Duration::try_from_secs_f64(count(total.saturating_sub(done)) / rate).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_has_no_time_left() {
        let minute = Duration::from_mins(1);
        assert_eq!(time_left(&Pace::Measured, 60, 120, minute), Some(minute));
        let known = |left| Pace::Known { rate: Some(0.0), left };
        assert_eq!(time_left(&known(Some(minute)), 60, 120, minute), Some(minute));
        assert_eq!(time_left(&Pace::Held("held".into()), 60, 120, minute), None);
        assert_eq!(time_left(&Pace::Measured, 0, 120, minute), None, "nothing was done yet");
        assert_eq!(time_left(&known(None), 60, 120, minute), None);
    }
}
