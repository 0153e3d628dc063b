//! What the parts of a call cost: signatures, canonical strings, requests, answers.
//!
//! `cargo bench --bench parts` times each by criterion, prints and writes the table of times and allocations
//! (`benches/parts.md`, which `benches/end_to_end` takes into its results), beside `openssl speed` on the same processor in
//! the same run. Names as arguments choose among the parts, as ever with criterion; the table is written after a whole run
//! only. Promise: one processor for all of it, where `taskset` can be had, and nothing is measured that is not public.

mod cases;
mod table;

#[expect(dead_code, reason = "shared with the other bench, which tells more of the machine")]
#[path = "../end_to_end/machine.rs"]
mod machine;
#[expect(dead_code, reason = "shared with the other bench, which also measures several processes at once")]
#[path = "../end_to_end/openssl.rs"]
mod openssl;
#[expect(dead_code, reason = "shared with the other bench, which takes samples")]
#[path = "../end_to_end/sample.rs"]
mod sample;

use std::cell::RefCell;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;
use criterion::Criterion;
use rustix::time::{ClockId, clock_gettime};

use crate::cases::Case;
use crate::machine::Machine;
use crate::sample::Sample;
use crate::table::{Bare, Row};

/// Samples of each part.
const SAMPLES: usize = 30;

fn main() -> ExitCode {
    // `cargo test` calls it without: nothing is to be measured then.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parts: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let machine = Machine::look();
    let processor = pin();
    let cases = cases::all()?;
    let bare = Bare::measure(cases::signed_bytes())?;
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let rows: Vec<Row> = cases.iter().map(|case| measure(&mut criterion, case)).collect();
    criterion.final_summary();
    let text = table::markdown(&machine, processor, &bare, &rows);
    println!("{text}");
    if rows.iter().all(|row| row.nanos.is_finite()) {
        println!("written: {}", table::write(&text)?.display());
    }
    Ok(())
}

fn measure(criterion: &mut Criterion, case: &Case) -> Row {
    let times = RefCell::new(Vec::new());
    criterion.bench_function(case.name, |bencher| {
        bencher.iter_custom(|count| {
            let start = processor_time();
            for _ in 0..count {
                black_box((case.run)());
            }
            let took = processor_time() - start;
            times.borrow_mut().push(took.as_nanos() as f64 / count as f64);
            took
        });
    });
    let times = times.into_inner();
    // The last ones are the samples; those before warmed up.
    let nanos: Sample = times.iter().rev().take(SAMPLES).copied().collect();
    let allocations = allocation_counter::measure(|| {
        black_box((case.run)());
    });
    Row { name: case.name, nanos: nanos.median(), count: allocations.count_total, bytes: allocations.bytes_total }
}

/// Of this thread, as `openssl speed` counts: whoever else is busy does not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Keeps to one processor, and with it every process started from here; says which.
fn pin() -> Option<u32> {
    let last = u32::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap_or(1) - 1;
    let arguments = ["-cp", &last.to_string(), &std::process::id().to_string()];
    let output = Command::new("taskset").args(arguments).output().ok()?;
    output.status.success().then_some(last)
}
