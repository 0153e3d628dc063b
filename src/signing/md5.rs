//! Filled by the signing work.
pub(super) struct Secret;
