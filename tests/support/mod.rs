//! What integration tests share.

pub(crate) mod broker;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod peer;
pub(crate) mod pki;
pub(crate) mod pty;
pub(crate) mod queue;
pub(crate) mod rehearsal;
pub(crate) mod replica;
