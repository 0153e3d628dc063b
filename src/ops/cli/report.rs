//! `--report FILE`: what finished work came to, as a page of its own.

use std::path::PathBuf;

use crate::domain::outcome::FinalOutcome;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::whole_file::WholeFile;
use crate::ops::language::Language;

/// Whether a page is wanted.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ReportFile {
    /// Write outcomes by reason and latencies to an HTML page that needs nothing but itself; in Chinese where the locale
    /// is.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

impl ReportFile {
    /// Makes sure, before the work begins, that the page can be written.
    pub(super) fn begin(&self) -> Result<Option<WholeFile>, Failure> {
        self.report.as_deref().map(WholeFile::begin).transpose()
    }
}

/// Returns the language of the person's locale.
pub(super) fn language() -> Language {
    Language::of_locale(|name| std::env::var_os(name))
}

/// Returns how long an item took, in milliseconds.
pub(super) fn took_ms(outcome: &FinalOutcome) -> u64 {
    u64::try_from(outcome.took().as_millis()).unwrap_or(u64::MAX)
}
