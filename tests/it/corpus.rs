//! Replays the committed corpus of every fuzz target (`tests/fixtures/corpus/<target>`) through the target's own entry.
//!
//! What a fuzzer once found stays found: its input is in the corpus. The number of files is held, so that none is lost
//! in silence.

#[path = "../fuzz/entries/lib.rs"]
#[expect(unreachable_pub, reason = "a library of its own for the fuzz targets")]
mod entries;

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Files of each target, in the order of [`entries::TARGETS`].
const FILES: [usize; 9] = [27, 37, 14, 74, 27, 30, 99, 44, 40];

/// Largest file; a corpus is read by people and cloned by all.
const LARGEST: u64 = 8 * 1024;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus")
}

fn files(target: &str) -> Vec<PathBuf> {
    let folder = corpus().join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_file_of_every_target_keeps_every_promise() {
    let (mut counts, mut broken) = (Vec::new(), Vec::new());
    for (target, run) in entries::TARGETS {
        let files = files(target);
        for file in &files {
            let bytes = fs::read(file).unwrap();
            if catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_err() {
                broken.push(file.display().to_string());
            }
        }
        writeln!(std::io::stderr(), "corpus: {} files of {target}", files.len()).unwrap();
        counts.push(files.len());
    }
    assert!(broken.is_empty(), "the panic above of each: {broken:#?}");
    assert_eq!(counts, FILES);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_target_has_its_program_and_its_folder_and_no_file_is_large() {
    let targets: Vec<_> = entries::TARGETS.iter().map(|(target, _)| *target).collect();
    assert_eq!(names(&corpus()), targets);
    assert_eq!(names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/targets")), targets);
    for file in targets.into_iter().flat_map(files) {
        assert!(fs::metadata(&file).unwrap().len() <= LARGEST, "{} is too large", file.display());
    }
}
