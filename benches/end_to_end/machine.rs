//! What was measured where: machine, tools, commit.

use std::fs;
use std::process::Command;

/// As found at the run's beginning; what cannot be found is told as unknown.
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) openssl: String,
    pub(crate) commit: String,
    pub(crate) date: String,
    /// Settings of the environment that change how cargo builds.
    pub(crate) profile: Vec<String>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let line = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
            line.map_or_else(unknown, |line| line.trim_start_matches(['\t', ' ', ':']).trim().to_owned())
        };
        // What is written by this driver is no change of what it measures.
        let changes = ["status", "--porcelain", "--", ".", ":!benches/RESULTS.md", ":!benches/plots"];
        let is_dirty = told("git", &changes).is_none_or(|changes| !changes.is_empty());
        let commit = told("git", &["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(unknown);
        let mut profile: Vec<String> = std::env::vars()
            .filter(|(name, _)| name.starts_with("CARGO_PROFILE_"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        profile.sort();
        Self {
            processor: line("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: line("/proc/meminfo", "MemTotal"),
            kernel: line("/proc/sys/kernel/osrelease", ""),
            rustc: told("rustc", &["--version"]).unwrap_or_else(unknown),
            openssl: told("openssl", &["version"]).unwrap_or_else(unknown),
            commit: if is_dirty { format!("{commit}, with changes") } else { commit },
            date: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            profile,
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn told(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
