//! What people touch: configuration, command line, metrics, traces, status.
//!
//! The top layer: it alone knows configuration files, the environment, clap, axum and Prometheus. Promise: everything a
//! person or a monitoring system is shown is free of secrets, and every fault comes with its remedy.

pub mod chart;
pub mod cli;
pub mod config;
pub mod items;
pub mod language;
pub mod letters;
pub mod mask;
mod meaning;
pub mod metrics;
pub mod observe;
pub mod operator;
pub mod report;
pub mod scheduling;
pub mod status;
pub mod telemetry;
pub mod web;
