//! `takedown explain` on wrong requests and answers, each built here by its own code and judged by the real binary.

mod answers;
mod disguise;
mod fixture;
mod own;
mod requests;
mod rest;
