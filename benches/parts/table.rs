//! The table of all parts, beside the bare signatures of the same run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cases::{DSA, MD5, RSA, RSA2};
use crate::machine::Machine;
use crate::openssl::{self, Key};
use crate::sample::number;

/// What one part came to.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Of one run; not a number if it was not chosen.
    pub(crate) nanos: f64,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// What `openssl speed` needs of the same processor, in nanoseconds, by the part it is the measure of.
pub(crate) struct Bare(Vec<(&'static str, f64)>);

impl Bare {
    /// Measures signatures, and a digest of so many bytes.
    pub(crate) fn measure(bytes: usize) -> Result<Self> {
        let mut bare = Vec::new();
        for (key, sign, verify) in [
            (Key::Rsa2048, RSA2, "verify RSA2, 2048 bits"),
            (Key::Rsa1024, RSA, "verify RSA, 1024 bits"),
            (Key::Dsa1024, DSA, "verify DSA, 1024 bits"),
        ] {
            let speed = openssl::speed(key, 1, 2)?;
            bare.extend([(sign, speed.sign * 1e3), (verify, speed.verify * 1e3)]);
        }
        let md5 = md5(bytes)?;
        bare.extend([(MD5, md5), ("verify MD5", md5)]);
        Ok(Self(bare))
    }

    fn of(&self, name: &str) -> Option<f64> {
        self.0.iter().find_map(|(part, nanos)| (*part == name).then_some(*nanos))
    }
}

/// Nanoseconds of a digest; `openssl speed` tells thousands of bytes a second: `md5  412345.67k`.
fn md5(bytes: usize) -> Result<f64> {
    let output = Command::new("openssl")
        .args(["speed", "-seconds", "1", "-bytes", &bytes.to_string(), "-evp", "md5"])
        .output()
        .context("openssl")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let thousands =
        text.lines().rev().find_map(|line| line.split_whitespace().last()?.strip_suffix('k')?.parse::<f64>().ok());
    let thousands = thousands.with_context(|| format!("openssl speed told nothing of md5: {text}"))?;
    Ok(bytes as f64 / thousands * 1e6)
}

pub(crate) fn markdown(machine: &Machine, processor: Option<u32>, bare: &Bare, rows: &[Row]) -> String {
    let Machine { processor: model, rustc, openssl, commit, date, profile, .. } = machine;
    let pinned = processor.map_or("on whatever processor was free (no `taskset`)".to_owned(), |number| {
        format!("all on processor {number}, by `taskset`")
    });
    let mut text = format!(
        "## The parts of a call\n\nWritten by `cargo bench --bench parts`, commit {commit}, {date}; {model}, {pinned}; {rustc}, \
         {openssl}. Times are processor time, as `openssl speed` counts, medians of criterion's samples, with the counting allocator over the system's, \
         which the worker does not use; `openssl speed` ran in the same process group just before, its digest over as many \
         bytes as a request of mapi signs. What is verified is the answer's own signature.\n"
    );
    if !profile.is_empty() {
        write!(text, "\nBuilt otherwise: `{}`.\n", profile.join(" ")).unwrap_or_default();
    }
    text.push_str("\n| part | ns | `openssl speed`, ns | ratio | allocations | bytes allocated |\n");
    text.push_str("| --- | ---: | ---: | ---: | ---: | ---: |\n");
    for Row { name, nanos, count, bytes } in rows {
        let (bare, ratio) = bare
            .of(name)
            .map_or(("".to_owned(), "".to_owned()), |bare| (number(bare), format!("{} ×", number(nanos / bare))));
        writeln!(text, "| {name} | {} | {bare} | {ratio} | {count} | {bytes} |", number(*nanos)).unwrap_or_default();
    }
    text
}

/// Writes it where the results look for it.
pub(crate) fn write(text: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/parts.md");
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}
