//! Both gateways on loopback, strict and scriptable, for rehearsals and tests.

pub mod faults;
pub mod mapi;
pub mod open_platform;
