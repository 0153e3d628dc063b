//! Reading and verifying the JSON answer.
