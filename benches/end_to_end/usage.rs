//! What a process costs, as the kernel counts it.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

/// The kernel counts processor time in hundredths of a second here (`getconf CLK_TCK`, 100 on every Linux we know).
const TICK: Duration = Duration::from_millis(10);

/// Processor time and memory of a process so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// Times a thread of it went to sleep; of those that live.
    pub(crate) sleeps: u64,
    /// The most memory it ever held, in KiB.
    pub(crate) peak_kib: u64,
}

impl Usage {
    /// Reads it; nothing once the process is gone.
    pub(crate) fn of(process: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in brackets, may hold anything (proc(5)); utime and stime are fields 14 and 15, the state is 3.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |place: usize| Some(TICK * fields.get(place - 3)?.parse::<u32>().ok()?);
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_kib = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Self { user: ticks(14)?, system: ticks(15)?, sleeps: sleeps(process), peak_kib })
    }

    /// Processor time in all.
    pub(crate) fn cpu(&self) -> Duration {
        self.user + self.system
    }

    /// The most memory it ever held, in MiB.
    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    pub(crate) fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

impl Sub for Usage {
    type Output = Self;

    /// What came in between; the peak is the later one's.
    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            sleeps: self.sleeps.saturating_sub(earlier.sleeps),
            peak_kib: self.peak_kib,
        }
    }
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            user: self.user + other.user,
            system: self.system + other.system,
            sleeps: self.sleeps + other.sleeps,
            peak_kib: self.peak_kib.max(other.peak_kib),
        }
    }
}

fn sleeps(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let count = |thread: fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse::<u64>().ok()
    };
    threads.filter_map(count).sum()
}

/// Finds a process by its program and a word of its command line.
pub(crate) fn find(program: &str, word: &str) -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        (words.first()?.ends_with(program) && words.iter().any(|known| known.contains(word))).then_some(process)
    })
}

/// Time of all processors so far, busy and in all, in ticks.
pub(crate) fn machine() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    // proc(5): user nice system idle iowait irq softirq steal; guest time is in user already.
    let times: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let all: u64 = times.iter().sum();
    let idle: u64 = times.iter().skip(3).take(2).sum();
    (all - idle, all)
}
