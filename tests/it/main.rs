//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod amqp;
mod architecture;
mod certified;
mod cli;
mod config;
mod corpus;
mod crash;
mod desk;
mod dsa_engines;
mod embedded;
mod explain;
mod fleet;
mod gateway;
mod main_job;
mod night;
mod observability;
mod permissions;
mod protocol_page;
mod queue_contract;
mod sandbox;
mod schemas;
mod secrets;
mod signing_engines;
#[expect(dead_code, reason = "shared with tests/faults, which uses the rest")]
#[path = "../support/mod.rs"]
mod support;
mod vectors;
mod web;
mod worker;
