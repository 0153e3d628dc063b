//! Filled by the signing work.
pub(super) struct Private;
pub(super) struct Public;
