//! One delivery from receipt to settlement.
