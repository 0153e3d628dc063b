//! Filled by the limits work.
