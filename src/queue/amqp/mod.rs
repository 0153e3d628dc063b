//! The RabbitMQ adapter.

/// Channel and delivery tag of a delivery.
#[derive(Debug)]
pub(crate) struct Tag;
