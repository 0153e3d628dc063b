//! Filled by the sandbox work.
