//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod amqp;
mod architecture;
mod certified;
mod cli;
mod config;
mod crash;
mod embedded;
mod gateway;
mod main_job;
mod queue_contract;
mod sandbox;
mod schemas;
mod support;
mod vectors;
mod worker;
