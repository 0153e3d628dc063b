//! The mistakes known, each with the sentence that names it and the remedy; split by what they are about.

pub(super) mod content;
pub(super) mod moment;
pub(super) mod order;
pub(super) mod selection;
pub(super) mod values;
pub(super) mod whole;
