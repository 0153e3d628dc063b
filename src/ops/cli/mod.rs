//! Filled by the ops work.
