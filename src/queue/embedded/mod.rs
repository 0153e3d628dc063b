//! The embedded adapter: one SQLite file, one process.

/// Row and lease of a delivery.
#[derive(Debug)]
pub(crate) struct Lease;
