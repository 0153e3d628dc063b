//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod amqp;
mod architecture;
mod cli;
mod config;
mod corpus;
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
