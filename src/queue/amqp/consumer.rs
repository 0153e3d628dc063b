//! Consumers, one an account.
