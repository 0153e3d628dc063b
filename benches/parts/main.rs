//! What the parts of a call cost: signatures, canonical strings, requests, answers.

fn main() {}
