//! The bare signature: what `openssl speed` says of this machine.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Microseconds of one processor for a signature and its verification.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speed {
    pub(crate) sign: f64,
    pub(crate) verify: f64,
}

/// What is measured: the name `openssl speed` takes, and how its line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Rsa2048,
    Rsa1024,
    Dsa1024,
}

impl Key {
    pub(crate) const ALL: [Self; 3] = [Self::Rsa2048, Self::Rsa1024, Self::Dsa1024];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::Rsa1024 => "rsa1024",
            Self::Dsa1024 => "dsa1024",
        }
    }

    fn line(self) -> [&'static str; 2] {
        match self {
            Self::Rsa2048 => ["rsa", "2048"],
            Self::Rsa1024 => ["rsa", "1024"],
            Self::Dsa1024 => ["dsa", "1024"],
        }
    }
}

/// Measures one, in so many processes at once.
pub(crate) fn speed(key: Key, processes: u32, seconds: u32) -> Result<Speed> {
    let mut command = Command::new("openssl");
    command.args(["speed", "-seconds", &seconds.to_string()]);
    if processes > 1 {
        command.args(["-multi", &processes.to_string()]);
    }
    let output = command.arg(key.name()).output().context("openssl")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("openssl speed: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    let speed = text.lines().find_map(|line| read(line, key, f64::from(processes)));
    speed.with_context(|| format!("openssl speed told nothing of {}: {text}", key.name()))
}

/// Reads `rsa 2048 bits 0.000242s 0.000016s   4135.4  61785.9`: the last two are signatures and verifications a second,
/// of all processes together.
fn read(line: &str, key: Key, processes: f64) -> Option<Speed> {
    let mut words = line.split_whitespace();
    let [algorithm, bits] = key.line();
    if words.next()? != algorithm || words.next()? != bits {
        return None;
    }
    let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    let [sign, verify] = numbers[..] else { return None };
    Some(Speed { sign: processes * 1e6 / sign, verify: processes * 1e6 / verify })
}
