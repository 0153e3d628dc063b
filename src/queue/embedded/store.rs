//! The file, its lock and its one writer thread.
