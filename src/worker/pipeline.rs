//! Filled by the worker work.
