//! What is measured, in the order of the results.

mod amqp;
mod backlog;
mod embedded;
mod enqueue;
mod growth;
mod rate;
mod wire;

use anyhow::Result;

use crate::results::Chapter;
use crate::stage::Stage;

/// One question, and the way to its answer.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Stage) -> Result<Chapter>,
}

pub(crate) const ALL: &[Scenario] = &[
    Scenario { name: "amqp", about: "items a second and processor time an item, through RabbitMQ", run: amqp::run },
    Scenario { name: "embedded", about: "the same through the embedded queue", run: embedded::run },
    Scenario { name: "enqueue", about: "a file into either queue", run: enqueue::run },
    Scenario { name: "backlog", about: "start-up, cost and memory by what waits", run: backlog::run },
    Scenario { name: "growth", about: "cost by calls in flight, accounts and replicas", run: growth::run },
    Scenario { name: "rate", about: "how near the calls keep to the rate, and never above it", run: rate::run },
    Scenario { name: "wire", about: "from the permit to the gateway's socket", run: wire::run },
];
