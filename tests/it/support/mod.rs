//! What integration tests share.

pub(crate) mod broker;
pub(crate) mod peer;
pub(crate) mod queue;
pub(crate) mod replica;
