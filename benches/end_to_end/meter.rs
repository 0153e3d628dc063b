//! A window of steady work: what was settled in it, and what that cost each process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::usage::{self, Usage};

/// Between two looks at a count while warming up.
const LOOK: Duration = Duration::from_millis(20);

/// Longest wait for the warm-up's end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest between two looks at a count within the window; whoever is asked pays for it.
const LOOK_WITHIN: Duration = Duration::from_millis(500);

/// Whose cost is taken, by their process ids.
pub(crate) struct Meter {
    /// Those who do the work.
    pub(crate) workers: Vec<u32>,
    pub(crate) gateway: Option<u32>,
    pub(crate) broker: Option<u32>,
}

/// When a window begins and ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Settled before it begins.
    pub(crate) warm_up: u64,
    /// Its length.
    pub(crate) length: Duration,
    /// It ends at so many settled at the latest, for nothing is left to do then.
    pub(crate) until: u64,
}

/// What a window came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) items: u64,
    pub(crate) wall: Duration,
    /// Of all workers together; the peak is the greatest of one.
    pub(crate) worker: Usage,
    pub(crate) gateway: Usage,
    pub(crate) broker: Usage,
    /// The busy part of all processors, by whomever.
    pub(crate) busy: f64,
}

struct Mark {
    at: Instant,
    items: u64,
    worker: Usage,
    gateway: Usage,
    broker: Usage,
    machine: (u64, u64),
}

impl Meter {
    /// Waits for the warm-up, then for the window's end.
    pub(crate) fn measure(&self, window: Window, count: &mut dyn FnMut() -> Result<u64>) -> Result<Measured> {
        let begun = Instant::now();
        let mut items = count()?;
        while items < window.warm_up {
            if begun.elapsed() > PATIENCE {
                bail!("only {items} of {} items to warm up with were settled in {PATIENCE:?}", window.warm_up);
            }
            std::thread::sleep(LOOK);
            items = count()?;
        }
        let first = self.mark(count)?;
        let end = first.at + window.length;
        let mut pause = LOOK;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(pause));
            if left <= pause {
                break;
            }
            let (done, rest) = match count()? {
                items if items >= window.until => break,
                items => (items - first.items, window.until - items),
            };
            // Half the time until nothing is left, at the pace so far.
            pause = LOOK_WITHIN.min(first.at.elapsed().mul_f64(ratio(rest, done) / 2.0));
        }
        let last = self.mark(count)?;
        if last.items <= first.items {
            bail!("nothing was settled between {} and the window's end", first.items);
        }
        let (busy, all) = (last.machine.0 - first.machine.0, last.machine.1 - first.machine.1);
        Ok(Measured {
            items: last.items - first.items,
            wall: last.at - first.at,
            worker: last.worker - first.worker,
            gateway: last.gateway - first.gateway,
            broker: last.broker - first.broker,
            busy: ratio(busy, all),
        })
    }

    fn mark(&self, count: &mut dyn FnMut() -> Result<u64>) -> Result<Mark> {
        let items = count()?;
        let at = Instant::now();
        let cost = |process: u32| Usage::of(process).with_context(|| format!("process {process} has ended"));
        let mut worker = Usage::default();
        for process in &self.workers {
            worker = worker + cost(*process)?;
        }
        let gateway = self.gateway.map_or(Ok(Usage::default()), cost)?;
        let broker = self.broker.map_or(Ok(Usage::default()), cost)?;
        Ok(Mark { at, items, worker, gateway, broker, machine: usage::machine() })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Measured {
    /// Items a second.
    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    pub(crate) fn rate(&self) -> f64 {
        self.items as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of processor time of the workers, an item.
    pub(crate) fn cpu(&self) -> f64 {
        self.each(self.worker.cpu())
    }

    /// The same of any time.
    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    pub(crate) fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.items as f64
    }

    /// Times a thread of the workers went to sleep, an item.
    pub(crate) fn sleeps(&self) -> f64 {
        ratio(self.worker.sleeps, self.items)
    }

    /// The processors a time kept busy.
    pub(crate) fn cores(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.wall.as_secs_f64()
    }
}
