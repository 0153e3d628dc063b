//! Filled by the signing work.
pub(super) struct Private;
pub(super) struct Private2;
pub(super) struct Public;
