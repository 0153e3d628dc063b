//! What integration tests share.

pub(crate) mod replica;
pub(crate) mod peer;
