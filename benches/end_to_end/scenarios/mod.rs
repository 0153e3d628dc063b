//! What is measured, in the order of the results.

mod amqp;

use anyhow::Result;

use crate::results::Chapter;
use crate::stage::Stage;

/// One question, and the way to its answer.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Stage) -> Result<Chapter>,
}

pub(crate) const ALL: &[Scenario] =
    &[Scenario { name: "amqp", about: "items a second and processor time an item, through RabbitMQ", run: amqp::run }];
