//! `Debug` of every public type that holds a secret.
