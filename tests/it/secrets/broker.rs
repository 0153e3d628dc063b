//! A worker on RabbitMQ, at the finest log.
