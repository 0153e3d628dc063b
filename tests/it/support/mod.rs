//! What integration tests share.

pub(crate) mod replica;
pub(crate) mod peer;
pub(crate) mod broker;
pub(crate) mod queue;
